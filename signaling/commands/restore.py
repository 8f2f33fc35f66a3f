"""`ting restore`: fill an empty server from a backup. The server must not run meanwhile."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from signaling.commands.archives import opened
from signaling.commands.importing import add_signer, open_archive
from signaling.commands.options import add_settings, say
from signaling.portability.backup import restore


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    add_signer(parser)
    parser.add_argument("--replace", action="store_true", help="give up what the database has now")
    parser.add_argument("source", metavar="IN", type=Path, help="backup: a tar file or a folder")


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_restore(options))


async def _restore(options: argparse.Namespace) -> int:
    async with opened(options) as parts:
        archive = open_archive(options, parts)
        try:
            rows = await restore(archive, await parts.storage.backups(), parts.files, replace=options.replace)
        finally:
            archive.close()
    say(f"restored: {rows} rows")
    return 0
