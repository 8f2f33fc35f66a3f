"""Clients that negotiate in one HTTP exchange, without a signal connection: what sends (WHIP, RFC 9725) and what plays
(WHEP) and does nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sfu.api import JoinRequest, LeaveReason, TrackSource
from sfu.control.participant import Participant
from sfu.control.settings import ControlSettings
from sfu.errors import RequestError, SdpError, SfuError
from sfu.kind import Kind
from sfu.sdp.fragment import Fragment, parse_fragment, render_fragment
from sfu.sdp.ingest import read_ingest
from sfu.sdp.model import ReceivedMedia, RemoteDescription
from sfu.sdp.parse import parse_description
from sfu.sdp.playback import as_receiver, read_playback
from sfu.transport.transport import Transport


def read_publish_offer(
    offer: str, request: JoinRequest, sources: Mapping[Kind, TrackSource], config: ControlSettings
) -> tuple[RemoteDescription, Sequence[ReceivedMedia]]:
    """Before anyone joins: the offer, and what it will send. Raises `SdpError`, and not_allowed for a source that the
    permissions of the request do not cover."""
    description = _read_offer(offer, config)
    received = read_ingest(description, video_codecs=config.video_codecs, audio_codecs=config.audio_codecs)
    for media in received:
        if not request.permissions.may_publish(sources[media.kind]):
            raise RequestError(f"not allowed to publish {sources[media.kind]}", code="not_allowed")
    return description, received


def read_play_offer(offer: str, config: ControlSettings) -> RemoteDescription:
    """Before anyone joins. Raises `SdpError`."""
    description = as_receiver(_read_offer(offer, config))
    read_playback(description, video_codecs=config.video_codecs, audio_codecs=config.audio_codecs)
    return description


def _read_offer(offer: str, config: ControlSettings) -> RemoteDescription:
    return parse_description(offer, "offer", max_bytes=config.max_sdp_bytes, max_sections=config.max_media_sections)


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
        participant.publisher.pending.announce_received(received, sources)
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
