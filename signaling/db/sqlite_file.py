"""A look at the SQLite file with nothing but the standard library: whether a server may start without SQLAlchemy."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

HEAD = "0002"
"""The newest migration."""


def opening_can_wait(path: Path, timeout_s: float) -> bool:
    """Whether the file is there or could be made, and is either empty or has the tables of this version. When it is
    False, opening it finds out what there is to do, or to complain of."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with contextlib.closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return True
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    except (sqlite3.Error, OSError):
        return False
