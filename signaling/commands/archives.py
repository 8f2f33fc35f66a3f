"""What the commands around archives share: the database, the files and the key of the settings."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from signaling.commands.options import read_settings
from signaling.config import Settings
from signaling.db.settings import data_folder
from signaling.db.storage import Storage
from signaling.errors import ArchiveError
from signaling.files.files import create_store
from signaling.files.store import FileStore, StoreError
from signaling.portability.signing import Signer


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    folder: Path
    storage: Storage
    files: FileStore
    signer: Signer


@asynccontextmanager
async def opened(options: argparse.Namespace) -> AsyncIterator[Parts]:
    """Raises `ConfigError`, `DatabaseError`, and `ArchiveError` for what the file store says."""
    settings = read_settings(options)
    folder = data_folder(settings.database, dev=settings.listener.dev)
    storage = Storage(settings.database, folder)
    signer = Signer(folder, settings.portability.trusted_archive_keys)
    try:
        yield Parts(settings, folder, storage, create_store(settings.files, folder / "files"), signer)
    except StoreError as error:
        raise ArchiveError(f"the file store has failed: {error}") from None
    finally:
        await storage.close()
