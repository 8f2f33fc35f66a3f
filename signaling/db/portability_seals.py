"""Archives of sealed rooms: their groups, the wrapped keys of their epochs, their members' backups of keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import collate, select
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.db.models import SealedBackupRow, SealedEpochRow, SealedGroupRow
from signaling.db.repository import parts
from signaling.portability.lines import SealBackupLine, SealEpochLine, SealGroupLine, SealLine

_PAGE = 100
_KINDS: tuple[tuple[type[Any], type[Any]], ...] = (
    (SealGroupLine, SealedGroupRow), (SealEpochLine, SealedEpochRow), (SealBackupLine, SealedBackupRow),
)  # fmt: skip


async def seals_of(
    connection: AsyncConnection, room_key: int, owner: str | None, collation: str
) -> AsyncIterator[Sequence[SealLine]]:
    """In pages; of backups an `owner` gets the own one."""
    for line, model in _KINDS:
        query = select(*(getattr(model, name) for name in line.__struct_fields__)).where(model.room_key == room_key)
        if model is SealedBackupRow and owner is not None:
            query = query.where(SealedBackupRow.member_id == owner)
        order = {SealedGroupRow: SealedGroupRow.group_id, SealedEpochRow: SealedEpochRow.n}.get(
            model, collate(SealedBackupRow.member_id, collation)
        )
        after: Any = None
        while True:
            page = query if after is None else query.where(order > after)
            rows = (await connection.execute(page.order_by(order).limit(_PAGE))).all()
            if not rows:
                break
            after = rows[-1][0]
            yield [line(**row._mapping) for row in rows]


def put_seals(
    insert: Callable[[type[Any]], Any], room_key: int, lines: Sequence[SealLine]
) -> Iterator[tuple[Any, Sequence[dict[str, Any]]]]:
    """Statements with their values. What is there already stays."""
    for kind, model in _KINDS:
        values = [{"room_key": room_key, **msgspec.structs.asdict(one)} for one in lines if isinstance(one, kind)]
        for part in parts(values):
            yield insert(model).on_conflict_do_nothing(), part
