"""The door of a room that lasts: who comes in, who waits, who does not, and why.

The order of the questions is the order of the code. Owners and moderators never wait at their own door; nobody passes
it by coming early, because what opens a call is a token, and that is issued here.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sfu.api import Sfu
from sfu.ids import Identity, RoomName
from signaling.accounts.passwords import Passwords
from signaling.addresses import is_global
from signaling.errors import ApiError, TokenError
from signaling.grants import Grants
from signaling.rooms import keys
from signaling.rooms.admissions import MAX_ADMITTED, Admissions
from signaling.rooms.homes import Homes
from signaling.rooms.kinds import SEALED_ATTRIBUTE, SealedRooms
from signaling.rooms.knocks import Answer, Knock, Knocks
from signaling.rooms.policy import Entry, Kind
from signaling.rooms.records import Ban, Member, RoomStores, Standing
from signaling.rooms.roles import Actor, Role, member_id_of

ROLE_ATTRIBUTE = "ting.role"
"""Of participants, for every client to see; nobody may set it but the door."""


DeviceCheck = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever stands at the door, and what they bring."""

    name: str
    address: str
    key: str = ""
    """The guest key of this room."""
    account_id: str = ""
    device_id: str = ""
    earlier: Grants | None = None
    """Of a token of an earlier visit that is still good."""
    password: str = ""
    invitation: str = ""
    note: str = ""
    sealed: bool = False
    """Whether they encrypt what they send to a sealed room."""
    apart: bool = False
    """As a second participant of the same person."""


@dataclass(frozen=True, slots=True)
class Admitted:
    grants: Grants
    role: Role


