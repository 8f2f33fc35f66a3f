"""What the owner of a room decided: who comes in and how, and what the room keeps."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

MIN_RETENTION_S = 10
MAX_RETENTION_S = 10 * 366 * 86_400
Seconds = Annotated[int, msgspec.Meta(ge=MIN_RETENTION_S, le=MAX_RETENTION_S)]


class Entry(StrEnum):
    """How one comes in who is no member."""

    OPEN = "open"
    PASSWORD = "password"  # noqa: S105
    KNOCK = "knock"
    MEMBERS = "members"
    """Not at all."""


class Kind(StrEnum):
    """Who can read what is said in a room. SEALED.md, section 1."""

    OPEN = "open"
    """Its members and the server."""
    SEALED = "sealed"
    """Its members alone: what they send is encrypted between them."""


class Keeps(StrEnum):
    LOG = "log"
    NOTHING = "nothing"
    """What is said is passed on and never written; what was decided (moderation, policy) is written all the same."""


class RetentionFrom(StrEnum):
    SENDING = "sending"
    READING = "reading"
    """From when the last member has read it."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Kind = Kind.OPEN
    """Sealed from its beginning or never; a sealed room may be opened, and stays so."""
    entry: Entry = Entry.OPEN
    locked: bool = False
    """Nobody new comes in but owners and moderators."""
    keeps: Keeps = Keeps.LOG
    history: bool = True
    """Whether guests see what was said before they came. Members always do."""
    member_history: bool = False
    """Where the server keeps nothing: whether whoever comes later gets what was said from a member who is there."""
    retention_s: Seconds | None = None
    """How long entries are kept; None is for ever."""
    retention_from: RetentionFrom = RetentionFrom.SENDING
    hold: bool = False
    """Nothing is deleted while an owner holds it; an entry tells everybody."""
    read_markers: bool = False
    """Whether others see how far somebody has read."""
    guests_write: bool = True
    files: bool = True
    call_timelines: bool = False
    """Whether the log keeps, of whoever leaves a call, how it went for them: what their line took, which videos they
    got less of; for themselves, owners and moderators. The server knows that, not what was said."""


def decode(text: str) -> Policy:
    """What the database has. A field that an older version did not know has its default."""
    return msgspec.json.decode(text, type=Policy)


def encode(policy: Policy) -> str:
    return msgspec.json.encode(policy).decode()
