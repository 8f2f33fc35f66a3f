"""What is asked of a publisher, from what it announced."""

from __future__ import annotations

import pytest

from sfu.api import Kind, PublicationInfo, TrackSource
from sfu.control.publish.pending import publish_hint
from sfu.ids import TrackId


@pytest.mark.parametrize(("encryption", "refused", "without"), [(0, False, False), (0, True, True), (1, False, True)])
def test_encrypted_sound_comes_without_redundancy(encryption: int, refused: bool, without: bool) -> None:
    info = PublicationInfo(
        TrackId("TR_a"), Kind.AUDIO, TrackSource.MICROPHONE, encryption=encryption, disable_red=refused
    )
    assert publish_hint(info).disable_red is without
