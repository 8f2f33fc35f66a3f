"""What `ting doctor` says of the database, webhooks, issuers and TURN."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sfu.api import Check
from signaling.db.database import Database
from signaling.db.url import sqlite_url
from signaling.doctor import run_checks, turn_host
from tests.signaling.harness import make_settings


def checks(tmp_path: Path, **changes: Any) -> dict[str, Check]:
    settings = make_settings(**{"data_dir": tmp_path / "data", **changes})
    return {check.name: check for check in run_checks(settings)}


def test_the_database(tmp_path: Path) -> None:
    name, path = "database (SQLite)", tmp_path / "data" / "ting.db"
    assert checks(tmp_path)[name] == Check(name, True, "made at the first start")
    assert not path.parent.exists()

    async def make() -> None:
        database = Database(sqlite_url(path))
        await database.open()
        await database.close()

    asyncio.run(make())
    assert checks(tmp_path)[name] == Check(name, True, "answers")
    path.write_text("nonsense " * 100)
    found = checks(tmp_path)[name]
    assert (found.ok, "not a database" in found.message) == (False, True)
    found = checks(tmp_path, data_dir=path / "below")[name]
    assert (found.ok, "written" in found.message) == (False, True)
    refused = checks(tmp_path, database_url="postgresql://ada:hunter2@127.0.0.1:1/x")["database (PostgreSQL)"]
    assert refused.ok is False
    assert "hunter2" not in refused.message


@pytest.mark.parametrize(
    ("url", "ok", "word"),
    [
        ("https://example.org/hook", True, "1 URL"),
        ("http://127.0.0.1:9/hook", True, "1 URL"),
        ("http://example.org/hook", None, "without TLS"),
    ],
)
def test_webhooks(tmp_path: Path, url: str, ok: bool | None, word: str) -> None:
    found = checks(tmp_path, webhooks=json.dumps([{"url": url}]))["webhooks"]
    assert (found.ok, word in found.message) == (ok, True)
    assert "webhooks" not in checks(tmp_path)


@pytest.mark.parametrize(
    ("urls", "ok", "word"),
    [
        (None, None, "none"),
        (["turn:127.0.0.1:3478"], None, "no turns"),
        (["turns:localhost:443?transport=tcp", "turn:[::1]"], True, "2 hosts"),
        (["turns:nowhere.invalid"], False, "nowhere.invalid"),
    ],
)
def test_turn(tmp_path: Path, urls: list[str] | None, ok: bool | None, word: str) -> None:
    turn = json.dumps([{"urls": urls, "secret": "x"}] if urls else [])
    found = checks(tmp_path, turn=turn)["TURN"]
    assert (found.ok, word in found.message) == (ok, True), found


def test_issuers(tmp_path: Path) -> None:
    files = {"good": '{"keys": []}', "bad": "nonsense"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    tables = [{"issuer": name, "jwks": str(tmp_path / name)} for name in (*files, "missing")]
    tables.append({"issuer": "far", "jwks": "https://id.example.org/jwks.json"})
    found = checks(tmp_path, issuers=json.dumps(tables))
    verdicts = [found[f"keys of the issuer {name}"] for name in ("good", "bad", "missing", "far")]
    assert [check.ok for check in verdicts] == [False, False, False, True]
    assert verdicts[0].message == "0 usable"


def test_hosts_of_turn_urls() -> None:
    urls = (
        "turn:a.example.org",
        "turns:a.example.org:443?transport=tcp",
        "turn:[2001:db8::1]:3478",
        "turn:192.0.2.1:1",
    )
    assert [turn_host(url) for url in urls] == ["a.example.org", "a.example.org", "2001:db8::1", "192.0.2.1"]
