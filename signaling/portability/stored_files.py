"""Files on their way between the store and an archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from signaling.files.store import FileStore, StoredFileMissing
from signaling.portability.archive import CHUNK


class FileSource(Protocol):
    async def read(self, key: str, start: int, length: int) -> bytes:
        """Exactly so much. Raises `StoreError`."""
        ...


async def is_there(files: FileSource, key: str, size_bytes: int) -> bool:
    """It may have been removed since the snapshot."""
    try:
        await files.read(key, 0, min(1, size_bytes))
    except StoredFileMissing:
        return False
    return True


async def read_file(files: FileSource, key: str, size_bytes: int) -> AsyncIterator[bytes]:
    for start in range(0, size_bytes, CHUNK):
        yield await files.read(key, start, min(CHUNK, size_bytes - start))


async def write_file(files: FileStore, key: str, content: Iterator[bytes]) -> None:
    """What an earlier try has left of it goes first. Raises `StoreError`."""
    await files.remove(key)
    await files.create(key)
    appender = await files.appender(key)
    try:
        while (chunk := await asyncio.to_thread(next, content, None)) is not None:
            await appender.write(chunk)
    finally:
        await appender.close()
    await files.finish(key)
