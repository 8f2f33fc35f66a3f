"""Routes for admins beside accounts: rooms, calls, storage, hooks, and what admins did."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sfu.api import Sfu
from sfu.ids import RoomName
from signaling.accounts.devices import AccountSession
from signaling.accounts.service import Accounts
from signaling.api.typed import Access, Input, Struct, route
from signaling.errors import ApiError
from signaling.rooms.admin import AdminStores
from signaling.rooms.calls import RoomService, clean_room_name
from signaling.rooms.lasting import LastingRooms
from signaling.rooms.policy import Policy
from signaling.rooms.records import Chronicle, RoomStores

_MAX_HOOKS = 100


class Overview(Struct):
    rooms: int
    entries: int
    files: int
    file_bytes: int
    calls: int
    participants: int


class AdminRoom(Struct):
    name: str
    title: str
    created_at_ms: int
    policy: Policy
    members: int
    entries: int
    files: int
    file_bytes: int
    newest_at_ms: int | None
    participants: int
    """In its call now."""


class AdminRooms(Struct):
    rooms: list[AdminRoom]
    next: str | None
    """For `after` of the next page."""


class CallNode(Struct):
    name: str
    participants: int


class AdminCall(Struct):
    room: str
    lasts: bool
    participants: int
    began_at_ms: int
    nodes: list[CallNode]
    """Of a cluster: where its people are, as the node that answers knows."""


class AdminCalls(Struct):
    calls: list[AdminCall]


class AdminHook(Struct):
    room: str
    hook_id: str
    failures: int
    gone: bool
    waiting: int


class AdminHooks(Struct):
    hooks: list[AdminHook]


class AuditView(Struct):
    entry_id: int
    at_ms: int
    actor: str
    act: str
    subject: str
    details: dict[str, Any]


class AuditPage(Struct):
    entries: list[AuditView]


class RoomPageQuery(Input):
    after: Annotated[str, msgspec.Meta(max_length=512)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class AuditQuery(Input):
    before: Annotated[int, msgspec.Meta(ge=1)] = 2**53
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class AdminEndpoint:
    """Only there where there are accounts."""

    def __init__(
        self,
        accounts: Accounts,
        stores: RoomStores,
        sums: AdminStores,
        sfu: Sfu,
        calls: RoomService,
        rooms: LastingRooms,
        chronicle: Chronicle,
    ) -> None:
        self._accounts = accounts
        self._stores = stores
        self._sums = sums
        self._sfu = sfu
        self._calls = calls
        self._rooms = rooms
        self._chronicle = chronicle

    @route("GET", "/api/v1/admin/overview", access=Access.ADMIN)
    async def get_overview(self) -> Overview:
        """How much there is of everything."""
        totals = await (await self._sums.admin()).totals()
        calls = self._sfu.rooms()
        return Overview(
            rooms=totals.rooms,
            entries=totals.entries,
            files=totals.files,
            file_bytes=totals.file_bytes,
            calls=len(calls),
            participants=sum(call.num_participants for call in calls),
        )

    @route("GET", "/api/v1/admin/rooms", access=Access.ADMIN)
    async def list_rooms(self, query: RoomPageQuery) -> AdminRooms:
        """All rooms that last, in order of their names, without what was said in them."""
        found = await (await self._stores.rooms()).list_rooms(query.after, query.limit)
        sums = await (await self._sums.admin()).sums([room.room_key for room in found])
        rooms = []
        for room in found:
            its, call = sums[room.room_key], self._sfu.find_room(room.name)
            rooms.append(
                AdminRoom(
                    name=room.name,
                    title=room.title,
                    created_at_ms=room.created_at_ms,
                    policy=room.policy,
                    members=its.members,
                    entries=room.last_seq,
                    files=its.files,
                    file_bytes=its.file_bytes,
                    newest_at_ms=its.newest_at_ms,
                    participants=0 if call is None else call.num_participants,
                )
            )
        return AdminRooms(rooms=rooms, next=found[-1].name if len(found) == query.limit else None)

    @route("DELETE", "/api/v1/admin/rooms/{name}", access=Access.ADMIN_PROVED, errors=("room_not_found",))
    async def remove_room(self, actor: AccountSession, name: str) -> None:
        """Delete a room with its log, its files, and everything else that it has."""
        room = await self._rooms.find(clean_room_name(name))
        if room is None:
            raise ApiError("room_not_found", "There is no such room now.")
        await self._accounts.note(f"account:{actor.account_id}", "room_deleted", room.name, {})
        await self._rooms.remove(room)

    @route("GET", "/api/v1/admin/calls", access=Access.ADMIN)
    async def list_calls(self) -> AdminCalls:
        """The calls of now."""
        nodes = self._sfu.nodes()
        lasting = {call.name: await self._rooms.find(call.name) for call in self._sfu.rooms()}
        calls = [
            AdminCall(
                room=call.name,
                lasts=lasting[call.name] is not None,
                participants=call.num_participants,
                began_at_ms=call.created_at_ms,
                nodes=[
                    CallNode(name=node.name, participants=node.people[call.name])
                    for node in nodes
                    if call.name in node.people
                ],
            )
            for call in self._sfu.rooms()
            if call.name in lasting
        ]
        return AdminCalls(calls=calls)

    @route("POST", "/api/v1/admin/calls/{name}/end", access=Access.ADMIN_PROVED, errors=("room_not_found",))
    async def stop_call(self, actor: AccountSession, name: str) -> None:
        """End a call for all."""
        call = RoomName(name)
        if self._sfu.find_room(call) is None:
            raise ApiError("room_not_found", "There is no such call now.")
        await self._accounts.note(f"account:{actor.account_id}", "call_ended", call, {})
        room = await self._rooms.find(call)
        if room is not None:
            # The members read that it was an operator, not which one.
            await self._chronicle.note_act(room.room_key, "", "", "end_call", {"by": "operator"})
        self._calls.end_room(call)

    @route("GET", "/api/v1/admin/hooks", access=Access.ADMIN)
    async def list_hooks(self) -> AdminHooks:
        """Hooks of rooms whose receivers do not take what they should."""
        found = await (await self._sums.admin()).hooks(_MAX_HOOKS)
        return AdminHooks(
            hooks=[
                AdminHook(
                    room=one.room, hook_id=one.hook_id, failures=one.failures, gone=one.is_gone, waiting=one.waiting
                )
                for one in found
            ]
        )

    @route("GET", "/api/v1/admin/audit", access=Access.ADMIN)
    async def get_audit(self, query: AuditQuery) -> AuditPage:
        """What admins did, newest first."""
        entries = await self._accounts.audit_entries(query.before, query.limit)
        return AuditPage(
            entries=[
                AuditView(
                    entry_id=entry_id,
                    at_ms=entry.at_ms,
                    actor=entry.actor,
                    act=entry.act,
                    subject=entry.subject,
                    details=dict(entry.details),
                )
                for entry_id, entry in entries
            ]
        )
