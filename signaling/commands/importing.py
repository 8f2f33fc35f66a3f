"""`ting import`: take rooms in from an archive, or from what Mattermost or Slack exported. It may be broken off and
repeated."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path

from signaling.commands.archives import Parts, opened
from signaling.commands.options import add_settings, say
from signaling.commands.progress import shown
from signaling.errors import ArchiveError
from signaling.logs import escape
from signaling.portability.importing import ArchivedRooms, Importer, Report, RoomSource
from signaling.portability.mattermost import read_mattermost
from signaling.portability.reading import Archive
from signaling.portability.slack import read_slack


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    add_signer(parser)
    parser.add_argument("--owner", default="", metavar="MEMBER", help="member id that owns each new room as well")
    parser.add_argument(
        "source", metavar="IN", type=Path, help="archive (a tar file or a folder), .jsonl of Mattermost, .zip of Slack"
    )


def add_signer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--signer", default="", metavar="KEY",
        help="public key of the server that made the archive, or `any`: then only damage is found, not forgery",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_import(options))


async def _import(options: argparse.Namespace) -> int:
    async with opened(options) as parts:
        source, close = await asyncio.to_thread(_open, options, parts)
        try:
            report = await _take_in(options, parts, source)
        finally:
            close()
    say(f"{report.rooms} rooms, {report.entries} entries new, {report.repeated} there already, {report.files} files")
    for what, times in sorted(report.left_out.items()):
        say(f"left out: {times} {escape(what)}")
    return 0


def open_archive(options: argparse.Namespace, parts: Parts) -> Archive:
    """Checked. Raises `ArchiveError`."""
    with shown("checking the archive") as progress:
        settings = parts.settings.portability
        return Archive.open(options.source, parts.signer, settings, accept=options.signer, progress=progress)


def _open(options: argparse.Namespace, parts: Parts) -> tuple[RoomSource, Callable[[], None]]:
    """What the file is, its first bytes say. Raises `ArchiveError`."""
    path: Path = options.source
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except IsADirectoryError:
        start = b""
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from None
    if start[:1] != b"{" and start != b"PK\x03\x04":
        archive = open_archive(options, parts)
        return ArchivedRooms(archive), archive.close
    read = read_mattermost if start[:1] == b"{" else read_slack
    with shown("sorting what was said elsewhere"):
        rooms = read(path, parts.settings.portability, parts.folder)
    return rooms, rooms.close


async def _take_in(options: argparse.Namespace, parts: Parts, source: RoomSource) -> Report:
    with shown("taking in entries", bytes_=False) as progress:
        done = 0

        def tell(report: Report) -> None:
            nonlocal done
            progress(report.entries + report.repeated - done)
            done = report.entries + report.repeated

        importer = Importer(parts.storage, parts.files, progress=tell)
        return await importer.take_in(source, options.owner)
