"""GStreamer's webrtcbin publishes by WHIP and plays by WHEP."""

from __future__ import annotations

import pytest

from tests.harness.fixtures import Join
from tests.harness.gstreamer import GstreamerPeer, is_installed
from tests.harness.server import ServerProcess, make_token
from tests.harness.whip import whep_url, whip_url

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not is_installed(), reason="needs GStreamer, which `make test` installs"),
]


async def test_gstreamer_publishes(server: ServerProcess, join: Join, room: str) -> None:
    viewer = await join(server.url, "viewer")
    studio = await GstreamerPeer("publish", whip_url(server.url, room), make_token(room, "gstreamer")).start()
    eye = await viewer.watch("gstreamer")
    await eye.until(lambda: len(eye.frames) >= 10, "ten frames")
    assert {(frame.width, frame.height) for frame in eye.frames} == {(320, 180)}
    await (await viewer.listen("gstreamer")).assert_tone(587)
    await studio.stop()
    await viewer.wait_for("participant_disconnected", lambda one: one.identity == "gstreamer")


async def test_gstreamer_plays(server: ServerProcess, join: Join, room: str) -> None:
    """It offers no MID extension and no RED, and must tell the streams apart by SSRC."""
    alice = await join(server.url, "alice")
    await alice.publish_pattern(47)
    await alice.publish_tone(440)
    player = await GstreamerPeer("play", whep_url(server.url, room, "alice"), make_token(room, "gstreamer")).start()
    marks = await player.marks(10)
    assert {mark.source for mark in marks} == {47}
    assert [mark.number for mark in marks] == sorted(mark.number for mark in marks)
    await player.stop()
    await alice.wait_for("participant_disconnected", lambda one: one.identity == "gstreamer")
