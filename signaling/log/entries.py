"""Entries of a room's log: verbs, what each says, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from signaling.rooms.records import RoomChange

MAX_CLIENT_ID_LENGTH = 64
MAX_OPTIONS = 20


class Verb(StrEnum):
    MESSAGE = "message"
    EDIT = "edit"
    DELETE = "delete"
    REACT = "react"
    PIN = "pin"
    FILE = "file"
    POLL = "poll"
    VOTE = "vote"
    CLOSE_POLL = "close_poll"
    HAND = "hand"
    DRAW = "draw"
    BOARD = "board"
    # From here on the server alone writes.
    CALL_BEGAN = "call_began"
    CALL_ENDED = "call_ended"
    CAME = "came"
    LEFT = "left"
    MODERATION = "moderation"
    POLICY = "policy"


WRITABLE = frozenset({
    Verb.MESSAGE, Verb.EDIT, Verb.DELETE, Verb.REACT, Verb.PIN, Verb.FILE, Verb.POLL, Verb.VOTE, Verb.CLOSE_POLL,
    Verb.HAND, Verb.DRAW, Verb.BOARD,
})  # fmt: skip
"""What clients may write; the rest is the server's."""

DRAWN = frozenset({Verb.DRAW, Verb.BOARD})
"""What is drawn, not said: much of it, in larger pieces."""


class Drawn(StrEnum):
    """Whether a page of the log has what was drawn."""

    WITH = "with"
    WITHOUT = "without"
    ONLY = "only"


LASTING = frozenset({Verb.MODERATION, Verb.POLICY})
"""What was decided stays, whatever the policy says of what was said."""

Seq = Annotated[int, msgspec.Meta(ge=1)]
Breakout = Annotated[int, msgspec.Meta(ge=0, lt=1000)]
"""The breakout room in which something was written; 0: it is for all rooms."""
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a verb says beside its target."""


class MessageBody(Body):
    text: Annotated[str, msgspec.Meta(min_length=1)]
    """A subset of Markdown; the page renders it, the server does not."""
    mentions: Annotated[tuple[str, ...], msgspec.Meta(max_length=50)] = ()
    """Member ids."""
    breakout: Breakout = 0
    announce: bool = False
    """Owners and moderators say it to everybody, in all breakout rooms, and pages show it at once."""


class EditBody(Body):
    text: Annotated[str, msgspec.Meta(min_length=1)]
    mentions: Annotated[tuple[str, ...], msgspec.Meta(max_length=50)] = ()


class DeleteBody(Body):
    pass


class ReactBody(Body):
    emoji: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    on: bool = True


class PinBody(Body):
    on: bool = True


class FileBody(Body):
    file_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    type: Annotated[str, msgspec.Meta(max_length=255)] = ""
    width: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    breakout: Breakout = 0


class PollBody(Body):
    question: Short
    options: Annotated[tuple[Short, ...], msgspec.Meta(min_length=2, max_length=MAX_OPTIONS)]
    multiple: bool = False
    breakout: Breakout = 0


class VoteBody(Body):
    choices: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=0, lt=MAX_OPTIONS)], ...], msgspec.Meta(max_length=MAX_OPTIONS)
    ]
    """Numbers of options; none takes the vote back."""


class ClosePollBody(Body):
    pass


class HandBody(Body):
    up: bool


class Stroke(Body):
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    """A member id, by the word of the presenter, who alone knows who was allowed to draw."""
    name: Annotated[str, msgspec.Meta(max_length=512)]
    points: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=10_000)], ...], msgspec.Meta(min_length=2)]
    """x and y in turns, in ten thousandths of the picture's width and height."""


class DrawBody(Body):
    """What was drawn on the sender's shared screen and stays."""

    share: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """The sid of the shared track."""
    strokes: tuple[Stroke, ...] = ()
    clear: bool = False
    """All that was drawn there before was wiped off."""


MAX_PIECES = 64


