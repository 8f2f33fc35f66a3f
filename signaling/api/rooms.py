"""The way into a room: what is known of it from outside, and the door."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import msgspec
from aiohttp import web

from signaling.addresses import ClientAddresses
from signaling.api.server_view import ServerView
from signaling.api.sessions import Sessions
from signaling.api.settings import ApiSettings
from signaling.api.typed import Access, Input, Struct, route
from signaling.errors import ApiError, TokenError
from signaling.grants import Grants
from signaling.limits import AddressLimiter
from signaling.requests import bearer_token
from signaling.rooms import keys
from signaling.rooms.calls import GuestToken, RoomService, clean_guest_name, clean_note, clean_room_name
from signaling.rooms.door import Admitted, Door, Visitor
from signaling.rooms.knocks import Answer, Knock, Knocks
from signaling.rooms.lasting import LastingRooms
from signaling.rooms.policy import Entry, Kind
from signaling.rooms.roles import Role
from signaling.tokens import TokenService

_MAX_SECRET_LENGTH = 128


class DoorView(Struct):
    name: str
    num_participants: int
    created_at_ms: int
    lasts: bool
    """Whether it is there without a call."""
    title: str = ""
    kind: Kind = Kind.OPEN
    entry: Entry = Entry.OPEN
    locked: bool = False


class AtTheDoor(Input):
    name: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    """What the visitor is called."""
    key: Annotated[str, msgspec.Meta(max_length=keys.MAX_KEY_LENGTH)] = ""
    """The guest key of this room, which makes its bearer the same person again."""
    password: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    invitation: Annotated[str, msgspec.Meta(max_length=_MAX_SECRET_LENGTH)] = ""
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    """A line for those who let in."""
    sealed: bool = False
    """Whether the visitor encrypts what it sends to a sealed room; who does not may not join calls there."""
    apart: bool = False
    """As a second participant of the same person, who stays."""


class Admission(Struct):
    token: str
    """With a knock it opens nothing but the answer to it."""
    url: str
    """Where to join; empty: the page's own origin."""
    room: str
    identity: str
    lasts: bool = False
    role: Role = Role.GUEST
    kind: Kind | None = None
    """Of the room; None while the visitor waits at the door."""
    knock: str = ""
    """Not empty: the visitor waits at the door."""


class KnockAnswer(Struct):
    answer: Answer
    admission: Admission | None = None


