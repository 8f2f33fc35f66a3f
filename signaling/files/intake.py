"""The body of an upload on its way in: gathered into blocks, watched for stalling, checked against a checksum."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from signaling.errors import ApiError
from signaling.files.settings import FileSettings
from signaling.files.store import in_thread

CHECKSUMS: Mapping[str, Callable[[], Any]] = {
    # SHA-1 is what tus 1.0.0 demands of a server; it finds broken lines, not forgers.
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Checksum:
    algorithm: str
    """A key of `CHECKSUMS`."""
    digest: bytes


class Source(Protocol):
    async def read(self) -> bytes:
        """What has come, of any size; empty at the end. Raises `ConnectionError` when the sender is gone,
        `ApiError` when nothing more is taken from it."""
        ...


@dataclass(slots=True)
class Use:
    """One request that works on a file. `interrupted`: another one for the same file waits."""

    interrupted: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Timeout | None = None
    """For the sender; ended early by an interruption."""

    def interrupt(self) -> None:
        self.interrupted = True
        if self.waiting is not None and not self.waiting.expired():
            self.waiting.reschedule(asyncio.get_running_loop().time())


class Uses:
    """One request at a time for each file. A newcomer ends the one before it: that is a connection which its client has
    given up, even if the server has not noticed yet."""

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}

    def __contains__(self, file_id: str) -> bool:
        return file_id in self._uses

    @asynccontextmanager
    async def use(self, file_id: str) -> AsyncIterator[Use]:
        while (present := self._uses.get(file_id)) is not None:
            present.interrupt()
            await present.ended.wait()
        use = self._uses[file_id] = Use()
        try:
            yield use
        finally:
            del self._uses[file_id]
            use.ended.set()


class Intake:
    """Gives a source's bytes in blocks. What came before a connection broke is given too; then `problem` says what
    happened."""

    def __init__(self, source: Source, settings: FileSettings, use: Use) -> None:
        self._source = source
        self._settings = settings
        self._use = use
        self._ended = False
        self.problem: Exception | None = None

    async def block(self) -> bytes:
        """Empty at the end."""
        pieces: list[bytes] = []
        size = counted = 0
        stall_s, loop = self._settings.file_stall_timeout_s, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(stall_s) as self._use.waiting:
                while size < self._settings.file_block_bytes and not self._is_over():
                    piece = await self._source.read()
                    self._ended = not piece
                    pieces.append(piece)
                    size, counted = size + len(piece), counted + len(piece)
                    if counted >= self._settings.file_stall_bytes and not self._use.interrupted:
                        self._use.waiting.reschedule(loop.time() + stall_s)
                        counted = 0
        except TimeoutError:
            if not self._use.interrupted:
                self.problem = ApiError("request_timeout", "The file comes too slowly. It may be resumed.")
        except (ApiError, ConnectionError) as error:
            self.problem = error
        finally:
            self._use.waiting = None
        if self._use.interrupted:
            self.problem = ApiError("upload_conflict", "The upload went on with another request.")
        return b"".join(pieces)

    def _is_over(self) -> bool:
        return self._ended or self._use.interrupted or self.problem is not None


@asynccontextmanager
async def checked(intake: Intake, checksum: Checksum, folder: Path, limit_bytes: int) -> AsyncIterator[Source]:
    """The whole body, when its checksum is right. Until then it waits in a file without a name, so that no byte of a
    wrong one is ever added, not even by a process that dies in between. Raises what happened on the way, `ApiError`
    checksum_mismatch or upload_too_long."""
    digest = CHECKSUMS[checksum.algorithm]()
    size = 0
    spool = await in_thread(_nameless, folder)
    try:
        while block := await intake.block():
            size += len(block)
            if size > limit_bytes:
                raise too_long()
            await in_thread(spool.write, block)
            await asyncio.to_thread(digest.update, block)
        if intake.problem is not None:
            raise intake.problem
        if digest.digest() != checksum.digest:
            raise ApiError("checksum_mismatch", "The checksum does not fit what arrived.")
        await in_thread(spool.seek, 0)
        yield _Spooled(spool)
    finally:
        await in_thread(spool.close)


def too_long() -> ApiError:
    return ApiError("upload_too_long", "More arrives than the length that was announced.")


class _Spooled:
    def __init__(self, spool: Any) -> None:
        self._spool = spool

    async def read(self) -> bytes:
        return await in_thread(self._spool.read, 256 * 2**10)


def _nameless(folder: Path) -> Any:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
