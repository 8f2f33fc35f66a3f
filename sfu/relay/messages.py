"""What nodes tell each other about rooms, as MessagePack: a tag for the kind of message, then its fields by name.

Between versions fields are only added, with a default; what a node does not know, field or kind, it leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sfu.api import (
    ConnectionQuality,
    DataKind,
    LeaveReason,
    ParticipantChanges,
    ParticipantInfo,
    Permissions,
    RoomInfo,
    SubscriptionRights,
    VideoLayerInfo,
)
from sfu.ids import Identity, ParticipantId, RoomName, TrackId
from sfu.sdp.model import ReceivedMedia


class _Message(msgspec.Struct, tag_field="kind"):
    pass


# --- rooms ----------------------------------------------------------------------------------------------


class RoomThere(_Message, tag="room"):
    """The sender keeps this room, and holds it or not when nobody is in it."""

    room: RoomInfo
    changed_at_ms: int
    """When its metadata or limits were last set: the newest counts."""


class RoomLeft(_Message, tag="room_left"):
    """The sender does not keep it any more; where others do, it goes on."""

    name: RoomName


class RoomEnded(_Message, tag="room_ended"):
    """It has ended, for everyone."""

    name: RoomName
    reason: LeaveReason


# --- who is in them, and what they send ------------------------------------------------------------------


class ParticipantThere(_Message, tag="participant"):
    """A participant on the sender, new or changed."""

    room: RoomName
    info: ParticipantInfo
    rights: SubscriptionRights


class ParticipantGone(_Message, tag="participant_gone"):
    room: RoomName
    info: ParticipantInfo


class EncodingThere(msgspec.Struct, frozen=True):
    """A codec of a publication as it can be had over the link."""

    name: str
    cid: str
    received: ReceivedMedia
    """As its publisher sends it; payload types are the same on the link."""
    layers: Sequence[VideoLayerInfo]
    ssrcs: Sequence[tuple[int, int]]
    """Of each stream on the link, media and retransmission, in the order of `received.track.layers`."""


class Qualities(_Message, tag="qualities"):
    """How good the connections of participants on the sender are; only those that changed."""

    qualities: Sequence[ConnectionQuality]


class PublicationThere(_Message, tag="publication"):
    """A publication of a participant on the sender; what is to be seen of it stands in its participant's record."""

    room: RoomName
    participant_id: ParticipantId
    track_id: TrackId
    stream_label: str
    encodings: Sequence[EncodingThere]


class PublicationGone(_Message, tag="publication_gone"):
    room: RoomName
    track_id: TrackId


# --- what is wanted of the node that has it ----------------------------------------------------------------


class EncodingWish(msgspec.Struct, frozen=True):
    streams: Sequence[int]
    """Those that somebody is to get, by their place; none: nothing flows."""
    spatial: int
    """The highest spatial layer that somebody is to get, in the measure of `set_target_layer`."""
    quality: int
    """The best quality that somebody asked for; -1 for none. Decides what the publisher sends."""


class PublicationWish(_Message, tag="wish"):
    """What the sender's subscribers want of a publication, by the name of the codec: all that they want."""

    room: RoomName
    track_id: TrackId
    encodings: Mapping[str, EncodingWish]


class Subscribed(_Message, tag="subscribed"):
    """Somebody on the sender receives the track."""

    room: RoomName
    track_id: TrackId


class LinkKeys(_Message, tag="link_keys"):
    """Master keys and salts of the media between two nodes, as its sender uses them."""

    number: int
    """Goes up with each pair."""
    tx_key: bytes
    tx_salt: bytes
    rx_key: bytes
    rx_salt: bytes

    def __repr__(self) -> str:
        return f"LinkKeys({self.number})"


class LinkKeysTaken(_Message, tag="link_keys_taken"):
    number: int


# --- what is asked of the node that a participant is on ---------------------------------------------------------


class Remove(_Message, tag="remove"):
    participant_id: ParticipantId
    room: RoomName
    reason: LeaveReason


class Mute(_Message, tag="mute"):
    participant_id: ParticipantId
    room: RoomName
    track_id: TrackId
    muted: bool


class Change(_Message, tag="change"):
    participant_id: ParticipantId
    room: RoomName
    changes: ParticipantChanges


class Permit(_Message, tag="permit"):
    participant_id: ParticipantId
    room: RoomName
    permissions: Permissions


class Subscribe(_Message, tag="subscribe"):
    participant_id: ParticipantId
    room: RoomName
    track_ids: Sequence[TrackId]
    subscribe: bool


class Move(_Message, tag="move"):
    participant_id: ParticipantId
    room: RoomName
    destination: RoomName
    create: bool


# --- data ----------------------------------------------------------------------------------------------------


class Data(_Message, tag="data"):
    """A message of a participant on the sender, or of the server when `participant_id` is empty."""

    room: RoomName
    participant_id: ParticipantId
    data_kind: DataKind
    payload: bytes
    sequence: int
    destinations: Sequence[Identity]
    """Empty: everyone."""


class DataWaits(_Message, tag="data_waits"):
    """Receivers on the sender are behind with reliable data of a participant, or not any more."""

    participant_id: ParticipantId
    room: RoomName
    waits: bool


class DataTrackWish(_Message, tag="data_track_wish"):
    """Somebody on the sender wants the data track, or nobody any more."""

    room: RoomName
    track_id: TrackId
    wanted: bool


class DataTrackPacket(_Message, tag="data_track_packet"):
    """One packet of a data track as its publisher sent it."""

    track_id: TrackId
    packet: bytes


class BlobThere(_Message, tag="blob"):
    """A participant on the sender has stored it."""

    room: RoomName
    participant_id: ParticipantId
    key: bytes
    contents: bytes


class Word(_Message, tag="word"):
    """Something that is not the SFU's: of signaling, by topic."""

    topic: str
    payload: bytes


Message = (
    RoomThere
    | RoomLeft
    | RoomEnded
    | ParticipantThere
    | ParticipantGone
    | PublicationThere
    | PublicationGone
    | PublicationWish
    | Subscribed
    | LinkKeys
    | LinkKeysTaken
    | Remove
    | Mute
    | Change
    | Permit
    | Subscribe
    | Move
    | Data
    | DataWaits
    | DataTrackWish
    | DataTrackPacket
    | BlobThere
    | Qualities
    | Word
)
Request = Remove | Mute | Change | Permit | Subscribe | Move

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Message).decode
"""Raises `msgspec.ValidationError` for a kind that is not known here, or fields that do not fit."""
