"""`ting account` as a process, beside a running server and without one."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from pathlib import Path

import pytest

from signaling.accounts.records import EndedDevice
from signaling.cli import main
from tests.signaling.account_rig import CHEAP, PASSWORD, running_accounts
from tests.signaling.harness import eventually
from tests.signaling.test_cli import ROOT, environment


def variables(folder: Path) -> dict[str, str]:
    cheap = {f"TING_{name.upper()}": str(value) for name, value in CHEAP.items()}
    return {"TING_KEYS": "k: " + "s" * 32, "TING_DATA_DIR": str(folder), **cheap}


def ting(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "signaling.cli", "account", *arguments],
        cwd=folder, env=environment(PYTHONPATH=ROOT, **variables(folder)), input=stdin, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip


async def test_accounts_are_made_listed_and_ended(tmp_path: Path) -> None:
    async with running_accounts(data_dir=tmp_path, device_watch_s=0.02) as rig:
        password, create = "ß" * 8, ("create", "Ada", "--admin", "--password-stdin")
        made = await asyncio.to_thread(ting, tmp_path, *create, stdin=password + "\n")
        assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
        printed = await asyncio.to_thread(ting, tmp_path, "create", "Bob")
        assert (printed.returncode, len(printed.stdout.strip())) == (0, 16)
        browser, other = rig.browser(), rig.browser()
        assert await browser.sign_in("Ada", password) == 200
        assert browser.json["is_admin"] is True
        assert await other.sign_in("Bob", printed.stdout.strip()) == 200
        assert other.json["is_admin"] is False
        listed = await asyncio.to_thread(ting, tmp_path, "list")
        assert listed.stdout == "Ada\tadmin\nBob\t\n"
        ended: list[EndedDevice] = []
        rig.accounts.on_device_ended.append(ended.append)
        assert (await asyncio.to_thread(ting, tmp_path, "end", "bob")).returncode == 0
        await eventually(lambda: ended, "the end of Bob's device")
        assert await other("GET", "/account") == 401
        entries = [entry for _, entry in await rig.accounts.audit_entries(0, 10)]
        acts = [("account_ended", "ting"), ("account_created", "ting"), ("account_created", "ting")]
        assert [(entry.act, entry.actor) for entry in entries] == acts


@pytest.mark.parametrize(
    ("arguments", "stdin", "word"),
    [
        (("create", "Ada", "--password-stdin"), PASSWORD, "of this name"),
        (("create", "Bob", "--password-stdin"), "short\n", "8 to 1024"),
        (("create", "Bob", "--password-stdin"), "", "8 to 1024"),
        (("create", "a\u202eb"), "", "ordinary characters"),
        (("end", "Bob"), "", "no account"),
        (("end", "Ada"), "", "admin"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    stdin: str,
    word: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert main(["account", "create", "Ada", "--admin"]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    assert main(["account", *arguments]) == 2
    result = capsys.readouterr()
    assert (result.out, len(result.err.splitlines())) == ("", 1)
    assert word in result.err
    assert main(["account", "list"]) == 0
    assert capsys.readouterr().out == "Ada\tadmin\n"