class BoardBody(Body):
    """A change of the room's whiteboard, or that somebody has opened it."""

    opened: bool = False
    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Of the change, of which there may be several pieces."""
    part: Annotated[int, msgspec.Meta(ge=0, le=MAX_PIECES)] = 0
    """The first one is 1."""
    parts: Annotated[int, msgspec.Meta(ge=0, le=MAX_PIECES)] = 0
    update: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$")] = ""
    """Of Yjs, in base64url. The server does not look into it."""
    upto: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] | None = None
    """It is the whole board, with everything up to this entry."""


class Sealed(Body):
    """What was encrypted by its sender: SEALED.md, section 5."""

    group: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    epoch: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    data: Annotated[str, msgspec.Meta(min_length=1, pattern="^[A-Za-z0-9_-]+$")]
    """base64url."""


class SealedBody(Body):
    sealed: Sealed


class SealedFileBody(Body):
    file_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")]
    """So that the file goes when its entry goes."""
    sealed: Sealed
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of what is stored."""


BODIES: dict[Verb, type[Body]] = {
    Verb.MESSAGE: MessageBody,
    Verb.EDIT: EditBody,
    Verb.DELETE: DeleteBody,
    Verb.REACT: ReactBody,
    Verb.PIN: PinBody,
    Verb.FILE: FileBody,
    Verb.POLL: PollBody,
    Verb.VOTE: VoteBody,
    Verb.CLOSE_POLL: ClosePollBody,
    Verb.HAND: HandBody,
    Verb.DRAW: DrawBody,
    Verb.BOARD: BoardBody,
}


SEALED_BODIES: dict[Verb, type[Body]] = {
    **dict.fromkeys((Verb.MESSAGE, Verb.EDIT, Verb.REACT, Verb.POLL, Verb.VOTE, Verb.HAND, *DRAWN), SealedBody),
    Verb.FILE: SealedFileBody,
    Verb.DELETE: DeleteBody,
    Verb.PIN: PinBody,
    Verb.CLOSE_POLL: ClosePollBody,
}
"""In a sealed room. The last three have nothing to hide."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the server knows of a file, whatever its sender says."""

    name: str
    size: int
    type: str


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that somebody wants to write. `body` is checked already."""

    room_key: int
    verb: Verb
    sender: str
    """A member id; empty: the server."""
    name: str
    client_id: str
    """Chosen by the client: the same one again is the same entry."""
    body: dict[str, Any]
    target: int | None = None
    recipient: str = ""
    moderates: bool = False
    """Whether the sender may also touch what others wrote."""
    ttl_s: int | None = None
    """How long this entry is kept at most, whatever the room's policy says."""
    room_change: RoomChange | None = None
    """What is changed of the room in the same transaction."""
    silent: bool = False
    """Written also where the room keeps nothing: what the server notes for all to read."""


@dataclass(frozen=True, slots=True)
class Entry:
    seq: int
    """1 for the first of a room, without gaps; 0 where the room keeps nothing."""
    verb: Verb
    sender: str
    name: str
    client_id: str
    at_ms: int
    body: dict[str, Any] | None
    """None: it is gone, and a tombstone is left."""
    target: int | None = None
    recipient: str = ""
    expires_at_ms: int | None = None

    def visible_to(self, member_id: str) -> bool:
        return not self.recipient or member_id in (self.recipient, self.sender)


HIDDEN = frozenset({"timeline", "joined_at_ms", "leave_reason"})
"""Of the entry of who left a call: for whom it is about, and for owners and moderators, who ask for it."""


def shown_body(entry: Entry) -> dict[str, Any] | None:
    """What everybody who reads the log may see of it."""
    body = entry.body
    if body is None or entry.verb is not Verb.LEFT or "timeline" not in body:
        return body
    return {"measured": True, **{key: value for key, value in body.items() if key not in HIDDEN}}


def wire(entry: Entry, *, own: bool) -> dict[str, Any]:
    """As clients get it. `own`: the client id is its author's business only."""
    message: dict[str, Any] = {
        "seq": entry.seq,
        "verb": entry.verb.value,
        "from": entry.sender,
        "name": entry.name,
        "at_ms": entry.at_ms,
        "body": shown_body(entry),
    }
    if own:
        message["client_id"] = entry.client_id
    if entry.target is not None:
        message["target"] = entry.target
    if entry.recipient:
        message["to"] = entry.recipient
    if entry.expires_at_ms is not None:
        message["expires_at_ms"] = entry.expires_at_ms
    return message
