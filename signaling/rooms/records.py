"""What is kept of rooms that last, and the Protocol of its store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sfu.ids import RoomName
from signaling.rooms.policy import Policy
from signaling.rooms.roles import Role


@dataclass(frozen=True, slots=True)
class Room:
    room_key: int
    name: RoomName
    title: str
    created_at_ms: int
    policy: Policy
    password_hash: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Member:
    member_id: str
    role: Role
    name: str
    added_at_ms: int
    read_seq: int = 0


@dataclass(frozen=True, slots=True)
class Ban:
    subject: str
    """A member id, or the keyed hash of an address."""
    kind: str
    """kick or ban."""
    member_id: str
    name: str
    at_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Invitation:
    invitation_id: str
    secret_hash: str
    role: Role
    uses_left: int | None
    created_at_ms: int
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True)
class RoomChange:
    """Of a room as it is at the moment of the change: two who change different things at once both have their way."""

    policy: Mapping[str, object]
    """Fields of `Policy` and their new values."""
    title: str | None = None
    """None: as it was; so for the hash."""
    password_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store knows of one person in one room."""

    room: Room
    member: Member | None
    ban: Ban | None

    @property
    def role(self) -> Role:
        return self.member.role if self.member is not None else Role.GUEST


class RoomStore(Protocol):
    """Every method may raise `DatabaseError`. Times are Unix time in milliseconds."""

    async def create_room(self, room: Room, members: Sequence[Member], gate_hash: str | None) -> Room | None:
        """The room with its key; None when the name is taken. `room.room_key` is not looked at."""
        ...

    async def find_room(self, name: str) -> Room | None: ...

    async def standing(self, name: str, member_id: str, subjects: Sequence[str], now_ms: int) -> Standing | None:
        """Room, membership, and the strongest ban of any of `subjects`. None when there is no such room."""
        ...

    async def delete_room(self, room_key: int) -> None:
        """With everything that hangs on it."""

    async def list_rooms(self, after: str, limit: int) -> list[Room]: ...

    async def members(self, room_key: int) -> list[Member]: ...

    async def put_member(self, room_key: int, member: Member) -> None:
        """Insert, or change role and name."""

    async def change_role(self, room_key: int, member_id: str, role: Role) -> bool:
        """False, and nothing is changed, when the room would be left without an owner."""
        ...

    async def remove_member(self, room_key: int, member_id: str) -> bool:
        """As `change_role`."""
        ...

    async def mark_read(self, room_key: int, member_id: str, name: str, seq: int, now_ms: int) -> bool:
        """Whether it moved forward."""
        ...

    async def readers(self, room_key: int, limit: int) -> list[Member]:
        """Who has read something, guests too; those who have read most come first."""
        ...

    async def put_bans(self, room_key: int, bans: Sequence[Ban]) -> None: ...

    async def bans(self, room_key: int, now_ms: int) -> list[Ban]: ...

    async def remove_ban(self, room_key: int, member_id: str) -> bool: ...

    async def put_invitation(self, room_key: int, invitation: Invitation) -> None: ...

    async def invitations(self, room_key: int, now_ms: int) -> list[Invitation]: ...

    async def remove_invitation(self, room_key: int, invitation_id: str) -> bool: ...

    async def use_invitation(self, room_key: int, secret_hash: str, now_ms: int) -> Invitation | None:
        """Take one use of it, at once and once only, however many come. None when it is not there, used up or over."""
        ...


class RoomStores(Protocol):
    async def rooms(self) -> RoomStore:
        """Opens the database, if it is not open. Raises `DatabaseError`."""
        ...

    @property
    def has_data(self) -> bool:
        """False while the database was never opened and is known to be empty: then there are no rooms that last."""
        ...


class Chronicle(Protocol):
    """Where what was done in a room is written for all its members to read. No act without it."""

    async def note_act(self, room_key: int, by: str, name: str, act: str, details: Mapping[str, object]) -> None:
        """`by` is the member who did it, with its name of now. Raises `ApiError` when it could not be written."""

    async def note_policy(
        self, room_key: int, by: str, name: str, said: Mapping[str, object], change: RoomChange
    ) -> None:
        """`change` is made in the same transaction: neither without the other. Raises as `note_act`, and invalid_body
        for a room that would ask for a password and has none."""