class Door:
    """`pepper` makes hashes of addresses; `is_device_alive` says whether a device of an account is still signed in;
    `clock` gives Unix time in seconds."""

    def __init__(
        self,
        stores: RoomStores,
        sfu: Sfu,
        knocks: Knocks,
        passwords: Passwords,
        sealed_rooms: SealedRooms,
        homes: Homes,
        admissions: Admissions,
        *,
        pepper: bytes,
        is_device_alive: DeviceCheck | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._is_device_alive = is_device_alive
        self._stores = stores
        self._sfu = sfu
        self._knocks = knocks
        self._passwords = passwords
        self._sealed_rooms = sealed_rooms
        self._homes = homes
        self._pepper = pepper
        self._clock = clock
        self._devices: OrderedDict[tuple[RoomName, Identity], str] = OrderedDict()
        """With which device of an account somebody came into a call."""
        self._admissions = admissions

    async def enter(self, room: str, visitor: Visitor) -> Admitted | Knock | None:
        """Let in, left waiting, or (None) in front of a name that no room that lasts has. Raises `ApiError`: banned,
        kicked, denied, room_locked, room_full, members_only, password_needed, wrong_password, invitation_over."""
        if not self._stores.has_data:
            return None
        if self._homes.is_breakout(room):
            raise ApiError("members_only", "The way into a breakout room is through the room that it is of.")
        store = await self._stores.rooms()
        member_id = self._member_id(room, visitor)
        subjects = [member_id, keys.hash_address(self._pepper, visitor.address)]
        standing = await store.standing(room, member_id, subjects, self._now_ms())
        if standing is None:
            return None
        if visitor.account_id and visitor.key:
            standing = await self._adopt(standing, member_id, visitor)
        if standing.ban is not None and not standing.role.reaches(Role.MODERATOR):
            raise refusal(standing.ban)
        if visitor.invitation and not standing.role.reaches(Role.MEMBER):
            standing = await self._invite(standing, member_id, visitor)
        elif not (self._passes(standing, member_id, visitor) or await self._ask(standing, visitor)):
            return self._knock(standing, member_id, visitor)
        return self._admit(standing, member_id, visitor)

    def _member_id(self, room: str, visitor: Visitor) -> str:
        if visitor.account_id:
            return keys.member_id_of_account(visitor.account_id)
        if visitor.key:
            return keys.member_id_of_key(RoomName(room), visitor.key)
        earlier = visitor.earlier
        if earlier is not None and earlier.door and earlier.room == room and not earlier.device:
            return member_id_of(earlier.identity)
        return keys.member_id_of_key(RoomName(room), keys.new_key())

    def _passes(self, standing: Standing, member_id: str, visitor: Visitor) -> bool:
        """Whether nothing is asked at the door. Raises room_locked, members_only."""
        policy, role = standing.room.policy, standing.role
        if role.reaches(Role.MODERATOR):
            return True
        earlier = visitor.earlier
        was_in = (standing.room.room_key, member_id) in self._admissions or (
            earlier is not None
            and earlier.door
            and earlier.room_join
            and earlier.room == standing.room.name
            and member_id_of(earlier.identity) == member_id
        )
        if policy.locked:
            if self._is_in_call(standing, member_id):
                return True
            raise ApiError("room_locked", "The room is locked: nobody new comes in now.")
        if role.reaches(Role.MEMBER) or policy.entry is Entry.OPEN or was_in:
            return True
        if policy.entry is Entry.MEMBERS:
            raise ApiError("members_only", "Only members of this room come in.")
        return False

    def _is_in_call(self, standing: Standing, member_id: str) -> bool:
        rooms = self._homes.rooms_of(standing.room.name)
        people = (person for room in rooms for person in self._sfu.participants(room))
        return any(member_id_of(person.identity) == member_id for person in people)

    async def _ask(self, standing: Standing, visitor: Visitor) -> bool:
        """Whether a password opened the door; False: they have to knock. Raises password_needed, wrong_password."""
        if standing.room.policy.entry is Entry.KNOCK:
            return False
        if not visitor.password:
            raise ApiError("password_needed", "This room has a password.")
        if not await self._passwords.verify(standing.room.password_hash, visitor.password):
            raise ApiError("wrong_password", "That is not the password of this room.")
        return True

    async def _adopt(self, standing: Standing, member_id: str, visitor: Visitor) -> Standing:
        """An account takes over what a guest key stands for, where that is more: the key is worth nothing then."""
        store, room = await self._stores.rooms(), standing.room
        guest_id = keys.member_id_of_key(room.name, visitor.key)
        guest = await store.standing(room.name, guest_id, [guest_id], self._now_ms())
        if guest is None or guest.member is None or guest.role.rank <= standing.role.rank:
            return standing
        member = Member(member_id, guest.role, visitor.name, self._now_ms())
        await store.put_member(room.room_key, member)
        await store.remove_member(room.room_key, guest_id)
        return replace(standing, member=member)

    async def _invite(self, standing: Standing, member_id: str, visitor: Visitor) -> Standing:
        """Raises invitation_over, room_locked."""
        if standing.room.policy.locked:
            raise ApiError("room_locked", "The room is locked: nobody new comes in now.")
        store, now_ms = await self._stores.rooms(), self._now_ms()
        secret = keys.hash_secret(visitor.invitation)
        invitation = await store.use_invitation(standing.room.room_key, secret, now_ms)
        if invitation is None:
            raise ApiError("invitation_over", "This invitation was used, has ended, or was taken back.")
        if invitation.role is Role.GUEST:
            return standing
        member = Member(member_id, invitation.role, visitor.name, now_ms)
        await store.put_member(standing.room.room_key, member)
        return replace(standing, member=member)

    def _knock(self, standing: Standing, member_id: str, visitor: Visitor) -> Knock:
        return self._knocks.knock(
            standing.room.room_key, member_id, self._identity(member_id, visitor), visitor.name, visitor.note,
            visitor.address, sealed=visitor.sealed,
        )  # fmt: skip

    def _identity(self, member_id: str, visitor: Visitor) -> Identity:
        return keys.second_identity(member_id) if visitor.apart else Identity(member_id)

    def _admit(self, standing: Standing, member_id: str, visitor: Visitor) -> Admitted:
        self._remember(standing.room.room_key, member_id, visitor.address)
        from_seq = standing.room.last_seq
        if visitor.earlier is not None and member_id_of(visitor.earlier.identity) == member_id and visitor.earlier.door:
            from_seq = visitor.earlier.from_seq
        identity = self._identity(member_id, visitor)
        grants = _grants(standing, identity, visitor.name, visitor.device_id, from_seq, encrypts=visitor.sealed)
        return Admitted(grants, standing.role)

    async def admit_knock(self, room: str, knock: Knock) -> Admitted:
        """What the guest gets who was let in. Raises `ApiError` knock_not_found, denied, banned, kicked."""
        if knock.answer is not Answer.ADMITTED:
            raise ApiError("denied", "You were not let in.")
        store = await self._stores.rooms()
        standing = await store.standing(room, knock.member_id, [knock.member_id], self._now_ms())
        if standing is None or standing.room.room_key != knock.room_key:
            raise ApiError("knock_not_found", "Nobody waits there any more.")
        if standing.ban is not None:
            raise refusal(standing.ban)
        self._remember(standing.room.room_key, knock.member_id, knock.address)
        self._knocks.withdraw(knock)
        identity, from_seq = Identity(knock.identity), standing.room.last_seq
        return Admitted(_grants(standing, identity, knock.name, "", from_seq, encrypts=knock.sealed), standing.role)

    def _remember(self, room_key: int, member_id: str, address: str) -> None:
        self._admissions.add(
            room_key, member_id, [keys.hash_address(self._pepper, address)] if is_global(address) else []
        )

    def addresses_of(self, room_key: int, member_id: str) -> tuple[str, ...]:
        """Hashes of those from which somebody came in during the present call; those of a local network and of a proxy
        on it are everybody's, and not among them."""
        return self._admissions.addresses_of(room_key, member_id)

    def forget(self, room_key: int, member_id: str | None = None) -> None:
        """Who was put out, or (None) everybody: the call is over."""
        self._admissions.forget(room_key, member_id)

    # --- tokens ---------------------------------------------------------------------------------------------

    async def check(self, grants: Grants) -> Grants:
        """What a token that may join is worth now: of our own door, the role is that of now; one that an application
        issued is believed, but kept out by a ban and a lock. Raises `TokenError` not_allowed."""
        if not self._stores.has_data:
            return grants
        if grants.device and not await self._is_alive(grants.device):
            raise TokenError("revoked", "the device was signed out")
        member_id = member_id_of(grants.identity)
        store = await self._stores.rooms()
        home = self._homes.home_of(grants.room)
        standing = await store.standing(home, member_id, [member_id], self._now_ms())
        if standing is None:
            if grants.door:
                raise TokenError("not_allowed", "there is no such room any more")
            return grants
        role = standing.role
        powerful = role.reaches(Role.MODERATOR) or (grants.room_admin and not grants.door)
        if standing.ban is not None and not powerful:
            raise TokenError("not_allowed", str(refusal(standing.ban)))
        if standing.room.policy.locked and not powerful and not self._is_in_call(standing, member_id):
            raise TokenError("not_allowed", "the room is locked")
        grants = replace(grants, sealed=self._sealed_rooms.note(standing.room))
        if not grants.door:
            return replace(grants, attributes=_with_role(grants, Role.MODERATOR if grants.room_admin else role))
        self._note_device(grants)
        return replace(grants, room_admin=role.reaches(Role.MODERATOR), attributes=_with_role(grants, role))

    async def actor(self, room: str, grants: Grants) -> Actor | None:
        """Who the bearer of a room token is now. None when no room that lasts has this name, or the token is for
        another one. Raises `ApiError` banned, kicked."""
        if not self._stores.has_data or self._homes.home_of(grants.room) != room:
            return None
        if grants.device and not await self._is_alive(grants.device):
            raise ApiError("unauthorized", "This device was signed out.")
        member_id = member_id_of(grants.identity)
        store = await self._stores.rooms()
        standing = await store.standing(room, member_id, [member_id], self._now_ms())
        if standing is None:
            return None
        role = standing.role
        if grants.room_admin and not grants.door and not role.reaches(Role.MODERATOR):
            role = Role.MODERATOR
        if standing.ban is not None and not role.reaches(Role.MODERATOR):
            raise refusal(standing.ban)
        return Actor(
            room_key=standing.room.room_key,
            room=standing.room.name,
            identity=Identity(grants.identity),
            name=grants.name,
            role=role,
            device_id=grants.device,
            from_seq=0 if standing.room.policy.history or role.reaches(Role.MEMBER) else grants.from_seq,
            may_write=standing.room.policy.guests_write or role.reaches(Role.MEMBER),
            may_send_files=standing.room.policy.files or role.reaches(Role.MODERATOR),
            sealed=standing.room.policy.kind is Kind.SEALED,
            may_read_history=standing.room.policy.history or role.reaches(Role.MEMBER),
        )

    async def _is_alive(self, device_id: str) -> bool:
        return self._is_device_alive is not None and await self._is_device_alive(device_id)

    def _note_device(self, grants: Grants) -> None:
        place = self._homes.home_of(grants.room), Identity(grants.identity)
        if grants.device or place in self._devices:
            self._devices[place] = grants.device
            self._devices.move_to_end(place)
            while len(self._devices) > MAX_ADMITTED:
                self._devices.popitem(last=False)

    def end_device(self, device_id: str) -> None:
        """A device was signed out: whoever is in a call with it leaves at once."""
        for place in [place for place, device in self._devices.items() if device == device_id]:
            del self._devices[place]
            for room in self._homes.rooms_of(place[0]):
                if self._sfu.find_participant(room, place[1]) is not None:
                    self._sfu.remove_participant(room, place[1])

    async def participant(self, room: str, identity: str, name: str) -> Actor | None:
        """Who somebody in the call is in its room. None when the room does not last. Raises `ApiError`."""
        home = self._homes.home_of(room)
        return await self.actor(home, Grants(identity=identity, name=name, room=home))

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def refusal(ban: Ban) -> ApiError:
    if ban.kind == "kick":
        return ApiError("kicked", "You were put out of the room and cannot come back yet.")
    return ApiError("banned", "You may not come into this room any more.")


def _grants(
    standing: Standing, identity: Identity, name: str, device_id: str, from_seq: int, *, encrypts: bool
) -> Grants:
    grants = Grants(
        identity=identity,
        name=name,
        room=standing.room.name,
        room_join=True,
        room_admin=standing.role.reaches(Role.MODERATOR),
        guest=True,
        door=True,
        device=device_id,
        from_seq=from_seq,
        sealed=standing.room.policy.kind is Kind.SEALED,
    )
    if grants.sealed and encrypts:
        grants = replace(grants, attributes={SEALED_ATTRIBUTE: "1"})
    return replace(grants, attributes=_with_role(grants, standing.role))


def _with_role(grants: Grants, role: Role) -> dict[str, str]:
    return {**grants.attributes, ROLE_ATTRIBUTE: role.value}
