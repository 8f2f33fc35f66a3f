"""Rooms that last over REST: made, looked at, changed, given up; members, invitations, bans."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web

from sfu.ids import RoomName
from signaling.addresses import ClientAddresses
from signaling.api.authority import RequestAuthority
from signaling.api.gate import Gate, hash_of_gate
from signaling.api.sessions import Sessions
from signaling.api.typed import Access, Input, Struct, route
from signaling.errors import ApiError
from signaling.limits import AddressLimiter
from signaling.retention.store import Erasure, RetentionStores
from signaling.rooms import keys
from signaling.rooms.calls import RoomService, clean_guest_name, clean_room_name, clean_title
from signaling.rooms.lasting import Founder, LastingRooms
from signaling.rooms.moderation import Moderation
from signaling.rooms.policy import Entry, Keeps, Kind, Policy, RetentionFrom, Seconds
from signaling.rooms.records import Ban, Invitation, Member, Room
from signaling.rooms.roles import Actor, Role
from signaling.rooms.settings import LastingRoomSettings

Name = Annotated[str, msgspec.Meta(max_length=512)]


class NewRoom(Input):
    name: Name = ""
    """The last part of its link; empty: one that cannot be guessed."""
    title: Name = ""
    key: Annotated[str, msgspec.Meta(max_length=keys.MAX_KEY_LENGTH)] = ""
    """The guest key that owns it: 256 random bits in base64url, made by the page and kept by it."""
    owner_name: Name = ""
    owner: Name = ""
    """With a token that has `roomCreate`: the identity that owns it."""
    policy: Policy = msgspec.field(default_factory=Policy)
    password: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    gate: Gate | None = None
    """Of a sealed room: what its link proves itself with. None: that of its first commit."""


class PolicyChange(Input):
    """Fields that are left out stay as they are."""

    kind: Kind | msgspec.UnsetType = msgspec.UNSET
    """Only from sealed to open; an owner's."""
    entry: Entry | msgspec.UnsetType = msgspec.UNSET
    locked: bool | msgspec.UnsetType = msgspec.UNSET
    keeps: Keeps | msgspec.UnsetType = msgspec.UNSET
    history: bool | msgspec.UnsetType = msgspec.UNSET
    member_history: bool | msgspec.UnsetType = msgspec.UNSET
    retention_s: Seconds | msgspec.UnsetType | None = msgspec.UNSET
    retention_from: RetentionFrom | msgspec.UnsetType = msgspec.UNSET
    hold: bool | msgspec.UnsetType = msgspec.UNSET
    read_markers: bool | msgspec.UnsetType = msgspec.UNSET
    guests_write: bool | msgspec.UnsetType = msgspec.UNSET
    files: bool | msgspec.UnsetType = msgspec.UNSET
    call_timelines: bool | msgspec.UnsetType = msgspec.UNSET


class RoomChange(Input):
    title: Name | None = None
    password: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    """Empty: none any more."""
    policy: PolicyChange = msgspec.field(default_factory=PolicyChange)


class RoomView(Struct):
    name: str
    title: str
    created_at_ms: int
    policy: Policy
    has_password: bool
    last_seq: int
    """Of the newest entry of its log."""
    erasure: Erasure
    """Where nothing is left of what was removed, a few minutes later: in all files of the database, or in its tables,
    while its own log, archive or replicas may have it for longer."""
    role: Role
    """Of whoever asks."""
    member_id: str


class CreatedRoom(Struct):
    name: str
    title: str
    created_at_ms: int
    policy: Policy
    member_id: str
    """Of its owner; empty when it has none."""


class MemberView(Struct):
    member_id: str
    role: Role
    name: str
    added_at_ms: int


class Members(Struct):
    members: list[MemberView]


class RoleChange(Input):
    role: Role
    name: Name = ""
    """Of somebody who has no role yet."""


class NewInvitation(Input):
    role: Role = Role.GUEST
    uses: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    """None: as many as come before it ends."""
    ttl_s: Annotated[int, msgspec.Meta(ge=60, le=366 * 86_400)] | None = None


class InvitationView(Struct):
    invitation_id: str
    role: Role
    uses_left: int | None
    created_at_ms: int
    expires_at_ms: int | None
    secret: str = ""
    """Only in the answer to its making: `/r/NAME#invitation=SECRET` is its link."""


class Invitations(Struct):
    invitations: list[InvitationView]


class BanView(Struct):
    member_id: str
    name: str
    at_ms: int


