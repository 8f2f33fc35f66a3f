"""Who is what in a room: owner > moderator > member > guest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sfu.ids import Identity, RoomName


class Role(StrEnum):
    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"
    GUEST = "guest"

    @property
    def rank(self) -> int:
        return _RANKS[self]

    def reaches(self, least: Role) -> bool:
        return self.rank >= least.rank


_RANKS = {Role.GUEST: 0, Role.MEMBER: 1, Role.MODERATOR: 2, Role.OWNER: 3}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something in a room that lasts. The role is the one of now, not the one of when a token was made."""

    room_key: int
    """The database's number of the room."""
    room: RoomName
    identity: Identity
    name: str
    role: Role
    device_id: str = ""
    """The device of the account that asks; empty for guests and for bearers of other tokens."""
    from_seq: int = 0
    """What is in the log up to here is not for them."""
    may_write: bool = True
    """Whether the room's policy lets them write to the log."""
    may_send_files: bool = True
    """Whether it lets them send files."""
    sealed: bool = False
    """Whether what they write must be encrypted: the room's kind."""
    may_read_history: bool = True
    """Whether they may read what was said before they came."""

    @property
    def member_id(self) -> str:
        return member_id_of(self.identity)


def member_id_of(identity: str) -> str:
    """The person behind a participant: a second participant of the same person has a suffix to its identity."""
    return identity.partition("~")[0]
