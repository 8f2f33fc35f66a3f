"""Clients that negotiate in one HTTP exchange, without a signal connection: what sends (WHIP, RFC 9725) and what plays
(WHEP) and does nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sfu.api import Kind, LeaveReason, TrackSource
from sfu.errors import RequestError, SdpError, SfuError
from sfu.sdp.fragment import Fragment, parse_fragment, render_fragment
from sfu.sdp.model import ReceivedMedia, RemoteDescription
from sfu.transport.transport import Transport

if TYPE_CHECKING:
    from sfu.control.participant import Participant


def publish_all(
    participant: Participant,
    offer: RemoteDescription,
    received: Sequence[ReceivedMedia],
    sources: Mapping[Kind, TrackSource],
) -> str:
    """Instead of `Participant.start`: offer in, answer out. `received` is what the offer will send. A failure ends the
    session."""
    participant.mark_joined()
    try:
        participant.publisher.announce_received(received, sources)
        return participant.publisher.answer(offer).sdp
    except SfuError:
        participant.leave(LeaveReason.MEDIA_FAILURE)
        raise


def play(participant: Participant, offer: RemoteDescription) -> str:
    """Instead of `Participant.start`: offer in, answer out. A failure ends the session."""
    participant.mark_joined()
    try:
        return participant.player.answer(offer)
    except SfuError:
        participant.leave(LeaveReason.MEDIA_FAILURE)
        raise


def offer_playback(participant: Participant) -> str:
    """An offer of ours; `Participant.accept_playback` takes its answer. A failure ends the session."""
    try:
        return participant.player.offer()
    except SfuError:
        participant.leave(LeaveReason.MEDIA_FAILURE)
        raise


def check_fragment(participant: Participant, text: str, max_bytes: int) -> None:
    """As `sfu.api.ParticipantSession.handle_fragment`."""
    fragment, transport = _read_fragment(participant, text, max_bytes)
    if fragment.ice != transport.remote_ice:
        raise SdpError("the fragment is about another ICE session", code="ice_mismatch")


def restart_ice(participant: Participant, text: str, max_bytes: int) -> str:
    """As `sfu.api.ParticipantSession.restart_ice`."""
    fragment, transport = _read_fragment(participant, text, max_bytes)
    transport.restart_by_peer(fragment.ice)
    return render_fragment(fragment, transport.local())


def _read_fragment(participant: Participant, text: str, max_bytes: int) -> tuple[Fragment, Transport]:
    fragment = parse_fragment(text, max_bytes=max_bytes)
    transport = participant.publisher.transport or participant.subscriber.transport
    if transport is None:
        raise RequestError("nothing has been negotiated yet", code="not_negotiated")
    return fragment, transport
