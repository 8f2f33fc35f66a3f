"""Settings of the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

FILE = "ting.db"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    data_dir: str = ""
    """Directory of the database. Empty: .run with --dev, else ting-data, both in the working directory."""
    database_url: str = field(default="", repr=False)
    """sqlite:///path or postgresql://user:password@host/name. Empty: SQLite in the file ting.db in data_dir."""
    database_timeout_s: float = 5.0
    """How long the database may take: to connect, for another writer to finish, for a statement."""
    database_queue_s: float = 30.0
    """How long a transaction may queue up for its turn, behind those that came before it."""
    max_rewrite_bytes: int = 100_000_000
    """PostgreSQL: tables and indexes up to this size together are rewritten, so that nothing is left of what was
    removed; writers wait meanwhile."""
    rewrite_timeout_s: float = 60.0
    """How long that may take."""


def data_folder(settings: DatabaseSettings, *, dev: bool) -> Path:
    """Where SQLite's file is, when the settings name no URL."""
    return Path(settings.data_dir or (".run" if dev else "ting-data"))
