"""Where the bytes of files are: what a store does, and the one that needs nothing but a folder.

A file comes into being in `incoming` and moves when it is whole. So a look into one folder tells, without a database,
whether anything unfinished is left, also after a crash. Keys are `file_id`s: random, hexadecimal, from us.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

_T = TypeVar("_T")
INCOMING = "incoming"


class StoreError(Exception):
    """The store cannot be reached or has failed."""


class StoreFull(StoreError):
    """There is no room left in it."""


class StoredFileMissing(StoreError):
    """What should be there is not."""


class Appender(Protocol):
    """Adds to one unfinished file. `offset` is how much of it there is."""

    offset: int

    async def write(self, data: bytes) -> None:
        """Raises `StoreError`; how much was written then, a new appender tells."""

    async def close(self) -> None:
        """Returns when everything written is durable. Raises `StoreError`."""


class FileStore(Protocol):
    """Every method may raise `StoreError`."""

    async def create(self, key: str) -> None:
        """An empty unfinished file."""

    async def appender(self, key: str) -> Appender:
        """Behind what is durably there, also of a file that is finished. One at a time for a key. Raises
        `StoredFileMissing` when there is no such file."""
        ...

    async def finish(self, key: str) -> None:
        """From now on it is read, and never added to. May be repeated."""

    async def read(self, key: str, start: int, length: int) -> bytes:
        """Of a finished file; exactly so much. Raises `StoredFileMissing` when it was removed."""
        ...

    async def remove(self, key: str) -> None:
        """Whatever there is of it; it is no error when there is nothing."""

    async def incoming(self, older_than_s: float) -> list[str]:
        """Keys of unfinished files that were made so long ago."""
        ...

    async def fits(self, size_bytes: int) -> bool:
        """Whether so much can be added without using up the disk."""
        ...


async def in_thread(function: Callable[..., _T], *arguments: object) -> _T:
    """As `asyncio.to_thread`, but a cancelled caller waits until the thread is done: what it works on stays open. Disk
    errors become `StoreError`."""
    working = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        working.exception()  # whoever would be told is gone
        raise
    except FileNotFoundError:
        raise StoredFileMissing("a stored file is not there") from None
    except OSError as error:
        raise as_store_error(error) from None


def as_store_error(error: OSError) -> StoreError:
    """Without the path."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return (StoreFull if full else StoreError)(os.strerror(error.errno) if error.errno else type(error).__name__)


class LocalStore:
    """In `folder`, which is made when the first file comes. `min_free_bytes` of its disk are left free."""

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes

    async def create(self, key: str) -> None:
        await in_thread(make_durable, self._incoming(key))

    async def appender(self, key: str) -> LocalAppender:
        return LocalAppender(*await in_thread(self._open, key))

    async def finish(self, key: str) -> None:
        await in_thread(self._finish, key)

    async def read(self, key: str, start: int, length: int) -> bytes:
        return await in_thread(read_exactly, self._whole(key), start, length)

    async def remove(self, key: str) -> None:
        await in_thread(self._remove, key)

    async def incoming(self, older_than_s: float) -> list[str]:
        return await in_thread(list_older, self._folder / INCOMING, older_than_s)

    async def fits(self, size_bytes: int) -> bool:
        return await in_thread(free_bytes, self._folder) >= size_bytes + self._min_free_bytes

    def _incoming(self, key: str) -> Path:
        return self._folder / INCOMING / key

    def _whole(self, key: str) -> Path:
        # By the first two digits: 256 folders keep each of them short.
        return self._folder / key[:2] / key

    def _open(self, key: str) -> tuple[int, int]:
        try:
            return open_durable(self._incoming(key))
        except FileNotFoundError:
            return open_durable(self._whole(key))

    def _finish(self, key: str) -> None:
        whole = self._whole(key)
        if whole.exists():
            return
        whole.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._incoming(key).rename(whole)
        sync_folder(whole.parent)
        sync_folder(self._folder / INCOMING)

    def _remove(self, key: str) -> None:
        for path in (self._incoming(key), self._whole(key)):
            path.unlink(missing_ok=True)


class LocalAppender:
    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self.offset = offset

    async def write(self, data: bytes) -> None:
        await in_thread(write_all, self._descriptor, data)
        self.offset += len(data)

    async def close(self) -> None:
        await in_thread(close_durable, self._descriptor)


def make_durable(path: Path) -> None:
    """An empty file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    sync_folder(path.parent)


def open_durable(path: Path) -> tuple[int, int]:
    """A descriptor to append with, and the size. What a process that died had written, but not synced, is on disk
    before anyone is told of it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.fsync(descriptor)
        return descriptor, os.fstat(descriptor).st_size
    except OSError:
        os.close(descriptor)
        raise


def close_durable(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_exactly(path: Path, start: int, length: int) -> bytes:
    """Opened for each block, so that a removed file is gone, whoever is reading it."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        data = file.read(length)
    if len(data) != length:
        raise StoreError("a stored file is shorter than it was")
    return data


def list_older(folder: Path, older_than_s: float) -> list[str]:
    before = time.time() - older_than_s
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat().st_mtime <= before:
                    found.append(entry.name)
    return found


def free_bytes(folder: Path) -> int:
    """On the disk where the folder is or will be."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def sync_folder(folder: Path) -> None:
    """A new name is durable when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
