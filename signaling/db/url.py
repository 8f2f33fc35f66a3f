"""Database URLs as users write them, and as SQLAlchemy wants them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from signaling.db.settings import FILE, DatabaseSettings, data_folder

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def parse_url(url: str) -> URL:
    """The URL with the driver that we use. Raises `ValueError` with a sentence that does not repeat the URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("sqlite:///path or postgresql://user:password@host/name is needed") from None
    driver = _DRIVERS.get(parsed.drivername, parsed.drivername)
    if driver not in _DRIVERS.values():
        raise ValueError("sqlite or postgresql is needed")
    if not parsed.database:
        raise ValueError("the URL names no database")
    return parsed.set(drivername=driver)


def sqlite_url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def database_url(settings: DatabaseSettings, *, dev: bool) -> str:
    """What the settings name, or the file in their directory."""
    return settings.database_url or sqlite_url(data_folder(settings, dev=dev) / FILE)
