"""`ting doctor`: say what would stop a call on this machine, or on the way from here to a server."""

from __future__ import annotations

import argparse
import asyncio
import json

from sfu.api import Check
from signaling.commands.options import add_settings, read_settings, say
from signaling.doctor import run_checks
from signaling.remote_doctor import check_server

_SHOWN = {True: "ok", False: "FAIL", None: "hint"}


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument(
        "--from",
        dest="server",
        metavar="URL",
        help="check what a caller on this machine meets on the way to URL",
    )
    parser.add_argument("--token", default="", help="with --from: a room token, where guests are not let in")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def _check_here(options: argparse.Namespace) -> list[Check]:
    return run_checks(read_settings(options))


def run(options: argparse.Namespace) -> int:
    checks = asyncio.run(check_server(options.server, options.token)) if options.server else _check_here(options)
    failed = any(check.ok is False for check in checks)
    if options.json:
        entries = [{"name": check.name, "ok": check.ok, "message": check.message} for check in checks]
        say(json.dumps({"ok": not failed, "checks": entries}, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(f"{_SHOWN[check.ok]:4}  {check.name:{width}}  {check.message}")
    return 1 if failed else 0
