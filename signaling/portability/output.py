"""Where an archive goes on disk: into a tar file, or into a folder. Under its name only when it is whole."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import IO

from signaling.errors import ArchiveError
from signaling.portability.archive import Part, Seal, as_tar

Progress = Callable[[int], None]
"""Is told how many bytes more are done."""


async def write_archive(parts: AsyncGenerator[Part], seal: Seal, target: Path, progress: Progress) -> None:
    """A tar file when the name ends in .tar, else a folder. Raises `ArchiveError`, and what the parts raise; then
    nothing of that name is there."""
    unfinished = _begin(target)
    try:
        if target.suffix == ".tar":
            with _create(unfinished) as file:
                async with aclosing(as_tar(parts, seal)) as chunks:
                    await _write(file, chunks, progress)
        else:
            await _write_folder(parts, seal, unfinished, progress)
        await asyncio.to_thread(unfinished.rename, target)
    except OSError as error:
        raise ArchiveError(f"{target} cannot be written: {error.strerror}") from None


async def _write_folder(parts: AsyncGenerator[Part], seal: Seal, folder: Path, progress: Progress) -> None:
    async with aclosing(parts):
        async for part in parts:
            with _create(folder / part.name) as file:
                async with aclosing(seal.pass_on(part)) as chunks:
                    await _write(file, chunks, progress)
    for name, data in seal.close():
        with _create(folder / name) as file:
            file.write(data)


async def _write(file: IO[bytes], chunks: AsyncGenerator[bytes], progress: Progress) -> None:
    async for chunk in chunks:
        file.write(chunk)
        progress(len(chunk))
    file.flush()
    await asyncio.to_thread(os.fsync, file.fileno())


def _begin(target: Path) -> Path:
    """Where it grows. What an earlier try left there goes."""
    if target.exists():
        raise ArchiveError(f"{target} is there already")
    unfinished = target.with_name(f"{target.name}.unfinished")
    if unfinished.is_dir():
        shutil.rmtree(unfinished)
    return unfinished


def _create(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
