"""Pages of tests that are made of packages from web/node_modules."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.harness.server import ROOT

BUILD_TIMEOUT_S = 120.0


async def bundle(page: Path, directory: Path) -> None:
    """Build `page`, a folder with a `vite.config.mjs`, into `directory`."""
    vite = await asyncio.create_subprocess_exec(
        str(ROOT / "web/node_modules/.bin/vite"), "build", "--config", str(page / "vite.config.mjs"),
        "--outDir", str(directory), "--emptyOutDir",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(BUILD_TIMEOUT_S):
        output, _ = await vite.communicate()
    assert vite.returncode == 0, output.decode()