class Bans(Struct):
    bans: list[BanView]


class NewBan(Input):
    member_id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    name: Name = ""


class LastingRoomsEndpoint:
    def __init__(
        self,
        authority: RequestAuthority,
        sessions: Sessions,
        addresses: ClientAddresses,
        limiter: AddressLimiter,
        rooms: LastingRooms,
        calls: RoomService,
        moderation: Moderation,
        retention: RetentionStores,
        settings: LastingRoomSettings,
    ) -> None:
        """`limiter` is for making rooms."""
        self._authority = authority
        self._sessions = sessions
        self._addresses = addresses
        self._limiter = limiter
        self._rooms = rooms
        self._calls = calls
        self._moderation = moderation
        self._retention = retention
        self._settings = settings

    @route(
        "POST", "/api/v1/rooms", access=Access.ANYONE, status=201,
        errors=("invalid_room_name", "invalid_name", "guests_disabled", "name_taken", "rate_limited", "forbidden"),
    )  # fmt: skip
    async def create_room(self, request: web.Request, body: NewRoom) -> CreatedRoom:
        """Make a room that lasts.

        A guest sends a key, which from then on is the proof of owning the room; whoever is signed in owns it with the
        account. A bearer token with `roomCreate` makes a room for the identity `owner`, or one without an owner.
        """
        grants = self._authority.may_create_rooms(request)
        session = None if grants is not None else await self._sessions.session_of(request)
        if grants is None:
            if session is None and not self._settings.guest_rooms:
                raise ApiError("guests_disabled", "Only applications and accounts make rooms here.")
            if (session is None and not keys.is_key(body.key)) or body.owner:
                raise ApiError("invalid_body", "A key of 32 to 128 base64url characters is needed, and no owner.")
            wait_s = self._limiter.take(self._addresses.of(request))
            if wait_s:
                raise ApiError("rate_limited", "Too many new rooms; please wait.", retry_after_s=wait_s)
        name = clean_room_name(body.name) if body.name else RoomName("")
        if body.policy.kind is Kind.SEALED and self._calls.find(name) is not None:
            # Who is in it came past no door that asks whether they encrypt.
            raise ApiError("name_taken", "There is a call of this name now.")
        owner_name = clean_guest_name(body.owner_name) if body.owner_name else ""
        account_id, account_name = ("", "") if session is None else (session.account_id, session.name)

        def founder(room: RoomName) -> Founder | None:
            if account_id:
                return Founder(keys.member_id_of_account(account_id), owner_name or account_name)
            if grants is None:
                return Founder(keys.member_id_of_key(room, body.key), owner_name)
            return Founder(body.owner, owner_name) if body.owner else None

        room = await self._rooms.create(
            name, clean_title(body.title) if body.title else "", body.policy, body.password, founder,
            None if body.gate is None else hash_of_gate(body.gate),
        )  # fmt: skip
        owner = founder(room.name)
        return CreatedRoom(
            name=room.name,
            title=room.title,
            created_at_ms=room.created_at_ms,
            policy=room.policy,
            member_id="" if owner is None else owner.member_id,
        )

    @route("GET", "/api/v1/rooms/{room}/state", access=Access.GUEST)
    async def get_state(self, actor: Actor) -> RoomView:
        """Look at a room that lasts, from inside."""
        return await self._view(await self._rooms.require(actor), actor)

    @route("PATCH", "/api/v1/rooms/{room}", access=Access.MODERATOR, errors=("forbidden", "invalid_body"))
    async def change_room(self, actor: Actor, body: RoomChange) -> RoomView:
        """Change title, password or policy.

        Moderators lock and unlock and decide how one comes in; what is kept, and for how long, is the owner's.
        """
        policy: dict[str, Any] = {
            field: value
            for field in PolicyChange.__struct_fields__
            if (value := getattr(body.policy, field)) is not msgspec.UNSET
        }
        if not actor.role.reaches(Role.OWNER) and (body.title is not None or set(policy) - _MODERATORS_DECIDE):
            raise ApiError("forbidden", "Only an owner decides that.")
        title = None if body.title is None else clean_title(body.title)
        return await self._view(await self._rooms.change(actor, policy, title, body.password), actor)

    @route("DELETE", "/api/v1/rooms/{room}", access=Access.OWNER)
    async def delete_room(self, actor: Actor) -> None:
        """Delete a room with its log, its files, and everything else that it has."""
        await self._rooms.delete(actor)

    async def _view(self, room: Room, actor: Actor) -> RoomView:
        return RoomView(
            name=room.name,
            title=room.title,
            created_at_ms=room.created_at_ms,
            policy=room.policy,
            has_password=bool(room.password_hash),
            last_seq=room.last_seq,
            erasure=await (await self._retention.retention()).erasure(),
            role=actor.role,
            member_id=actor.member_id,
        )

    # --- members --------------------------------------------------------------------------------------------

    @route("GET", "/api/v1/rooms/{room}/members", access=Access.GUEST)
    async def get_members(self, actor: Actor) -> Members:
        """Everybody with a role above guest."""
        return Members(members=[_member(member) for member in await self._rooms.members(actor)])

    @route(
        "PUT", "/api/v1/rooms/{room}/members/{member}", access=Access.MODERATOR,
        errors=("forbidden", "last_owner", "limit_reached", "invalid_name"),
    )  # fmt: skip
    async def set_role(self, actor: Actor, member: str, body: RoleChange) -> None:
        """Give somebody a role.

        The last owner cannot give up the role without naming another one first.
        """
        name = clean_guest_name(body.name) if body.name else ""
        await self._rooms.set_role(actor, member, name, body.role)
        self._moderation.show_role(actor.room, member, body.role)

    @route("DELETE", "/api/v1/rooms/{room}/members/me", access=Access.MEMBER, errors=("last_owner",))
    async def leave(self, actor: Actor) -> None:
        """Give up one's own role."""
        await self._rooms.leave(actor)
        self._moderation.show_role(actor.room, actor.member_id, Role.GUEST)

    # --- invitations ----------------------------------------------------------------------------------------

    @route(
        "POST", "/api/v1/rooms/{room}/invitations", access=Access.MODERATOR, status=201,
        errors=("forbidden", "limit_reached"),
    )  # fmt: skip
    async def invite(self, actor: Actor, body: NewInvitation) -> InvitationView:
        """Make an invitation, for one or many, with or without an end."""
        invitation, secret = await self._rooms.invite(actor, body.role, body.uses, body.ttl_s)
        return msgspec.structs.replace(_invitation(invitation), secret=secret)

    @route("GET", "/api/v1/rooms/{room}/invitations", access=Access.MODERATOR)
    async def get_invitations(self, actor: Actor) -> Invitations:
        """Those that still open the door."""
        return Invitations(invitations=[_invitation(one) for one in await self._rooms.invitations(actor)])

    @route("DELETE", "/api/v1/rooms/{room}/invitations/{invitation}", access=Access.MODERATOR, errors=("not_found",))
    async def take_back(self, actor: Actor, invitation: str) -> None:
        """Take an invitation back."""
        await self._rooms.take_back(actor, invitation)

    # --- bans -----------------------------------------------------------------------------------------------

    @route("GET", "/api/v1/rooms/{room}/bans", access=Access.MODERATOR)
    async def get_bans(self, actor: Actor) -> Bans:
        """Who may not come in any more."""
        found = await self._moderation.bans(actor)
        return Bans(bans=[_ban(one) for one in found])

    @route("POST", "/api/v1/rooms/{room}/bans", access=Access.MODERATOR, errors=("forbidden", "invalid_name"))
    async def ban(self, actor: Actor, body: NewBan) -> None:
        """Put somebody out for good, and keep them out."""
        name = clean_guest_name(body.name) if body.name else ""
        await self._moderation.ban(actor, body.member_id, name)

    @route("DELETE", "/api/v1/rooms/{room}/bans/{member}", access=Access.MODERATOR, errors=("not_found",))
    async def lift_ban(self, actor: Actor, member: str) -> None:
        """Let somebody in again."""
        await self._moderation.lift(actor, member)


_MODERATORS_DECIDE = frozenset({"entry", "locked", "guests_write", "files"})


def _member(member: Member) -> MemberView:
    return MemberView(member_id=member.member_id, role=member.role, name=member.name, added_at_ms=member.added_at_ms)


def _invitation(invitation: Invitation) -> InvitationView:
    return InvitationView(
        invitation_id=invitation.invitation_id,
        role=invitation.role,
        uses_left=invitation.uses_left,
        created_at_ms=invitation.created_at_ms,
        expires_at_ms=invitation.expires_at_ms,
    )


def _ban(ban: Ban) -> BanView:
    return BanView(member_id=ban.member_id, name=ban.name, at_ms=ban.at_ms)
