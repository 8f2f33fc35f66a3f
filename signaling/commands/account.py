"""`ting account`: make, list and end accounts, whether or not the server runs."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable

from signaling.accounts.service import COMMAND, Accounts
from signaling.commands.options import add_key_options, read_settings, say
from signaling.config import Settings
from signaling.db.settings import data_folder
from signaling.db.storage import Storage
from signaling.errors import ApiError, ConfigError

_PASSWORD_BYTES = 12
_PAGE = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    add_key_options(parser)
    acts = parser.add_subparsers(required=True, metavar="ACT")
    create = acts.add_parser("create", help="make an account; prints its password unless one is given")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--admin", action="store_true", help="it may make and end other accounts")
    create.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    create.set_defaults(act=_create)
    acts.add_parser("list", help="print all accounts").set_defaults(act=_list)
    end = acts.add_parser("end", help="delete an account and sign it out everywhere")
    end.add_argument("name", metavar="NAME")
    end.set_defaults(act=_end)


def run(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    try:
        return asyncio.run(_run(settings, options))
    except ApiError as error:
        raise ConfigError(str(error)) from None


async def _run(settings: Settings, options: argparse.Namespace) -> int:
    storage = Storage(settings.database, data_folder(settings.database, dev=settings.listener.dev))
    accounts = Accounts(settings.accounts, storage.accounts)
    act: Callable[[Accounts, argparse.Namespace], Awaitable[int]] = options.act
    try:
        return await act(accounts, options)
    finally:
        await accounts.close()
        await storage.close()


async def _create(accounts: Accounts, options: argparse.Namespace) -> int:
    given = sys.stdin.readline().rstrip("\r\n") if options.password_stdin else None
    password = secrets.token_urlsafe(_PASSWORD_BYTES) if given is None else given
    await accounts.create(COMMAND, options.name, password, is_admin=options.admin)
    if given is None:
        say(password)
    return 0


async def _list(accounts: Accounts, _options: argparse.Namespace) -> int:
    after = ""
    while rows := await accounts.page(after, _PAGE):
        for row in rows:
            words = [word for word, holds in (("admin", row.is_admin), ("disabled", row.is_disabled)) if holds]
            say("\t".join([row.name, ",".join(words)]))
        after = rows[-1].name_key
    return 0


async def _end(accounts: Accounts, options: argparse.Namespace) -> int:
    account = await accounts.find(options.name)
    if account is None:
        raise ApiError("not_found", "There is no account of this name.")
    await accounts.remove(COMMAND, account.account_id)
    return 0
