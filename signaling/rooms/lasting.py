"""Rooms that last: made, looked up, changed, given up; their members and invitations.

Each act of a person is written into the room's log before it is answered.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sfu.ids import RoomName
from signaling.accounts.passwords import Passwords
from signaling.errors import ApiError
from signaling.rooms import keys
from signaling.rooms.policy import Entry, Kind, Policy
from signaling.rooms.records import Chronicle, Invitation, Member, Room, RoomChange, RoomStores
from signaling.rooms.roles import Actor, Role
from signaling.rooms.settings import LastingRoomSettings

_NAME_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_NAME_TRIES = 5
CloseListener = Callable[[Room], None]
PolicyListener = Callable[[int, Policy], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Founder:
    """Whose the new room is."""

    member_id: str
    name: str


class LastingRooms:
    """`clock` gives Unix time in seconds."""

    def __init__(
        self,
        stores: RoomStores,
        passwords: Passwords,
        chronicle: Chronicle,
        settings: LastingRoomSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._passwords = passwords
        self._chronicle = chronicle
        self._settings = settings
        self._clock = clock
        self._deletion_listeners: list[CloseListener] = []
        self._policy_listeners: list[PolicyListener] = []

    def add_deletion_listener(self, listener: CloseListener) -> None:
        """Called when a room is about to be deleted with all that it has."""
        self._deletion_listeners.append(listener)

    def add_policy_listener(self, listener: PolicyListener) -> None:
        """Awaited with the room's key and its new policy."""
        self._policy_listeners.append(listener)

    async def create(
        self,
        name: str,
        title: str,
        policy: Policy,
        password: str,
        founder: Callable[[RoomName], Founder | None],
        gate_hash: str | None = None,
    ) -> Room:
        """With an empty name, one that cannot be guessed. `gate_hash` is of what a sealed room's link proves itself
        with. Raises `ApiError` name_taken."""
        password_hash = await self._hash(policy, password, "")
        store = await self._stores.rooms()
        for _ in range(_NAME_TRIES):
            chosen = RoomName(name or _new_name())
            owner = founder(chosen)
            now_ms = self._now_ms()
            members = [] if owner is None else [Member(owner.member_id, Role.OWNER, owner.name, now_ms)]
            wanted = Room(0, chosen, title or chosen, now_ms, policy, password_hash, 0)
            room = await store.create_room(wanted, members, gate_hash)
            if room is not None:
                by, by_name = ("", "") if owner is None else (owner.member_id, owner.name)
                await self._chronicle.note_act(room.room_key, by, by_name, "create", {"title": room.title})
                return room
            if name:
                break
        raise ApiError("name_taken", "There is a room of this name.")

    async def find(self, name: str) -> Room | None:
        if not self._stores.has_data:
            return None
        return await (await self._stores.rooms()).find_room(name)

    async def public_title(self, name: str) -> str:
        """The title of a room that anybody may enter and read; empty for all others. Raises `DatabaseError`."""
        room = await self.find(name)
        if room is None or room.policy.entry is not Entry.OPEN or room.policy.kind is not Kind.OPEN:
            return ""
        return "" if room.policy.locked else room.title

    async def require(self, actor: Actor) -> Room:
        """Raises `ApiError` room_not_found."""
        room = await self.find(actor.room)
        if room is None or room.room_key != actor.room_key:
            raise ApiError("room_not_found", "There is no such room now.")
        return room

    async def change(self, actor: Actor, changes: dict[str, Any], title: str | None, password: str | None) -> Room:
        """`changes` are fields of `Policy`; `password` None leaves it, empty takes it away. Raises `ApiError`."""
        room = await self.require(actor)
        if changes.get("kind") is Kind.SEALED:
            if room.policy.kind is Kind.OPEN:
                raise ApiError("invalid_body", "A room is sealed from its beginning.")
            # As it is. Written all the same, it would seal again what another owner opens at this moment.
            changes = {name: value for name, value in changes.items() if name != "kind"}
        policy = msgspec.structs.replace(room.policy, **changes)
        password_hash = await self._hash(policy, password, room.password_hash)
        changed = replace(
            room, title=room.title if title is None else title, policy=policy, password_hash=password_hash
        )
        if changed == room:
            return room
        said: dict[str, object] = dict(changes)
        if title is not None:
            said["title"] = title
        if password is not None:
            said["password"] = bool(password)
        change = RoomChange(changes, title, None if password is None else password_hash)
        await self._chronicle.note_policy(room.room_key, actor.member_id, actor.name, said, change)
        now = await self.require(actor)
        for listener in self._policy_listeners if now.policy != room.policy else ():
            await listener(room.room_key, now.policy)
        return now

    async def _hash(self, policy: Policy, password: str | None, old_hash: str) -> str:
        new_hash = old_hash if password is None else await self._passwords.renew(password) if password else ""
        if policy.entry is Entry.PASSWORD and not new_hash:
            raise ApiError("invalid_body", "A room that asks for a password needs one.")
        return new_hash

    async def delete(self, actor: Actor) -> None:
        await self.remove(await self.require(actor))

    async def remove(self, room: Room) -> None:
        """With all that it has; whoever may was asked before."""
        for listener in self._deletion_listeners:
            listener(room)
        await (await self._stores.rooms()).delete_room(room.room_key)

    # --- members --------------------------------------------------------------------------------------------

    async def members(self, actor: Actor) -> list[Member]:
        return await (await self._stores.rooms()).members(actor.room_key)

    async def set_role(self, actor: Actor, member_id: str, name: str, role: Role) -> None:
        """Raises `ApiError` last_owner, forbidden, limit_reached."""
        store = await self._stores.rooms()
        members = {member.member_id: member for member in await store.members(actor.room_key)}
        old = members[member_id].role if member_id in members else Role.GUEST
        if not actor.role.reaches(Role.OWNER) and (old.reaches(Role.MODERATOR) or role.reaches(Role.MODERATOR)):
            raise ApiError("forbidden", "Only an owner decides who owns and who moderates.")
        if old is role:
            return
        if member_id not in members and len(members) >= self._settings.max_members:
            raise ApiError("limit_reached", "The room has as many members as it may have.")
        if member_id in members:
            name = members[member_id].name
            if old is Role.OWNER and not await store.change_role(actor.room_key, member_id, role):
                raise ApiError("last_owner", "The last owner names another one first.")
        await store.put_member(actor.room_key, Member(member_id, role, name, self._now_ms()))
        details = {"who": member_id, "who_name": name, "role": role.value}
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, "role", details)

    async def leave(self, actor: Actor) -> None:
        """Give up one's membership. Raises `ApiError` last_owner."""
        if not await (await self._stores.rooms()).remove_member(actor.room_key, actor.member_id):
            raise ApiError("last_owner", "The last owner names another one first.")
        details = {"who": actor.member_id, "who_name": actor.name, "role": Role.GUEST.value}
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, "role", details)

    # --- invitations ----------------------------------------------------------------------------------------

    async def invite(self, actor: Actor, role: Role, uses: int | None, ttl_s: int | None) -> tuple[Invitation, str]:
        """The invitation, and its secret, which is shown this once. Raises `ApiError` forbidden, limit_reached."""
        if role.reaches(Role.MODERATOR) and not actor.role.reaches(Role.OWNER):
            raise ApiError("forbidden", "Only an owner decides who owns and who moderates.")
        store, now_ms = await self._stores.rooms(), self._now_ms()
        if len(await store.invitations(actor.room_key, now_ms)) >= self._settings.max_invitations:
            raise ApiError("limit_reached", "The room has as many open invitations as it may have.")
        secret = secrets.token_urlsafe(24)
        expires_at_ms = None if ttl_s is None else now_ms + 1000 * ttl_s
        invitation = Invitation(secrets.token_hex(8), keys.hash_secret(secret), role, uses, now_ms, expires_at_ms)
        await store.put_invitation(actor.room_key, invitation)
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, "invite", {"role": role.value})
        return invitation, secret

    async def invitations(self, actor: Actor) -> list[Invitation]:
        return await (await self._stores.rooms()).invitations(actor.room_key, self._now_ms())

    async def take_back(self, actor: Actor, invitation_id: str) -> None:
        """Raises `ApiError` not_found."""
        if not await (await self._stores.rooms()).remove_invitation(actor.room_key, invitation_id):
            raise ApiError("not_found", "There is no such invitation.")
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, "uninvite", {})

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def _new_name() -> str:
    """Three groups, about 60 bits: easy to read out, and not to be guessed."""
    groups = ("".join(secrets.choice(_NAME_LETTERS) for _ in range(4)) for _ in range(3))
    return "-".join(groups)
