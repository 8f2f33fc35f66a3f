"""WHIP publishers of three makes, seen by an unmodified LiveKit client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from livekit import rtc

from tests.harness.ffmpeg_whip import FfmpegPublisher
from tests.harness.fixtures import Join
from tests.harness.server import EmbeddedServer, ServerProcess, make_token
from tests.harness.waiting import eventually
from tests.harness.whip import HttpPeer, PatternTrack, ToneTrack, whip_url

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

INGRESS = rtc.ParticipantKind.PARTICIPANT_KIND_INGRESS


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def publisher(http: aiohttp.ClientSession, url: str, room: str, identity: str = "studio", **grants: object) -> HttpPeer:
    peer = HttpPeer(http, whip_url(url, room), make_token(room, identity, **grants))
    peer.peer.addTrack(ToneTrack(523))
    peer.peer.addTrack(PatternTrack(31))
    return peer


async def test_publisher_is_an_ingress_participant_until_it_deletes_its_session(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    viewer = await join(server.url, "viewer")
    studio = await publisher(http, server.url, room).post()
    await (await viewer.watch("studio")).assert_advances(31, frames=10)
    await (await viewer.listen("studio")).assert_tone(523)
    participant = viewer.room.remote_participants["studio"]
    assert participant.kind == INGRESS
    assert {publication.source for publication in participant.track_publications.values()} == {
        rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_MICROPHONE,
    }  # fmt: skip
    status, _, body = await studio.request("DELETE")
    assert (status, body) == (200, "")
    await viewer.wait_for("participant_disconnected", lambda one: one.identity == "studio")
    assert (await studio.request("DELETE"))[0] == 404
    await studio.close()


@pytest.mark.parametrize("options", [{}, {"whip_flags": "dtls_active"}], ids=["dtls server", "dtls client"])
async def test_ffmpeg_publishes_and_takes_its_leave(
    server: ServerProcess, join: Join, room: str, options: dict[str, str]
) -> None:
    """It has no ICE but its credentials, no header extension at all, and is the DTLS server unless told otherwise."""
    viewer = await join(server.url, "viewer")
    token = make_token(room, "ffmpeg")
    ffmpeg = await FfmpegPublisher(whip_url(server.url, room), token, 44, 659, **options).start()
    await (await viewer.watch("ffmpeg")).assert_advances(44, frames=15)
    await (await viewer.listen("ffmpeg")).assert_tone(659)
    assert viewer.room.remote_participants["ffmpeg"].kind == INGRESS
    await ffmpeg.stop()
    await viewer.wait_for("participant_disconnected", lambda one: one.identity == "ffmpeg")


async def test_newest_publisher_of_an_identity_wins(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    viewer = await join(server.url, "viewer")
    first = await (await publisher(http, server.url, room).post()).connected()
    await viewer.subscribed("studio", rtc.TrackKind.KIND_VIDEO)
    second = await publisher(http, server.url, room).post()
    assert (await first.request("GET"))[0] == 404
    await viewer.wait_for("participant_disconnected")
    await (await viewer.watch("studio")).assert_advances(31, frames=5)
    assert (await second.request("GET"))[0] == 204
    assert len(viewer.room.remote_participants) == 1
    await first.close()
    await second.close()


async def test_kick_ends_the_session_and_refuses_its_token(
    embedded: EmbeddedServer, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    viewer = await join(embedded.url, "viewer")
    studio = await (await publisher(http, embedded.url, room).post()).connected()
    await viewer.subscribed("studio", rtc.TrackKind.KIND_VIDEO)
    embedded.rooms.kick(room, "studio")
    await viewer.wait_for("participant_disconnected")
    status, _, body = await studio.request("DELETE")
    assert status == 403
    assert '"revoked"' in body
    again = publisher(http, embedded.url, room)
    again.token = studio.token
    with pytest.raises(AssertionError, match="403"):
        await again.post()
    await studio.close()
    await again.close()


async def test_publisher_that_vanishes_leaves_when_its_consent_runs_out(room: str, join: Join) -> None:
    server = EmbeddedServer(consent_timeout_s="3")
    await server.start()
    try:
        viewer = await join(server.url, "viewer")
        ffmpeg = await FfmpegPublisher(whip_url(server.url, room), make_token(room, "ffmpeg"), 45, 659).start()
        await (await viewer.watch("ffmpeg")).assert_advances(45, frames=5)
        await ffmpeg.kill()
        await viewer.wait_for("participant_disconnected", lambda one: one.identity == "ffmpeg")
        await viewer.leave()
    finally:
        await server.stop()


async def test_media_without_the_right_to_its_source_is_refused_before_anyone_is_replaced(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    viewer = await join(server.url, "viewer")
    studio = await (await publisher(http, server.url, room).post()).connected()
    eye = await viewer.watch("studio")
    for grants in ({"can_publish_sources": ["microphone"]}, {"can_publish": False}):
        refused = publisher(http, server.url, room, **grants)
        with pytest.raises(AssertionError, match="403"):
            await refused.post()
        await refused.close()
    await eye.assert_advances(31, frames=5)
    await eventually(lambda: viewer.count("participant_disconnected") == 0, "nobody left")
    await studio.request("DELETE")
    await studio.close()
