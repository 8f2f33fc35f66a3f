"""What is asked of a publisher, from what it announced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiortc.mediastreams import AudioStreamTrack

from sfu.api import Kind, PublicationInfo, TrackSource
from sfu.control.publish.pending import publish_hint
from sfu.ids import RoomName, TrackId
from tests.harness.raw_caller import all_joined
from tests.sfu.test_state import close_all


@pytest.mark.parametrize(("encryption", "refused", "without"), [(0, False, False), (0, True, True), (1, False, True)])
def test_encrypted_sound_comes_without_redundancy(encryption: int, refused: bool, without: bool) -> None:
    info = PublicationInfo(
        TrackId("TR_a"), Kind.AUDIO, TrackSource.MICROPHONE, encryption=encryption, disable_red=refused
    )
    assert publish_hint(info).disable_red is without


@pytest.mark.parametrize(("encryption", "refused", "offered"), [(0, False, True), (0, True, False), (1, False, False)])
async def test_who_hears_plain_opus_may_have_it_made_redundant(
    start_node: Callable[..., Any], encryption: int, refused: bool, offered: bool
) -> None:
    """aiortc sends plain Opus; what a subscriber is offered says whether the server may add to it."""
    node = await start_node()
    ada, bob = await all_joined(node, RoomName("den"), ["ada", "bob"])
    track = AudioStreamTrack()
    await ada.announce(track.id, Kind.AUDIO, TrackSource.MICROPHONE, encryption=encryption, disable_red=refused)
    ada.publisher.addTrack(track)
    await ada.negotiate()
    await bob.until(lambda: bool(bob.tracks))
    assert ("red/48000/2" in bob.offers[-1]) is offered
    assert "opus/48000/2" in bob.offers[-1]
    first, second = await bob.tracks[0].recv(), await bob.tracks[0].recv()
    assert second.pts > first.pts
    await close_all(ada, bob)
