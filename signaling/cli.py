"""The `ting` command: serve, nodes, token, account, doctor, export, import, backup, restore, load-test.

Exit codes: 0 done, 1 it did not work (a port in use, a failed check), 2 it was asked wrongly (flags or settings).
Only the command that is called is loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence

from sfu.errors import BindError, SfuError
from signaling.errors import ArchiveError, ConfigError, DatabaseError

_EPILOG = """\
Settings come from flags, then TING_* environment variables (TING_PORT, TING_KEYS, TING_RTC_UDP_PORT, ...), then the
TOML file given with --config, TING_CONFIG or ./ting.toml, then defaults. ting.sample.toml lists every key.
"""
_COMMANDS = {
    "serve": "run the server",
    "nodes": "list the nodes of a cluster, and send one away",
    "token": "print a room token",
    "account": "make, list and end accounts",
    "doctor": "say what would stop a call on this machine",
    "export": "write rooms with their logs and files into an archive",
    "import": "take rooms in from an archive",
    "backup": "write the whole server into an archive",
    "restore": "fill an empty server from a backup",
}
"""Name and help; each is a module in `signaling.commands`."""
_MODULES = {"import": "importing"}
"""Of commands whose name no module can have."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `ting` command. Returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # PyJWT warns of the development key's length at every token; its use is guarded by the settings.
    warnings.filterwarnings("ignore", message=".*HMAC key.*")
    if given[:1] == ["load-test"]:
        return _load_test(given[1:])
    # No option before the command has a value.
    command = next((argument for argument in given if not argument.startswith("-")), "")
    options = build_parser(command).parse_args(given)
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except (ArchiveError, ConfigError, DatabaseError, SfuError) as error:
        from signaling.logs import escape

        sys.stderr.write(f"ting: {escape(str(error))}\n")
        return 1 if isinstance(error, ArchiveError | BindError | DatabaseError) else 2
    except KeyboardInterrupt:
        return 130


def build_parser(command: str) -> argparse.ArgumentParser:
    """With the options of this command, if it is one."""
    parser = argparse.ArgumentParser(
        prog="ting", description="Ting: self-hosted voice and video rooms.", epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("--version", action=_ShowVersion, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        described = commands.add_parser(name, help=text, epilog=_EPILOG, allow_abbrev=False)
        if name == command:
            module = importlib.import_module(f"signaling.commands.{_MODULES.get(name, name)}")
            module.add_options(described)
            described.set_defaults(run=module.run)
    # Listed here; its options are its own (`_load_test`).
    commands.add_parser("load-test", help="simulate participants against a server", add_help=False)
    return parser


class _ShowVersion(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_unused: object) -> None:
        from signaling.version import VERSION

        sys.stdout.write(f"ting {VERSION}\n")
        parser.exit()


def _load_test(arguments: Sequence[str]) -> int:
    """The server needs nothing of it."""
    from benchmarks.load.cli import main as run_load_test

    return run_load_test(arguments)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
