"""`ting export`: write rooms with their logs and files into an archive. The server may run meanwhile."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from signaling.commands.archives import opened
from signaling.commands.options import add_settings, say
from signaling.commands.progress import shown
from signaling.portability.archive import Kind, Seal
from signaling.portability.export import Exporter
from signaling.portability.output import write_archive


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--room", action="append", metavar="NAME", help="this room only; may be repeated")
    parser.add_argument("target", metavar="OUT", type=Path, help="archive to write: NAME.tar, or else a folder")


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_export(options))


async def _export(options: argparse.Namespace) -> int:
    async with opened(options) as parts:
        exporter = Exporter(parts.storage, parts.files, parts.folder)
        with shown("writing rooms") as progress:
            rooms = exporter.parts(options.room)
            await write_archive(rooms, Seal(parts.signer, Kind.ROOMS), options.target, progress)
        say(f"{options.target}: signed with {parts.signer.public_key}")
    return 0
