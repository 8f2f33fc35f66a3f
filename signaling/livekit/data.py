"""Routing of data packets: who sent it comes from the connection, never from the packet.

A `DataReceived` payload is a livekit.DataPacket. It is stamped with the sender's identity and participant id, its
destinations are worked out, and it goes on through the SFU. What cannot go on is a counted drop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from google.protobuf.message import DecodeError
from livekit.protocol import models

from sfu.api import DataKind, DataReceived, ParticipantSession
from sfu.errors import SfuError
from sfu.ids import Identity

DROP_REASONS = ("malformed", "not_allowed", "payload_not_allowed", "no_destination", "refused", "not_encrypted")
"""Why a data packet did not go on; labels of ting_data_packets_dropped_total."""

MAX_DESTINATIONS = 1000

FORWARDED = frozenset({
    "user", "chat_message", "transcription", "sip_dtmf", "rpc_request", "rpc_ack", "rpc_response",
    "stream_header", "stream_chunk", "stream_trailer", "encrypted_packet",
})  # fmt: skip
"""Payloads that pass to everyone. `metrics` go to those who may have them; `speaker` is the server's to say."""

Identities = Callable[[], Mapping[str, Identity]]
Observer = Callable[[ParticipantSession, models.DataPacket], None]


def route(
    session: ParticipantSession,
    event: DataReceived,
    identities: Identities,
    observe: Observer = lambda _session, _packet: None,
    *,
    sealed: bool = False,
) -> str | None:
    """Send on what the participant sent. `identities` gives participant id to identity of its room; `observe` sees what
    has gone on; in a `sealed` room nothing goes on but what is encrypted.

    Returns None, or one of `DROP_REASONS`.
    """
    sender = session.info
    if not sender.permissions.can_publish_data:
        return "not_allowed"
    try:
        packet = models.DataPacket.FromString(event.payload)
    except DecodeError:
        return "malformed"
    payload = packet.WhichOneof("value")
    if sealed and payload != "encrypted_packet":
        return "not_encrypted"
    if payload == "metrics":
        wanted: list[Identity] | None = _metrics_destinations(session)
    elif payload in FORWARDED:
        wanted = _wanted_destinations(packet, identities)
    else:
        return "payload_not_allowed"
    if wanted is not None and not wanted:
        # They named somebody, and nobody of them is known: that must not become "everyone".
        return "no_destination"
    packet.participant_identity = sender.identity
    packet.participant_sid = sender.participant_id
    packet.kind = models.DataPacket.RELIABLE if event.kind is DataKind.RELIABLE else models.DataPacket.LOSSY
    if packet.HasField("user"):
        packet.user.participant_identity = sender.identity
        packet.user.participant_sid = sender.participant_id
    if packet.HasField("transcription") and sender.kind != models.ParticipantInfo.AGENT:
        # Receivers show it as this participant's words: only agents write down what others say.
        packet.transcription.transcribed_participant_identity = sender.identity
    try:
        session.send_data(event.kind, packet.SerializeToString(), wanted or (), packet.sequence)
    except SfuError:
        return "refused"
    observe(session, packet)
    return None


def _metrics_destinations(session: ParticipantSession) -> list[Identity]:
    return [other.identity for other in session.others() if other.permissions.can_subscribe_metrics]


def _wanted_destinations(packet: models.DataPacket, identities: Identities) -> list[Identity] | None:
    """None when the packet is for everyone. Destinations may be named in the packet or, by older clients, in the
    user payload, there also by participant id; receivers find them in the packet in any case."""
    named = list(packet.destination_identities)
    ids: list[str] = []
    if packet.HasField("user"):
        named = named or list(packet.user.destination_identities)
        ids = list(packet.user.destination_sids)
    if not named and not ids:
        return None
    if len(named) + len(ids) > MAX_DESTINATIONS:
        return []
    if ids:
        known = identities()
        named += [known[participant_id] for participant_id in ids if participant_id in known]
    unique = list(dict.fromkeys(named))
    del packet.destination_identities[:]
    packet.destination_identities.extend(unique)
    return [Identity(name) for name in unique]
