"""Rooms that last: `signaling.rooms.records.RoomStore` over SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from sfu.ids import RoomName
from signaling.db.database import Database
from signaling.db.models import BanRow, InvitationRow, MemberRow, RoomRow, SealedGateRow
from signaling.db.repository import table
from signaling.rooms import policy as policies
from signaling.rooms.policy import Entry
from signaling.rooms.records import Ban, Invitation, Member, Room, RoomChange, Standing
from signaling.rooms.roles import Role

_ROOM = (
    RoomRow.room_key, RoomRow.name, RoomRow.title, RoomRow.created_at_ms, RoomRow.policy, RoomRow.password_hash,
    RoomRow.last_seq,
)  # fmt: skip
_MEMBER = (MemberRow.member_id, MemberRow.role, MemberRow.name, MemberRow.added_at_ms, MemberRow.read_seq)
_BAN = (BanRow.subject, BanRow.kind, BanRow.member_id, BanRow.name, BanRow.at_ms, BanRow.until_ms)
_INVITATION = (
    InvitationRow.invitation_id, InvitationRow.secret_hash, InvitationRow.role, InvitationRow.uses_left,
    InvitationRow.created_at_ms, InvitationRow.expires_at_ms,
)  # fmt: skip
# Asked with nearly every request: put together once, and one statement.
_FIND_ROOM = select(*_ROOM).where(RoomRow.name == bindparam("name"))
_STANDING = (
    select(*_ROOM, *_MEMBER, *_BAN)
    .select_from(RoomRow)
    .outerjoin(MemberRow, and_(MemberRow.room_key == RoomRow.room_key, MemberRow.member_id == bindparam("member_id")))
    .outerjoin(
        BanRow,
        and_(
            BanRow.room_key == RoomRow.room_key,
            BanRow.subject.in_(bindparam("subjects", expanding=True)),
            or_(BanRow.until_ms.is_(None), BanRow.until_ms > bindparam("now_ms")),
        ),
    )
    .where(RoomRow.name == bindparam("name"))
    .order_by(BanRow.kind)  # "ban" comes before "kick".
    .limit(1)
)


class RoomRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    def _insert(self, model: type[Any]) -> Any:
        return (sqlite.insert if self._database.is_sqlite else postgresql.insert)(table(model))

    # --- rooms ------------------------------------------------------------------------------------------

    async def create_room(self, room: Room, members: Sequence[Member], gate_hash: str | None) -> Room | None:
        statement = self._insert(RoomRow).values(
            name=room.name,
            title=room.title,
            created_at_ms=room.created_at_ms,
            policy=policies.encode(room.policy),
            password_hash=room.password_hash,
        )
        async with self._database.writing() as connection:
            made = await connection.execute(
                statement.on_conflict_do_nothing(index_elements=["name"]).returning(RoomRow.room_key)
            )
            key = made.scalar_one_or_none()
            if key is None:
                return None
            if members:
                await connection.execute(insert(MemberRow), [_member_values(key, member) for member in members])
            if gate_hash is not None:
                await connection.execute(insert(SealedGateRow).values(room_key=key, gate_hash=gate_hash))
            found = (await connection.execute(select(*_ROOM).where(RoomRow.room_key == key))).one()
        return _room(found)

    async def find_room(self, name: str) -> Room | None:
        def look(connection: Connection) -> Room | None:
            found = connection.execute(_FIND_ROOM, {"name": name}).one_or_none()
            return None if found is None else _room(found)

        return await self._database.read(look)

    async def standing(self, name: str, member_id: str, subjects: Sequence[str], now_ms: int) -> Standing | None:
        def look(connection: Connection) -> Standing | None:
            about = {"name": name, "member_id": member_id, "subjects": list(subjects), "now_ms": now_ms}
            found = connection.execute(_STANDING, about).one_or_none()
            if found is None:
                return None
            row: tuple[Any, ...] = tuple(found)
            room, rest = _room(row[: len(_ROOM)]), row[len(_ROOM) :]
            member, ban = rest[: len(_MEMBER)], rest[len(_MEMBER) :]
            return Standing(room, None if member[0] is None else _member(member), None if ban[0] is None else Ban(*ban))

        return await self._database.read(look)

    async def delete_room(self, room_key: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(RoomRow).where(RoomRow.room_key == room_key))

    async def list_rooms(self, after: str, limit: int) -> list[Room]:
        query = select(*_ROOM).where(RoomRow.name > after).order_by(RoomRow.name).limit(limit)
        async with self._database.reading() as connection:
            return [_room(row) for row in (await connection.execute(query)).all()]

    # --- members ----------------------------------------------------------------------------------------

    async def members(self, room_key: int) -> list[Member]:
        query = select(*_MEMBER).where(MemberRow.room_key == room_key, MemberRow.role != Role.GUEST)
        async with self._database.reading() as connection:
            return [_member(row) for row in (await connection.execute(query.order_by(MemberRow.added_at_ms))).all()]

    async def put_member(self, room_key: int, member: Member) -> None:
        async with self._database.writing() as connection:
            await self._put_member(connection, room_key, member)

    async def _put_member(self, connection: AsyncConnection, room_key: int, member: Member) -> None:
        statement = self._insert(MemberRow).values(_member_values(room_key, member))
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["room_key", "member_id"],
                set_={"role": statement.excluded.role, "name": statement.excluded.name},
            )
        )

    async def change_role(self, room_key: int, member_id: str, role: Role) -> bool:
        async with self._database.writing() as connection:
            if role is not Role.OWNER and not await self._has_other_owner(connection, room_key, member_id):
                return False
            await connection.execute(
                update(MemberRow)
                .where(MemberRow.room_key == room_key, MemberRow.member_id == member_id)
                .values(role=role.value)
            )
        return True

    async def remove_member(self, room_key: int, member_id: str) -> bool:
        async with self._database.writing() as connection:
            if not await self._has_other_owner(connection, room_key, member_id):
                return False
            await connection.execute(
                delete(MemberRow).where(MemberRow.room_key == room_key, MemberRow.member_id == member_id)
            )
        return True

    async def _has_other_owner(self, connection: AsyncConnection, room_key: int, member_id: str) -> bool:
        """Whether the room keeps an owner without this one, or never had any. The room's row is locked first, so that
        two owners who leave at once do not each count on the other."""
        await connection.execute(select(RoomRow.room_key).where(RoomRow.room_key == room_key).with_for_update())
        query = select(MemberRow.member_id).where(MemberRow.room_key == room_key, MemberRow.role == Role.OWNER)
        owners = set((await connection.execute(query)).scalars())
        return member_id not in owners or len(owners) > 1

    async def mark_read(self, room_key: int, member_id: str, name: str, seq: int, now_ms: int) -> bool:
        values = _member_values(room_key, Member(member_id, Role.GUEST, name, now_ms, seq))
        statement = self._insert(MemberRow).values(values)
        statement = statement.on_conflict_do_update(
            index_elements=["room_key", "member_id"],
            set_={"read_seq": statement.excluded.read_seq},
            where=MemberRow.read_seq < statement.excluded.read_seq,
        )
        async with self._database.writing() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def readers(self, room_key: int, limit: int) -> list[Member]:
        query = select(*_MEMBER).where(MemberRow.room_key == room_key, MemberRow.read_seq > 0)
        newest = query.order_by(MemberRow.read_seq.desc(), MemberRow.member_id).limit(limit)
        return await self._database.read(lambda one: [_member(row) for row in one.execute(newest).all()])

    # --- bans -------------------------------------------------------------------------------------------

    async def put_bans(self, room_key: int, bans: Sequence[Ban]) -> None:
        statement = self._insert(BanRow)
        statement = statement.on_conflict_do_update(
            index_elements=["room_key", "subject"],
            set_={name: statement.excluded[name] for name in ("kind", "member_id", "name", "at_ms", "until_ms")},
        )
        values = [
            {
                "room_key": room_key, "subject": ban.subject, "kind": ban.kind, "member_id": ban.member_id,
                "name": ban.name, "at_ms": ban.at_ms, "until_ms": ban.until_ms,
            }
            for ban in bans
        ]  # fmt: skip
        async with self._database.writing() as connection:
            await connection.execute(statement, values)

    async def bans(self, room_key: int, now_ms: int) -> list[Ban]:
        """One a member: addresses stay out of it."""
        query = select(*_BAN).where(
            BanRow.room_key == room_key, BanRow.subject == BanRow.member_id, BanRow.kind == "ban", _in_force(now_ms)
        )
        async with self._database.reading() as connection:
            return [Ban(*row) for row in (await connection.execute(query.order_by(BanRow.at_ms))).all()]

    async def remove_ban(self, room_key: int, member_id: str) -> bool:
        statement = delete(BanRow).where(BanRow.room_key == room_key, BanRow.member_id == member_id)
        async with self._database.writing() as connection:
            return bool((await connection.execute(statement)).rowcount)

    # --- invitations ------------------------------------------------------------------------------------

    async def put_invitation(self, room_key: int, invitation: Invitation) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                insert(InvitationRow).values(
                    room_key=room_key,
                    invitation_id=invitation.invitation_id,
                    secret_hash=invitation.secret_hash,
                    role=invitation.role.value,
                    uses_left=invitation.uses_left,
                    created_at_ms=invitation.created_at_ms,
                    expires_at_ms=invitation.expires_at_ms,
                )
            )

    async def invitations(self, room_key: int, now_ms: int) -> list[Invitation]:
        query = select(*_INVITATION).where(InvitationRow.room_key == room_key, _usable(now_ms))
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(InvitationRow.created_at_ms))).all()
        return [_invitation(row) for row in rows]

    async def remove_invitation(self, room_key: int, invitation_id: str) -> bool:
        statement = delete(InvitationRow).where(
            InvitationRow.room_key == room_key, InvitationRow.invitation_id == invitation_id
        )
        async with self._database.writing() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def use_invitation(self, room_key: int, secret_hash: str, now_ms: int) -> Invitation | None:
        statement = (
            update(InvitationRow)
            .where(InvitationRow.room_key == room_key, InvitationRow.secret_hash == secret_hash, _usable(now_ms))
            .values(uses_left=InvitationRow.uses_left - 1)  # NULL stays NULL
            .returning(*_INVITATION)
        )
        async with self._database.writing() as connection:
            found = (await connection.execute(statement)).one_or_none()
        return None if found is None else _invitation(found)


def change_room(connection: Connection, room_key: int, change: RoomChange) -> bool:
    """In the transaction of `connection`. False, and nothing is changed, when the room is gone or would ask for a
    password that it has not."""
    found = connection.execute(select(*_ROOM).where(RoomRow.room_key == room_key).with_for_update()).one_or_none()
    if found is None:
        return False
    old = _room(found)
    policy = msgspec.structs.replace(old.policy, **change.policy)
    password_hash = old.password_hash if change.password_hash is None else change.password_hash
    if policy.entry is Entry.PASSWORD and not password_hash:
        return False
    title = old.title if change.title is None else change.title
    values = {"title": title, "policy": policies.encode(policy), "password_hash": password_hash}
    connection.execute(update(RoomRow).where(RoomRow.room_key == room_key).values(**values))
    return True


def _in_force(now_ms: int) -> Any:
    return or_(BanRow.until_ms.is_(None), BanRow.until_ms > now_ms)


def _usable(now_ms: int) -> Any:
    return and_(
        func.coalesce(InvitationRow.uses_left, 1) > 0,
        or_(InvitationRow.expires_at_ms.is_(None), InvitationRow.expires_at_ms > now_ms),
    )


def _room(row: Any) -> Room:
    key, name, title, created_at_ms, policy, password_hash, last_seq = row
    return Room(key, RoomName(name), title, created_at_ms, policies.decode(policy), password_hash, last_seq)


def _member(row: Any) -> Member:
    member_id, role, name, added_at_ms, read_seq = row
    return Member(member_id, Role(role), name, added_at_ms, read_seq)


def _member_values(room_key: int, member: Member) -> dict[str, Any]:
    return {
        "room_key": room_key, "member_id": member.member_id, "role": member.role.value, "name": member.name,
        "added_at_ms": member.added_at_ms, "read_seq": member.read_seq,
    }  # fmt: skip


def _invitation(row: Any) -> Invitation:
    invitation_id, secret_hash, role, uses_left, created_at_ms, expires_at_ms = row
    return Invitation(invitation_id, secret_hash, Role(role), uses_left, created_at_ms, expires_at_ms)
