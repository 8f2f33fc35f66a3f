"""WHEP viewers: aiortc peers that play what LiveKit clients and WHIP publishers send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection, RTCSessionDescription
from livekit import rtc

from sfu.ids import RoomName
from tests.harness import pattern
from tests.harness.caller import Caller
from tests.harness.ffmpeg_whip import FfmpegPublisher
from tests.harness.fixtures import Join
from tests.harness.media import PatternSource
from tests.harness.server import EmbeddedServer, ServerProcess, make_token
from tests.harness.waiting import eventually
from tests.harness.whip import SDP, EventReader, HttpPeer, whep_url, whip_url

EVENTS = "urn:ietf:params:whep:ext:core:server-sent-events"
LAYER = "urn:ietf:params:whep:ext:core:layer"

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def player(http: aiohttp.ClientSession, url: str, room: str, *rest: str, identity: str = "player") -> HttpPeer:
    peer = HttpPeer(http, whep_url(url, room, *rest), make_token(room, identity, can_publish=False))
    peer.peer.addTransceiver("audio", "recvonly")
    peer.peer.addTransceiver("video", "recvonly")
    return peer


def shows(source_id: int, frames: int = 5) -> Callable[[list[pattern.Mark]], bool]:
    """Whether the last marks are all of that source, in order."""

    def done(marks: list[pattern.Mark]) -> bool:
        last = marks[-frames:]
        return len(last) == frames and {mark.source for mark in last} == {source_id}

    return done


async def test_named_participant_is_played_and_the_player_is_seen(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    alice = await join(server.url, "alice")
    await alice.publish_pattern(21)
    await alice.publish_tone(440)
    viewer = await player(http, server.url, room, "alice").post()
    assert viewer.answer.count("a=sendonly") == 2
    marks = await viewer.marks(shows(21))
    assert [mark.number for mark in marks] == sorted(mark.number for mark in marks)
    assert "player" in alice.room.remote_participants
    status, _, _ = await viewer.request("DELETE")
    assert status == 200
    await alice.wait_for("participant_disconnected", lambda one: one.identity == "player")
    await viewer.close()


async def test_player_waits_for_what_is_not_there_yet_and_follows_it(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    """The same section and SSRC carry one publication after the other, of another codec too."""
    viewer = await player(http, server.url, room, "alice").post()
    alice = await join(server.url, "alice")
    first = await alice.publish_pattern(22)
    await viewer.marks(shows(22))
    await alice.room.local_participant.unpublish_track(first.sid)
    await alice.publish_pattern(23, codec=rtc.VideoCodec.H264)
    await viewer.marks(shows(23))
    (receiver,) = [one.receiver for one in viewer.peer.getTransceivers() if one.kind == "video"]
    inbound = [one for one in (await receiver.getStats()).values() if one.type == "inbound-rtp"]
    assert len(inbound) == 1, "more than one SSRC"
    await viewer.request("DELETE")
    await viewer.close()


async def test_main_picture_follows_who_speaks_and_a_shared_screen(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    viewer = player(http, server.url, room)
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_pattern(24)
    # While nobody speaks, whose picture arrived first is shown; publishing is over before it has arrived.
    await bob.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    await bob.publish_pattern(25)
    await viewer.post()
    await viewer.marks(shows(24))
    loud = await bob.publish_tone(440)
    await viewer.marks(shows(25))
    screen = PatternShare(alice, 26)
    await screen.start()
    await viewer.marks(shows(26))
    await screen.stop()
    await viewer.marks(shows(25))
    await bob.room.local_participant.unpublish_track(loud.sid)
    await bob.leave()
    await viewer.marks(shows(24))
    await viewer.request("DELETE")
    await viewer.close()


class PatternShare:
    """A shared screen of a caller."""

    def __init__(self, caller: Caller, source_id: int) -> None:
        self._caller, self._source_id = caller, source_id
        self._publication: rtc.LocalTrackPublication

    async def start(self) -> None:
        self.source = PatternSource(self._source_id, (320, 180), 15)
        track = rtc.LocalVideoTrack.create_video_track("screen", self.source.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_SCREENSHARE, simulcast=False)
        self._publication = await self._caller.room.local_participant.publish_track(track, options)

    async def stop(self) -> None:
        await self._caller.room.local_participant.unpublish_track(self._publication.sid)
        await self.source.close()


async def test_source_of_a_participant(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    alice = await join(server.url, "alice")
    await alice.publish_pattern(27)
    viewer = await player(http, server.url, room, "alice", "screen_share").post()
    share = PatternShare(alice, 28)
    await share.start()
    await viewer.marks(shows(28))
    await share.stop()
    assert (await viewer.request("POST", whep_url(server.url, room, "alice", "kitchen")))[0] == 404
    await viewer.request("DELETE")
    await viewer.close()


async def test_counter_offer_takes_the_place_of_an_offer_that_cannot_be_answered(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    alice = await join(server.url, "alice")
    await alice.publish_pattern(29)
    viewer = HttpPeer(http, whep_url(server.url, room, "alice"), make_token(room, "player"))
    viewer.peer.createDataChannel("news")
    await viewer.peer.setLocalDescription(await viewer.peer.createOffer())
    status, headers, offer = await viewer.request(
        "POST", viewer.url, data=viewer.peer.localDescription.sdp, headers={"Content-Type": SDP}
    )
    assert status == 406
    assert headers["Content-Type"] == SDP
    assert "m=application" not in offer
    viewer.location = server.url + headers["Location"]
    await viewer.peer.close()
    viewer.peer = RTCPeerConnection()
    viewer.peer.on("track", viewer.tracks.append)
    await viewer.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await viewer.peer.setLocalDescription(await viewer.peer.createAnswer())
    answer = {"data": viewer.peer.localDescription.sdp, "headers": {"Content-Type": SDP}}
    bad = {"data": "v=0\r\n", "headers": {"Content-Type": SDP}}
    assert (await viewer.request("PATCH", **bad))[0] == 400
    assert (await viewer.request("PATCH", **answer))[0] == 204
    assert (await viewer.request("PATCH", **answer))[0] == 409
    await viewer.marks(shows(29))
    await viewer.request("DELETE")
    await viewer.close()


async def test_counter_offer_without_an_answer_expires(room: str, http: aiohttp.ClientSession) -> None:
    server = EmbeddedServer(transport_setup_timeout_s="1")
    await server.start()
    try:
        viewer = HttpPeer(http, whep_url(server.url, room), make_token(room, "player"))
        viewer.peer.createDataChannel("news")
        await viewer.peer.setLocalDescription(await viewer.peer.createOffer())
        offer = viewer.peer.localDescription.sdp
        status, headers, _ = await viewer.request("POST", viewer.url, data=offer, headers={"Content-Type": SDP})
        assert status == 406
        viewer.location = server.url + headers["Location"]
        assert [one.identity for one in server.sfu.participants(RoomName(room))] == ["player"]
        await eventually(lambda: not server.sfu.participants(RoomName(room)), "the session to expire")
        late = await viewer.request("PATCH", data=offer, headers={"Content-Type": SDP})
        assert late[0] == 404
        await viewer.peer.close()
    finally:
        await server.stop()


async def test_late_viewers_of_ffmpeg_get_a_picture_without_asking_it(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    """FFmpeg takes no PLI, and its next keyframe is a minute away: the first one has to be kept for late viewers."""
    early = await join(server.url, "early")
    ffmpeg = FfmpegPublisher(whip_url(server.url, room), make_token(room, "ffmpeg"), 46, 659, gop="900")
    await ffmpeg.start()
    await (await early.watch("ffmpeg")).assert_advances(46, frames=20)
    late = await join(server.url, "late")
    await (await late.watch("ffmpeg")).assert_advances(46, frames=10)
    viewer = await player(http, server.url, room, "ffmpeg").post()
    await viewer.marks(shows(46))
    await viewer.request("DELETE")
    await viewer.close()
    await ffmpeg.stop()


async def test_layer_is_chosen_and_told(
    server: ServerProcess, join: Join, room: str, http: aiohttp.ClientSession
) -> None:
    alice = await join(server.url, "alice")
    await alice.publish_pattern(30, size=(1280, 720), simulcast=True, bitrate_bps=1_500_000)
    viewer = await player(http, server.url, room, "alice").post()
    events = await EventReader.open(viewer, viewer.link(EVENTS), "layers", "viewercount", "active", "inactive")
    layers = await events.wait("layers", lambda data: any(one["layers"] for one in data.values()))
    ((mid, told),) = layers.items()
    assert [one["width"] for one in told["layers"]] == sorted((one["width"] for one in told["layers"]), reverse=True)
    assert (await events.wait("viewercount"))["viewercount"] == 1
    await events.wait("active")
    url = viewer.link(LAYER)
    for wanted, width in (
        ({"mediaId": mid, "rid": told["layers"][-1]["rid"]}, told["layers"][-1]["width"]),
        ({"mediaId": mid, "maxHeight": 400}, 640),
    ):
        status, _, text = await viewer.request("POST", url, json=wanted)
        assert status == 200, text
        await viewer.width(width)
    for bad, status in (
        ({"rid": "none"}, 422), ({"mediaId": "99"}, 422), ({"maxWidth": -1}, 400), ({"rid": 1}, 400), ([], 400),
        ({"unknown": 1}, 400), ({"spatialLayerId": 9}, 422), ({"spatialLayerId": True}, 400),
    ):  # fmt: skip
        assert (await viewer.request("POST", url, json=bad))[0] == status, bad
    assert (await viewer.request("POST", url, data="[" * 100_000, headers={"Content-Type": "application/json"}))[
        0
    ] == 413
    assert (await viewer.request("POST", url, data="{", headers={"Content-Type": "application/json"}))[0] == 400
    await alice.leave()
    await events.wait("inactive")
    await viewer.request("DELETE")
    await events.ended()
    await viewer.close()


async def test_event_streams_are_limited_and_secret(
    server: ServerProcess, room: str, http: aiohttp.ClientSession
) -> None:
    viewer = await (await player(http, server.url, room).post()).connected()
    url = viewer.link(EVENTS)
    for body, status in (("{", 400), ('{"a":1}', 400), ("[1]", 400), (json.dumps(["a"] * 17), 400)):
        reply = await viewer.request("POST", url, data=body, headers={"Content-Type": "application/json"})
        assert reply[0] == status, body
    first = await viewer.request("POST", url, json=["active", "somethingnew"])
    assert first[0] == 201
    assert (await viewer.request("POST", url, json=[]))[0] == 201
    assert (await viewer.request("POST", url, json=[]))[0] == 429
    foreign = {"headers": {"Authorization": f"Bearer {make_token(room, 'other')}"}}
    assert (await viewer.request("POST", url, json=[], **foreign))[0] == 404
    assert (await viewer.request("GET", server.url + "/whep-events/guess"))[0] == 404
    stream = server.url + first[1]["Location"]
    async with http.get(stream) as reading:
        assert reading.status == 200
        assert reading.headers["Content-Type"] == "text/event-stream"
        assert (await viewer.request("GET", stream))[0] == 404
    await viewer.request("DELETE")
    assert (await viewer.request("GET", stream))[0] == 404
    await viewer.close()


async def test_player_is_told_to_come_again_when_the_server_stops(room: str, http: aiohttp.ClientSession) -> None:
    server = EmbeddedServer()
    await server.start()
    try:
        viewer = await (await player(http, server.url, room).post()).connected()
        url = viewer.link(EVENTS)
        status, headers, _ = await viewer.request("POST", url)
        assert status == 201, "without a body: all events"
        dropped = server.url + headers["Location"]
        assert (await viewer.request("DELETE", dropped))[0] == 200
        assert (await viewer.request("DELETE", dropped))[0] == 404
        assert (await viewer.request("GET", dropped))[0] == 404
        events = await EventReader.open(viewer, url, "active", "inactive", "reconnect", "viewercount")
        await events.wait("viewercount")
    finally:
        await server.stop()
    await events.ended()
    assert events.events == [("viewercount", {"viewercount": 1}), ("reconnect", {})], "no inactive to begin with"
    await viewer.close()


async def test_whep_as_http(server: ServerProcess, room: str, http: aiohttp.ClientSession) -> None:
    url = whep_url(server.url, room)
    viewer = player(http, server.url, room)
    for target in (url, whep_url(server.url, room, "alice"), whep_url(server.url, room, "alice", "camera")):
        async with http.head(target) as head:
            assert (head.status, head.headers["Content-Type"]) == (200, SDP)
        async with http.options(target) as options:
            assert (options.status, options.headers["Accept-Post"]) == (200, SDP)
    assert (await viewer.request("POST", url, data="v=0", headers={"Content-Type": "text/plain"}))[0] == 415
    assert (await viewer.request("POST", url, data="v=0\r\n", headers={"Content-Type": SDP}))[0] == 400
    viewer.token = make_token(room, "player", can_subscribe=False)
    with pytest.raises(AssertionError, match="403"):
        await viewer.post()
    await viewer.peer.close()
