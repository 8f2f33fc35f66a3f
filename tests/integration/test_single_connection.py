"""One peer connection for both directions, with the real SDK: more tracks than it has sections for, and fewer again."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.proxy import SignalProxy
from tests.harness.raw import split_sections
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

CAMERAS = 5


async def cameras_of(caller: Caller, other: str, count: int) -> list[str]:
    """The ids of the tracks of `other` once `caller` is subscribed to that many."""

    def subscribed() -> list[str]:
        participant = caller.room.remote_participants.get(other)
        publications = participant.track_publications.values() if participant else ()
        return [one.sid for one in publications if one.track is not None]

    return await caller.until(lambda: subscribed() if len(subscribed()) == count else None, f"{count} tracks")


async def test_sections_grow_with_the_tracks_and_are_used_again(server: ServerProcess, join: Join) -> None:
    """The SDK begins with three sections of a kind. Each picture must come out of the track that names its source."""
    sections: list[int] = []

    def count_sections(sdp: str) -> str:
        sections.append(len(split_sections(sdp)[1]))
        return sdp

    proxy = await SignalProxy(server.url, count_sections).start()
    try:
        alice, bob = await join(server.url, "alice"), await join(proxy.url, "bob")
        await bob.publish_pattern(9)
        published = {}
        for source in range(CAMERAS):
            publication = await alice.publish_pattern(source, bitrate_bps=100_000)
            published[publication.sid] = source
        assert set(await cameras_of(bob, "alice", CAMERAS)) == published.keys()
        await check_pictures(bob, published)
        # Data, three sounds, three pictures and its own; then what was asked for.
        grown = 1 + 3 + 3 + 1 + (CAMERAS - 3)
        assert max(sections) == grown

        for sid in list(published)[:3]:
            await alice.room.local_participant.unpublish_track(sid)
            del published[sid]
        await cameras_of(bob, "alice", CAMERAS - 3)
        for source in (20, 21, 22):
            publication = await alice.publish_pattern(source, bitrate_bps=100_000)
            published[publication.sid] = source
        await cameras_of(bob, "alice", CAMERAS)
        await check_pictures(bob, published)
        assert max(sections) == grown
        await (await alice.watch("bob")).assert_advances(9)
        await bob.leave()
    finally:
        await proxy.stop()


async def check_pictures(caller: Caller, published: dict[str, int]) -> None:
    eyes = [(caller.watch_track(sid), source) for sid, source in published.items()]
    await asyncio.gather(*(eye.assert_advances(source) for eye, source in eyes))
    await caller.close_readers()