class RoomsEndpoint:
    def __init__(
        self,
        calls: RoomService,
        rooms: LastingRooms,
        door: Door,
        knocks: Knocks,
        tokens: TokenService,
        sessions: Sessions,
        addresses: ClientAddresses,
        settings: ApiSettings,
        view: ServerView,
        *,
        lookup_limiter: AddressLimiter,
        token_limiter: AddressLimiter,
        password_limiter: AddressLimiter,
        public_url: str,
    ) -> None:
        self._calls = calls
        self._rooms = rooms
        self._door = door
        self._knocks = knocks
        self._tokens = tokens
        self._sessions = sessions
        self._addresses = addresses
        self._settings = settings
        self._view = view
        self._lookup_limiter = lookup_limiter
        self._token_limiter = token_limiter
        self._password_limiter = password_limiter
        self._signal_url = signal_url(public_url)

    @route("GET", "/api/v1/config", access=Access.ANYONE)
    async def get_config(self) -> ServerView:
        """What the page must know of the server."""
        return self._view

    @route("GET", "/api/v1/rooms/{room}", access=Access.ANYONE, errors=("invalid_room_name", "room_not_found"))
    async def get_room(self, request: web.Request, room: str) -> DoorView:
        """Look at a room from outside."""
        self._limit(request, self._lookup_limiter)
        name = clean_room_name(room)
        lasting = await self._rooms.find(name)
        call = self._calls.find(name)
        if lasting is None:
            if call is None:
                raise ApiError("room_not_found", "There is no such room now.")
            return DoorView(
                name=name, num_participants=call.num_participants, created_at_ms=call.created_at_ms, lasts=False
            )
        return DoorView(
            name=name,
            num_participants=0 if call is None else call.num_participants,
            created_at_ms=lasting.created_at_ms,
            lasts=True,
            title=lasting.title,
            kind=lasting.policy.kind,
            entry=lasting.policy.entry,
            locked=lasting.policy.locked,
        )

    @route(
        "POST", "/api/v1/rooms/{room}/tokens", access=Access.ANYONE,
        errors=(
            "invalid_room_name", "invalid_name", "guests_disabled", "room_full", "room_not_found", "banned", "kicked",
            "denied", "room_locked", "members_only", "password_needed", "wrong_password", "invitation_over",
        ),
    )  # fmt: skip
    async def enter(self, request: web.Request, room: str, body: AtTheDoor) -> Admission:
        """Ask to come in.

        A bearer token of an earlier visit keeps the identity, as does the guest key of the room. Where one has to
        knock, the answer has a `knock`, and `…/knocks/{knock}/answer` tells what became of it.
        """
        self._limit(request, self._token_limiter)
        name, visitor_name = clean_room_name(room), clean_guest_name(body.name)
        if body.key and not keys.is_key(body.key):
            raise ApiError("invalid_body", "The key is not one.")
        address = self._addresses.of(request)
        if body.password:
            self._limit_key(self._password_limiter, f"{address} {name}")
        earlier_token = bearer_token(request) or ""
        session = await self._sessions.session_of(request)
        visitor = Visitor(
            name=visitor_name,
            address=address,
            key=body.key,
            account_id="" if session is None else session.account_id,
            device_id="" if session is None else session.device_id,
            earlier=self._earlier(earlier_token),
            password=body.password,
            invitation=body.invitation,
            note=clean_note(body.note),
            sealed=body.sealed,
            apart=body.apart,
        )
        outcome = await self._door.enter(name, visitor)
        if outcome is None:
            return self._ephemeral(self._calls.issue_guest_token(name, visitor_name, earlier_token))
        if isinstance(outcome, Knock):
            return self._waiting(name, outcome)
        self._calls.require_place(name, outcome.grants.identity, exists=True)
        return self._admission(outcome)

    @route("GET", "/api/v1/rooms/{room}/knocks/{knock}/answer", access=Access.ANYONE, errors=("knock_not_found",))
    async def get_answer(self, request: web.Request, room: str, knock: str) -> KnockAnswer:
        """Wait for what becomes of a knock, for a while; then ask again.

        The bearer token is the one that the knock got.
        """
        name = clean_room_name(room)
        waiting = await self._own_knock(request, name, knock)
        answer = await self._knocks.wait(waiting, self._settings.knock_poll_s)
        if answer is not Answer.ADMITTED:
            return KnockAnswer(answer=answer)
        admitted = await self._door.admit_knock(name, waiting)
        return KnockAnswer(answer=answer, admission=self._admission(admitted))

    @route("DELETE", "/api/v1/rooms/{room}/knocks/{knock}", access=Access.ANYONE, errors=("knock_not_found",))
    async def withdraw(self, request: web.Request, room: str, knock: str) -> None:
        """Go away from the door."""
        self._knocks.withdraw(await self._own_knock(request, clean_room_name(room), knock))

    async def _own_knock(self, request: web.Request, room: str, knock_id: str) -> Knock:
        """Raises `ApiError` unauthorized, knock_not_found."""
        try:
            grants = self._tokens.verify(bearer_token(request) or "")
        except TokenError:
            raise ApiError("unauthorized", "The token of the knock is needed.") from None
        found = await self._rooms.find(room)
        if found is None or grants.room != room:
            raise ApiError("knock_not_found", "Nobody waits there any more.")
        waiting = self._knocks.find(found.room_key, knock_id)
        if waiting.identity != grants.identity or grants.room_join:
            raise ApiError("knock_not_found", "Nobody waits there any more.")
        return waiting

    def _earlier(self, token: str) -> Grants | None:
        """Of a token that is still good."""
        try:
            return self._calls.authorize_join(token) if token else None
        except TokenError:
            return None

    def _ephemeral(self, guest: GuestToken) -> Admission:
        return Admission(
            token=guest.token, url=self._signal_url, room=guest.room, identity=guest.identity, kind=Kind.OPEN
        )

    def _admission(self, admitted: Admitted) -> Admission:
        grants = admitted.grants
        return Admission(
            token=self._calls.issue_token(grants),
            url=self._signal_url,
            room=grants.room,
            identity=grants.identity,
            lasts=True,
            role=admitted.role,
            kind=Kind.SEALED if grants.sealed else Kind.OPEN,
        )

    def _waiting(self, room: str, knock: Knock) -> Admission:
        grants = Grants(identity=knock.identity, name=knock.name, room=room, guest=True, door=True)
        return Admission(
            token=self._calls.issue_token(grants),
            url="",
            room=room,
            identity=knock.identity,
            lasts=True,
            knock=knock.knock_id,
        )

    def _limit(self, request: web.Request, limiter: AddressLimiter) -> None:
        self._limit_key(limiter, self._addresses.of(request))

    def _limit_key(self, limiter: AddressLimiter, key: str) -> None:
        wait_s = limiter.take(key)
        if wait_s:
            raise ApiError("rate_limited", "Too many requests; please wait a moment.", retry_after_s=wait_s)


def signal_url(public_url: str) -> str:
    """The public URL as a WebSocket URL; empty stays empty and means the origin of the page."""
    if not public_url:
        return ""
    parts = urlsplit(public_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
