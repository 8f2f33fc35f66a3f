"""`ting export`: write rooms with their logs and files, or what belongs to one account, into an archive. The server may
run meanwhile."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from signaling.accounts.service import Accounts
from signaling.commands.archives import Parts, opened
from signaling.commands.options import add_settings, say
from signaling.commands.progress import shown
from signaling.errors import ApiError, ArchiveError
from signaling.portability.archive import Kind, Seal
from signaling.portability.belongings import Profile, belongings, profile_of
from signaling.portability.export import Exporter
from signaling.portability.output import write_archive


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--room", action="append", metavar="NAME", help="this room only; may be repeated")
    what.add_argument("--account", metavar="NAME", help="what belongs to this account, and no room")
    parser.add_argument("target", metavar="OUT", type=Path, help="archive to write: NAME.tar, or else a folder")


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_export(options))


async def _export(options: argparse.Namespace) -> int:
    async with opened(options) as parts:
        exporter = Exporter(parts.storage, parts.files, parts.folder)
        with shown("writing rooms") as progress:
            if options.account is None:
                rooms, kind = exporter.parts(options.room), Kind.ROOMS
            else:
                rooms, kind = belongings(exporter, await _profile(parts, options.account)), Kind.ACCOUNT
            await write_archive(rooms, Seal(parts.signer, kind), options.target, progress)
        say(f"{options.target}: signed with {parts.signer.public_key}")
    return 0


async def _profile(parts: Parts, name: str) -> Profile:
    accounts = Accounts(parts.settings.accounts, parts.storage.accounts)
    try:
        account = await accounts.find(name)
        if account is None:
            raise ArchiveError(f"there is no account {name}")
        return await profile_of(accounts, account.account_id)
    except ApiError as error:
        raise ArchiveError(str(error)) from None
    finally:
        await accounts.close()
