"""The tables of a database, made or brought up to date.

A new database gets the tables of `models` as they are; an older one is migrated, step by step, with what is in
`migrations`. A test makes one both ways and compares them.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text

from signaling.db.models import Base
from signaling.db.sqlite_file import HEAD

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x54696E67
"""PostgreSQL advisory lock, so that nodes that start together migrate one after another."""
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own table, as it makes it."""

_UNSAMPLED = {
    "entries": ("body",), "entry_words": ("word",), "files": ("name", "metadata_header"),
    "webhook_deliveries": ("event",), "sealed_groups": ("group_info",), "sealed_commits": ("message",),
    "sealed_history": ("wrap", "secrets"), "sealed_backups": ("blob",),
}  # fmt: skip
"""Columns of which PostgreSQL would copy samples into its statistics, where they would stay when they are removed."""


class MigrationError(Exception):
    """The database is not one that this version can bring up to date. The text is for the log."""


def bring_up_to_date(connection: Connection) -> None:
    """In the transaction of `connection`. Raises `MigrationError` and what SQLAlchemy raises."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    there = set(inspect(connection).get_table_names())
    if not there & {_VERSION.name, *Base.metadata.tables}:
        Base.metadata.create_all(connection)
        _VERSION.create(connection)
        connection.execute(_VERSION.insert().values(version_num=HEAD))
        _sample_nothing(connection)
    elif _VERSION.name not in there or connection.execute(select(_VERSION.c.version_num)).scalars().all() != [HEAD]:
        migrate(connection)


def _sample_nothing(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for table, columns in _UNSAMPLED.items():
            for column in columns:
                connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0"))


def make_again(connection: Connection, version: str) -> None:
    """Drop all tables, with everything in them, and make them as they were in `version`. Raises as
    `bring_up_to_date`."""
    Base.metadata.drop_all(connection)
    _VERSION.drop(connection, checkfirst=True)
    if version == HEAD:
        bring_up_to_date(connection)
    else:
        migrate(connection, version)


def migrate(connection: Connection, version: str = "head") -> None:
    """Whatever state it is in, with Alembic, which a start without news does not load. Raises as `bring_up_to_date`."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, version)
    except CommandError as error:
        raise MigrationError(str(error)) from None
