"""`ting backup`: write the whole server into an archive. The server may run meanwhile."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from signaling.commands.archives import opened
from signaling.commands.options import add_settings, say
from signaling.commands.progress import shown
from signaling.portability.archive import Kind, Seal
from signaling.portability.backup import ABOUT_VERSION, Backup
from signaling.portability.output import write_archive
from signaling.portability.signing import KEY_FILE

_LEFT_OUT = f"""\
Not in it: ting.toml with keys and secrets, certificates, {KEY_FILE} in the data folder, unfinished uploads, signed-in
devices (everybody signs in again), webhook events on their way. Whoever has it can read everything: keep it safe."""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("target", metavar="OUT", type=Path, help="archive to write: NAME.tar, or else a folder")


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_backup(options))


async def _backup(options: argparse.Namespace) -> int:
    async with opened(options) as parts:
        store = await parts.storage.backups()
        seal = Seal(parts.signer, Kind.BACKUP, {ABOUT_VERSION: store.version})
        with shown("writing tables and files") as progress:
            backup = Backup(store, parts.files, parts.folder)
            await write_archive(backup.parts(), seal, options.target, progress)
        say(f"{options.target}: signed with {parts.signer.public_key}")
        say(_LEFT_OUT)
    return 0
