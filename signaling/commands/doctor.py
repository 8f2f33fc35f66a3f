"""`ting doctor`: say what would stop a call on this machine."""

from __future__ import annotations

import argparse
import json

from signaling.commands.options import add_settings, read_settings, say
from signaling.doctor import run_checks

_SHOWN = {True: "ok", False: "FAIL", None: "hint"}


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def run(options: argparse.Namespace) -> int:
    checks = run_checks(read_settings(options))
    failed = any(check.ok is False for check in checks)
    if options.json:
        entries = [{"name": check.name, "ok": check.ok, "message": check.message} for check in checks]
        say(json.dumps({"ok": not failed, "checks": entries}, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(f"{_SHOWN[check.ok]:4}  {check.name:{width}}  {check.message}")
    return 1 if failed else 0
