"""A program of the operator that looks at each file before anybody else does, for example `clamdscan -`.

It gets the bytes on its standard input. Exit status 0 says that the file is clean, 1 that it is not; everything else,
and no answer in time, means that nobody knows, and then the file stays unseen. Ting itself never opens what it stores.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

_log = logging.getLogger("ting.files")
_CLEAN, _INFECTED = 0, 1


class ScanFailed(Exception):
    """Nobody knows whether the file is clean."""


class Scanner:
    """`command` with its arguments; none: every file is clean."""

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self._command = command
        self._timeout_s = timeout_s

    async def is_clean(self, blocks: AsyncIterator[bytes]) -> bool:
        """Raises `ScanFailed`, and what reading the blocks raises."""
        if not self._command:
            return True
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise self._failed(f"cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(self._timeout_s):
                await _feed(process, blocks)
                status = await process.wait()
        except TimeoutError:
            raise self._failed("took too long") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status not in (_CLEAN, _INFECTED):
            raise self._failed(f"ended with status {status}")
        return status == _CLEAN

    def _failed(self, reason: str) -> ScanFailed:
        _log.error("the scanner of files %s", reason)
        return ScanFailed(reason)


async def _feed(process: asyncio.subprocess.Process, blocks: AsyncIterator[bytes]) -> None:
    """A program may decide before the end and close its input."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        async for block in blocks:
            process.stdin.write(block)
            await process.stdin.drain()
    process.stdin.close()
