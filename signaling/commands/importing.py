"""`ting import`: take rooms in from an archive. It may be broken off and repeated."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from signaling.commands.archives import Parts, opened
from signaling.commands.options import add_settings, say
from signaling.commands.progress import shown
from signaling.logs import escape
from signaling.portability.importing import ArchivedRooms, Importer, Report
from signaling.portability.reading import Archive


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    add_signer(parser)
    parser.add_argument("--owner", default="", metavar="MEMBER", help="member id that owns each new room as well")
    parser.add_argument("source", metavar="IN", type=Path, help="archive: a tar file or a folder")


def add_signer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--signer", default="", metavar="KEY",
        help="public key of the server that made the archive, or `any`: then only damage is found, not forgery",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_import(options))


async def _import(options: argparse.Namespace) -> int:
    async with opened(options) as parts:
        archive = open_archive(options, parts)
        try:
            report = await _take_in(options, parts, archive)
        finally:
            archive.close()
    say(f"{report.rooms} rooms, {report.entries} entries new, {report.repeated} there already, {report.files} files")
    for what, times in sorted(report.left_out.items()):
        say(f"left out: {times} {escape(what)}")
    return 0


def open_archive(options: argparse.Namespace, parts: Parts) -> Archive:
    """Checked. Raises `ArchiveError`."""
    with shown("checking the archive") as progress:
        settings = parts.settings.portability
        return Archive.open(options.source, parts.signer, settings, accept=options.signer, progress=progress)


async def _take_in(options: argparse.Namespace, parts: Parts, archive: Archive) -> Report:
    with shown("taking in entries", bytes_=False) as progress:
        done = 0

        def tell(report: Report) -> None:
            nonlocal done
            progress(report.entries + report.repeated - done)
            done = report.entries + report.repeated

        importer = Importer(parts.storage, parts.files, progress=tell)
        return await importer.take_in(ArchivedRooms(archive), options.owner)
