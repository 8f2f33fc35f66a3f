"""Files in a store that speaks S3, by the package `obstore` (extra `s3`).

A file is a row of objects `PREFIX/KEY/00000`, `…/00001`, all of `s3_part_bytes` but the last. The pieces in which a
client sends have any size, and objects below 5 MiB are slow and dear: what does not fill a part yet, the tail, waits in
a spool file in `incoming` on the local disk: durable before a client is told of it, and still there after a restart.
S3's own multipart upload would end in one object, but `obstore` (0.12) cannot go on with one after a restart, and the
parts of one that is not completed cannot be read, which the checksum needs.

A spool file is named after the part that it will be, `KEY.00001`: when that part is there already, the process died
between storing it and removing the spool, which is void then.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from signaling.files.settings import FileSettings
from signaling.files.store import (
    INCOMING,
    StoredFileMissing,
    StoreError,
    close_durable,
    free_bytes,
    in_thread,
    list_older,
    make_durable,
    open_durable,
    write_all,
)

_T = TypeVar("_T")
_MAX_REQUESTS = 8
"""At once: each may have a part in memory."""


class S3Store:
    """`folder` has the spool files. Raises `StoreError` when `obstore` is not installed."""

    def __init__(self, folder: Path, settings: FileSettings) -> None:
        self._incoming = folder / INCOMING
        self._settings = settings
        self._bucket = Bucket(settings)

    async def create(self, key: str) -> None:
        await in_thread(make_durable, self._spool(key, 0))

    async def appender(self, key: str) -> S3Appender:
        spools = await in_thread(self._spools, key)
        sizes = await self._bucket.sizes(key)
        if not spools and not sizes:
            raise StoredFileMissing("a stored file is not there")
        number = len(sizes)
        spool = self._spool(key, number)
        if spool not in spools:
            # The process died when it had stored the part before, or the file is finished.
            await in_thread(make_durable, spool)
        for void in set(spools) - {spool}:
            await in_thread(void.unlink, True)
        descriptor, tail_bytes = await in_thread(open_durable, spool)
        return S3Appender(self, key, number, descriptor, tail_bytes, sum(sizes) + tail_bytes)

    async def finish(self, key: str) -> None:
        for spool in await in_thread(self._spools, key):
            await self.store_part(spool)
            await in_thread(spool.unlink, True)

    async def read(self, key: str, start: int, length: int) -> bytes:
        pieces = []
        while length:
            number, begin = divmod(start, self._settings.s3_part_bytes)
            size = min(length, self._settings.s3_part_bytes - begin)
            pieces.append(await self._bucket.read(f"{key}/{number:05d}", begin, size))
            start, length = start + size, length - size
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def remove(self, key: str) -> None:
        await self._bucket.remove(key)
        for spool in await in_thread(self._spools, key):
            await in_thread(spool.unlink, True)

    async def incoming(self, older_than_s: float) -> list[str]:
        names = await in_thread(list_older, self._incoming, older_than_s)
        return sorted({name.partition(".")[0] for name in names})

    async def fits(self, size_bytes: int) -> bool:
        """Into the spool, which is all that the local disk needs; an S3 store does not tell."""
        wanted = min(size_bytes, self._settings.s3_part_bytes) + self._settings.min_free_bytes
        return await in_thread(free_bytes, self._incoming) >= wanted

    # --- for the appender -------------------------------------------------------------------------------

    async def store_part(self, spool: Path) -> None:
        """Unless it is empty."""
        key, _, number = spool.name.partition(".")
        if (await in_thread(spool.stat)).st_size:
            await self._bucket.put(f"{key}/{number}", spool)

    async def next_part(self, key: str, number: int) -> int:
        """Store the full spool of `number`; a descriptor of the empty one after it."""
        await self.store_part(self._spool(key, number))
        following = self._spool(key, number + 1)
        await in_thread(make_durable, following)
        await in_thread(self._spool(key, number).unlink, True)
        return (await in_thread(open_durable, following))[0]

    @property
    def part_bytes(self) -> int:
        return self._settings.s3_part_bytes

    def _spool(self, key: str, number: int) -> Path:
        return self._incoming / f"{key}.{number:05d}"

    def _spools(self, key: str) -> list[Path]:
        return sorted(self._incoming.glob(f"{key}.*"))


class S3Appender:
    def __init__(self, store: S3Store, key: str, number: int, descriptor: int, tail_bytes: int, offset: int) -> None:
        self._store = store
        self._key = key
        self._number = number
        self._descriptor = descriptor
        self._tail_bytes = tail_bytes
        self.offset = offset

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._tail_bytes >= self._store.part_bytes:
                await self._roll()
            piece = view[: self._store.part_bytes - self._tail_bytes]
            await in_thread(write_all, self._descriptor, piece)
            self._tail_bytes += len(piece)
            self.offset += len(piece)
            view = view[len(piece) :]

    async def close(self) -> None:
        await in_thread(close_durable, self._descriptor)

    async def _roll(self) -> None:
        full, self._descriptor = self._descriptor, await self._store.next_part(self._key, self._number)
        await in_thread(close_durable, full)
        self._number, self._tail_bytes = self._number + 1, 0


class Bucket:
    """The requests to the store, a few at a time."""

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._opening = asyncio.Lock()
        self._places = asyncio.Semaphore(_MAX_REQUESTS)
        self._obstore: Any = None
        self._store: Any = None

    async def sizes(self, key: str) -> list[int]:
        """Of the parts of a file, in order."""

        async def listed() -> list[Any]:
            return list(await self._obstore.list(self._store, prefix=self._path(key)).collect_async())

        return [entry["size"] for entry in sorted(await self._ask(listed), key=lambda entry: str(entry["path"]))]

    async def put(self, name: str, source: Path) -> None:
        await self._ask(lambda: self._obstore.put_async(self._store, self._path(name), source, use_multipart=False))

    async def read(self, name: str, start: int, length: int) -> bytes:
        path = self._path(name)
        data = await self._ask(lambda: self._obstore.get_range_async(self._store, path, start=start, length=length))
        if len(data) != length:
            raise StoreError("a stored file is shorter than it was")
        return bytes(data)

    async def remove(self, key: str) -> None:
        paths = [self._path(f"{key}/{number:05d}") for number in range(len(await self.sizes(key)))]
        # The last first: what is left after a failure still counts from 0.
        for path in reversed(paths):
            await self._ask(functools.partial(self._delete, path))

    async def _delete(self, path: str) -> None:
        await self._obstore.delete_async(self._store, path)

    def _path(self, name: str) -> str:
        return f"{self._settings.s3_prefix}/{name}" if self._settings.s3_prefix else name

    async def _ask(self, make: Callable[[], Awaitable[_T]]) -> _T:
        """One request. Raises `StoreError`."""
        async with self._opening:
            if self._store is None:
                await self._open()
        try:
            async with self._places, asyncio.timeout(self._settings.s3_timeout_s):
                return await make()
        except FileNotFoundError:
            raise StoredFileMissing("a stored file is not there") from None
        except TimeoutError:
            raise StoreError("the file store does not answer") from None
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            # The text can hold URL and keys.
            raise StoreError(f"the file store failed: {type(error).__name__}") from None

    async def _open(self) -> None:
        settings = self._settings
        try:
            self._obstore = await asyncio.to_thread(importlib.import_module, "obstore")
            stores = await asyncio.to_thread(importlib.import_module, "obstore.store")
        except ImportError:
            raise StoreError("files in S3 need the package obstore: install ting[s3]") from None
        endpoint = {"endpoint": settings.s3_endpoint} if settings.s3_endpoint else {}
        self._store = stores.S3Store(
            settings.s3_bucket,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key,
            secret_access_key=settings.s3_secret_key,
            virtual_hosted_style_request=not settings.s3_endpoint,
            client_options={"allow_http": settings.s3_endpoint.startswith("http:")},
            retry_config={"max_retries": 2},
            **endpoint,
        )
