"""`ting export` and `ting import` as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.db.url import sqlite_url
from signaling.rooms.roles import Role
from tests.signaling.portability import Ting, ting
from tests.signaling.test_foreign_exports import SLACK, slack_file

ROOT = str(Path(__file__).resolve().parents[2])


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(sqlite_url(tmp_path / "a" / "ting.db"), tmp_path / "a") as made:
        yield made


def run_ting(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TING_")}
    return subprocess.run(
        [sys.executable, "-m", "signaling.cli", *map(str, arguments), "--dev"],
        env={**clean, "PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


async def test_rooms_go_from_one_folder_to_another(here: Ting, tmp_path: Path) -> None:
    await here.fill(await here.make_room("hall"))
    await here.make_room("other")
    await here.storage.close()
    clean_config(tmp_path, "a")
    done = run_ting("export", "--config", tmp_path / "a.toml", "--room", "hall", tmp_path / "out.tar")
    assert done.returncode == 0, done.stderr
    key = here.signer.public_key
    assert done.stdout == f"{tmp_path / 'out.tar'}: signed with {key}\n"
    clean_config(tmp_path, "b")
    refused = run_ting("import", "--config", tmp_path / "b.toml", tmp_path / "out.tar")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith(f"is not trusted here; its key is {key}\n")
    for entries in ("14 entries new, 0 there already, 1 files", "0 entries new, 14 there already, 0 files"):
        done = run_ting("import", "--config", tmp_path / "b.toml", "--signer", key, tmp_path / "out.tar")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"1 rooms, {entries}\n"


def clean_config(folder: Path, name: str) -> None:
    (folder / f"{name}.toml").write_text(f'data_dir = "{folder / name}"\n')


async def test_what_is_no_archive_is_refused_in_one_line(tmp_path: Path) -> None:
    clean_config(tmp_path, "a")
    (tmp_path / "out.tar").write_bytes(b"nothing" * 1000)
    for source in (tmp_path / "out.tar", tmp_path / "nowhere.tar", tmp_path):
        done = run_ting("import", "--config", tmp_path / "a.toml", source)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("ting: ")
        assert "Traceback" not in done.stderr


async def test_a_server_is_backed_up_and_restored(here: Ting, tmp_path: Path) -> None:
    await here.fill(await here.make_room("hall"))
    await here.storage.close()
    clean_config(tmp_path, "a")
    clean_config(tmp_path, "b")
    done = run_ting("backup", "--config", tmp_path / "a.toml", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Not in it: ting.toml" in done.stdout
    restore = ("restore", "--config", tmp_path / "b.toml", "--signer", "any", tmp_path / "out")
    done = run_ting(*restore)
    assert done.returncode == 0, done.stderr
    done = run_ting(*restore)
    assert (done.returncode, done.stdout) == (1, "")
    assert "already" in done.stderr
    assert run_ting(*restore, "--replace").returncode == 0
    assert run_ting("import", "--config", tmp_path / "b.toml", "--signer", "any", tmp_path / "out").returncode == 1


async def test_what_slack_exported_is_taken_in(tmp_path: Path) -> None:
    clean_config(tmp_path, "a")
    slack_file(tmp_path / "export.zip", SLACK)
    done = run_ting("import", "--config", tmp_path / "a.toml", "--owner", "account_1", tmp_path / "export.zip")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        "2 rooms, 5 entries new, 0 there already, 0 files",
        "left out: 1 days of direct messages",
    ]
    async with ting(sqlite_url(tmp_path / "a" / "ting.db"), tmp_path / "other") as here:
        store = await here.storage.rooms()
        owned = [(room.name, m.member_id, m.role) for room in await store.list_rooms("", 10)
                 for m in await store.members(room.room_key) if m.role is Role.OWNER]  # fmt: skip
        assert owned == [("general", "account_1", "owner"), ("secret", "account_1", "owner")]
