"""aiortc as the other side: an independent parser reads our offers and answers, and we read what it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from sfu.engine.api import Kind, OutboundPayload
from sfu.sdp.negotiate import negotiate_subscribe
from tests.sfu.sdp_rig import answer, audio_section, offer, parse, publish, video_section


@pytest.fixture
async def peer() -> AsyncIterator[RTCPeerConnection]:
    peer = RTCPeerConnection()
    yield peer
    await peer.close()


async def test_aiortc_publishes(peer: RTCPeerConnection) -> None:
    peer.createDataChannel("_reliable")
    peer.addTrack(AudioStreamTrack())
    peer.addTrack(VideoStreamTrack())
    await peer.setLocalDescription(await peer.createOffer())
    negotiation = publish(peer.localDescription.sdp)
    assert {media.kind for media in negotiation.received} == {Kind.AUDIO, Kind.VIDEO}
    assert negotiation.data_section
    await peer.setRemoteDescription(RTCSessionDescription(answer(negotiation), "answer"))
    assert peer.signalingState == "stable"
    assert [t.currentDirection for t in peer.getTransceivers()] == ["sendonly", "sendonly"]


async def test_aiortc_subscribes(peer: RTCPeerConnection) -> None:
    """Closed sections are left to the browser tests: aiortc wants ICE credentials even in a rejected section."""
    tracks: list[str] = []
    peer.on("track", lambda track: tracks.append(track.kind))
    first, second = audio_section("1", variants=("opus",)), video_section("2")
    for sections in ([], [first], [first, second]):
        await peer.setRemoteDescription(RTCSessionDescription(offer(*sections), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        negotiation = negotiate_subscribe(parse(peer.localDescription.sdp, "answer"), sections)
        assert negotiation.data_section
        assert len(negotiation.sections) == len(sections)
        assert all(section.accepted for section in negotiation.sections.values())
    assert negotiation.sections["2"].payloads == {"vp8": OutboundPayload(96, 97)}
    assert negotiation.sections["2"].nack
    assert tracks == ["audio", "video"]
