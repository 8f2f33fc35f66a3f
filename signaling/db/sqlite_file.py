"""A look at the SQLite file with nothing but the standard library: whether a server may start without SQLAlchemy."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

HEAD = "0009"
"""The newest migration."""


@dataclass(frozen=True, slots=True)
class Look:
    can_wait: bool
    """Whether the file is there or could be made, and is either empty or has the tables of this version. When it is
    False, opening it finds out what there is to do, or to complain of."""
    has_rooms: bool
    """Whether there may be rooms that last."""


def look(path: Path, timeout_s: float) -> Look:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with contextlib.closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return Look(can_wait=True, has_rooms=False)
            if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(HEAD,)]:
                return Look(can_wait=False, has_rooms=True)
            return Look(can_wait=True, has_rooms=bool(connection.execute("SELECT 1 FROM rooms LIMIT 1").fetchall()))
    except (sqlite3.Error, OSError):
        return Look(can_wait=False, has_rooms=True)
