"""What clients send on `/api/v1/sync`: JSON objects with a `type`.

open    {room, token, since?, device?, join?}
                                follow a room; `since` is the newest entry that the client has, `device` the one
                                that takes part in the encryption of a sealed room, `join` its wish to be added to
                                the group, as in `POST .../seal/joins`
write   {room, verb, body, client_id, target?, to?, ttl_s?}
read    {room, seq}             how far one has read
typing  {room, on}
close   {room}
ping    {}
ask_history  {room}              in a room that keeps nothing: what a member has of it
history {room, question, entries}  the answer to `history_wanted`: the newest that one has, as many as fit
seal_ask   {room, ask}          to all other devices of a sealed room: SEALED.md, section 3
seal_give  {room, device, give} to one of them
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from signaling.api.sealed import Device, Wish
from signaling.api.typed import Input
from signaling.log.entries import Seq
from signaling.rooms.policy import Seconds

Room = Annotated[str, msgspec.Meta(max_length=512)]


class Open(Input, tag="open"):
    room: Room
    token: str
    since: Annotated[int, msgspec.Meta(ge=0)] | None = None
    device: Device | None = None
    join: Wish | None = None


class Write(Input, tag="write"):
    """As `NewEntry` of the REST interface."""

    room: Room
    verb: str
    client_id: str
    body: dict[str, Any] = msgspec.field(default_factory=dict)
    target: Seq | None = None
    to: Room = ""
    ttl_s: Seconds | None = None


class Read(Input, tag="read"):
    room: Room
    seq: Annotated[int, msgspec.Meta(ge=0)]


class Typing(Input, tag="typing"):
    room: Room
    on: bool


class Ask(Input, tag="seal_ask"):
    room: Room
    ask: dict[str, Any]


class Give(Input, tag="seal_give"):
    room: Room
    device: Device
    give: dict[str, Any]


class Close(Input, tag="close"):
    room: Room


class Ping(Input, tag="ping"):
    pass


class AskHistory(Input, tag="ask_history"):
    room: Room


class HandHistory(Input, tag="history"):
    room: Room
    question: Annotated[str, msgspec.Meta(max_length=64)]
    entries: list[Any]
    """`signaling.log.handing.HandedEntry`, which is looked at there."""


Message = Open | Write | Read | Typing | Ask | Give | Close | Ping | AskHistory | HandHistory
