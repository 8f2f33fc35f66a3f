"""What belongs to one account, taken along by itself and by the operator."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.signaling.account_rig import PASSWORD, AccountServer, Browser, running_accounts
from tests.signaling.rooms import Person
from tests.signaling.test_archive_commands import clean_config, run_ting
from tests.signaling.test_room_archives import upload_file


async def person_of(rig: AccountServer, browser: Browser, room: str) -> Person:
    """The account in a room."""
    assert await browser("POST", f"/rooms/{room}/tokens", {"name": "Ada"}) == 200, browser.json
    person = Person(rig.server, "Ada", room=room, token=browser.json["token"])
    person.identity = browser.json["identity"]
    return person


async def talk(rig: AccountServer, browser: Browser) -> tuple[Person, str]:
    """Ada's account says something in Bob's room, and he to her and to others; she, and her file."""
    bob = Person(rig.server, "Bob")
    await bob.make_room()
    ada = await person_of(rig, browser, bob.room)
    await ada.say("mine")
    await bob.say("his, and nobody else's")
    await bob.say("between us", to=ada.member_id)
    file_id = await upload_file(ada, b"my bytes")
    await ada.write("file", file_id=file_id, name="a.txt", size=8, type="text/plain")
    await upload_file(bob, b"his bytes")
    other = Person(rig.server, "Bob")
    await other.make_room()
    await other.say("where she never was")
    return ada, file_id


def read(archive: bytes) -> tuple[set[str], dict[str, Any], list[dict[str, Any]], dict[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        content = {name: file.read() for name in tar.getnames() if (file := tar.extractfile(name)) is not None}
    lines = [json.loads(line) for line in content["rooms/000001/room.jsonl"].splitlines()]
    return set(content), json.loads(content["account.json"]), lines, content


async def test_an_account_takes_along_what_is_its_own_and_nothing_else() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in("Ada")
        ada, file_id = await talk(rig, browser)
        url = f"{browser.url}/api/v1/account/export"
        async with browser.http.get(url, headers=browser.headers) as answer:
            assert (answer.status, answer.content_type) == (200, "application/x-tar")
            archive = await answer.read()
        assert await rig.browser()("GET", "/account/export") == 401
    names, profile, lines, content = read(archive)
    room = "rooms/000001"
    assert names == {"account.json", f"{room}/room.jsonl", f"{room}/files/{file_id}", "manifest.json", "signature.json"}
    assert (profile["name"], profile["member_id"], len(profile["devices"])) == ("Ada", ada.member_id, 1)
    assert content[f"{room}/files/{file_id}"] == b"my bytes"
    assert lines[0]["scope"] == "account"
    entries = [line for line in lines if line.get("type") == "entry"]
    said = [entry["body"]["text"] for entry in entries if entry["verb"] == "message"]
    assert said == ["mine", "between us"]
    assert all(ada.member_id in (entry["sender"], entry.get("recipient")) for entry in entries)
    assert {line["file_id"] for line in lines if line.get("type") == "file"} == {file_id}
    for secret in (PASSWORD.encode(), b"argon2", b"his, and", b"never was"):
        assert secret not in archive


async def test_the_operator_takes_it_along_too_and_no_room_is_made_from_it(tmp_path: Path) -> None:
    async with running_accounts(data_dir=str(tmp_path / "a")) as rig:
        browser = await rig.signed_in("Ada")
        ada, _ = await talk(rig, browser)
        member_id = ada.member_id
    clean_config(tmp_path, "a")
    clean_config(tmp_path, "b")
    out = tmp_path / "ada.tar"
    done = run_ting("export", "--config", tmp_path / "a.toml", "--account", "Ada", out)
    assert done.returncode == 0, done.stderr
    _, profile, lines, _ = read(out.read_bytes())
    assert profile["member_id"] == member_id
    assert [line["body"]["text"] for line in lines if line.get("verb") == "message"] == ["mine", "between us"]
    missing = run_ting("export", "--config", tmp_path / "a.toml", "--account", "Eve", tmp_path / "eve.tar")
    assert missing.returncode == 1
    assert "there is no account Eve" in missing.stderr
    key = done.stdout.rpartition(" ")[2].strip()
    refused = run_ting("import", "--config", tmp_path / "b.toml", "--signer", key, out)
    assert refused.returncode == 1
    assert "belongs to one account" in refused.stderr
