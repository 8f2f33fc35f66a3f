"""What owners take along of a room and bring into one, over HTTP."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signaling.log.entries import Entry
from signaling.log.live import Live
from tests.harness.files import PIECE, TUS
from tests.signaling.harness import Server, running
from tests.signaling.rooms import Person, founder, visitor


async def export(person: Person) -> bytes:
    url = f"{person.server.url}/api/v1/rooms/{person.room}/export"
    async with person.server.http.get(url, headers={"Authorization": f"Bearer {person.token}"}) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/x-tar"
        return await response.read()


async def bring(person: Person, archive: bytes | AsyncIterator[bytes], kind: str = "application/x-tar") -> Any:
    url = f"{person.server.url}/api/v1/rooms/{person.room}/import"
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": kind}
    async with person.server.http.post(url, data=archive, headers=headers) as response:
        return await response.json()


async def upload_file(person: Person, data: bytes) -> str:
    headers = {**TUS, **PIECE, "Authorization": f"Bearer {person.token}", "Upload-Length": str(len(data))}
    headers.pop("Upload-Offset", None)
    url = f"{person.server.url}/api/v1/rooms/{person.room}/files"
    async with person.server.http.post(url, headers=headers, data=data) as response:
        assert response.status == 201, await response.text()
        return response.headers["Location"].rpartition("/")[2]


def lines_of(archive: bytes) -> list[dict[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile("rooms/000001/room.jsonl")
        assert file is not None
        return [msgspec.json.decode(line) for line in file]


async def talk(ada: Person, bob: Person) -> None:
    seq = (await ada.say("Hello, 世界"))["seq"]
    await bob.say("an answer", target=seq)
    await bob.write("react", seq, emoji="👍")
    gone = (await bob.say("a slip"))["seq"]
    await bob.write("delete", gone)
    await ada.write("edit", seq, text="Hello again, 世界")
    await bob.say("between us", to=ada.member_id)


async def test_what_is_sealed_and_what_is_not_do_not_mix(server: Server) -> None:
    ada, bob = await founder(server, policy={"kind": "sealed"}), await founder(server, "Bob")
    assert (await ada.write("message", sealed={"group": "g", "epoch": 0, "data": "eA"}))[0] == 200
    await bob.say("plain")
    stroke = {"by": bob.member_id, "name": "Bob", "points": [1, 2]}
    assert (await bob.write("draw", share="TR_1", strokes=[stroke]))[0] == 200
    from_ada, from_bob = await export(ada), await export(bob)
    assert (await bring(bob, from_ada))["left_out"]["entries that are encrypted for another room"] == 1
    plain = "entries that are not encrypted, which a sealed room does not take"
    left_out = (await bring(ada, from_bob))["left_out"]
    assert (left_out[plain], left_out["what was drawn"]) == (1, 1)
    assert [line["body"]["strokes"] for line in lines_of(from_bob) if line.get("verb") == "draw"] == [[stroke]]
    assert "plain" not in str(await ada.entries())
    assert [line["policy"]["kind"] for line in lines_of(from_ada) if line.get("type") == "room"] == ["sealed"]


async def test_what_was_said_comes_into_another_room(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    await talk(ada, bob)
    archive = await export(ada)
    cleo = await founder(server, "Cleo")
    sync = await cleo.sync()
    await sync.wait_for("opened")
    report = await bring(cleo, archive)
    assert report == {
        "entries": 5, "repeated": 0, "files": 0,
        "left_out": {"entries about what is gone": 1, "entries that are gone": 1, "notes of the server": 1},
    }  # fmt: skip
    heard = [await sync.wait_for("entry") for _ in range(5)]
    entries = await cleo.entries()
    assert [e["verb"] for e in entries] == ["moderation", "moderation", *["message"] * 2, "react", "edit"]
    assert [e["seq"] for e in heard] == [2, 3, 4, 5, 6]
    hello, answer, react, edit = entries[2:]
    assert (hello["body"]["text"], hello["name"]) == ("Hello again, 世界", "Ada")
    assert [answer["target"], react["target"], edit["target"]] == [hello["seq"]] * 3
    assert [e["body"]["act"] for e in entries[:2]] == ["create", "import"]
    found = await cleo.good("GET", "search", params={"q": "世界"})
    assert [e["seq"] for e in found["entries"]] == [hello["seq"]]
    again = await bring(cleo, archive)
    assert (again["entries"], again["repeated"]) == (0, 5)


async def test_files_come_along_under_names_of_their_own(server: Server) -> None:
    ada = await founder(server)
    content = b"what is in it" * 40_000
    file_id = await upload_file(ada, content)
    await ada.write("file", file_id=file_id, name="notes.txt", size=len(content))
    archive = await export(ada)
    cleo = await founder(server, "Cleo")
    report = await bring(cleo, archive)
    assert (report["entries"], report["files"]) == (1, 1)
    body = next(e["body"] for e in await cleo.entries() if e["verb"] == "file")
    assert body["file_id"] != file_id
    url = f"{server.url}/api/v1/rooms/{cleo.room}/files/{body['file_id']}"
    async with server.http.get(url, headers={"Authorization": f"Bearer {cleo.token}"}) as response:
        assert (response.status, await response.read()) == (200, content)
    assert (await bring(cleo, archive))["files"] == 0


async def test_a_file_is_there_when_its_entry_is_heard_of(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page fetches a picture at once, and shows none that was not there."""
    ada, cleo = await founder(server), await founder(server, "Cleo")
    file_id = await upload_file(ada, b"what is in it")
    await ada.write("file", file_id=file_id, name="notes.txt", size=13)
    archive = await export(ada)
    fetched: list[asyncio.Task[int]] = []
    publish = Live.publish

    async def fetch(file_id: str) -> int:
        url = f"{server.url}/api/v1/rooms/{cleo.room}/files/{file_id}"
        async with server.http.get(url, headers={"Authorization": f"Bearer {cleo.token}"}) as response:
            return response.status

    def heard(live: Live, room_key: int, entry: Entry) -> None:
        publish(live, room_key, entry)
        if entry.verb == "file" and entry.body is not None:
            fetched.append(asyncio.create_task(fetch(entry.body["file_id"])))

    monkeypatch.setattr(Live, "publish", heard)
    assert (await bring(cleo, archive))["files"] == 1
    assert await asyncio.gather(*fetched) == [200]


async def test_only_owners_take_along_and_bring_in(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    assert await bob.refused("GET", "export") == "forbidden"
    assert await bob.refused("POST", "import") == "forbidden"
    archive = await export(ada)
    assert (await bring(bob, archive))["error"]["code"] == "forbidden"


async def test_what_this_server_did_not_sign_is_refused(server: Server, tmp_path: Path) -> None:
    ada = await founder(server)
    await ada.say("as it was")
    archive = await export(ada)
    async with running(data_dir=str(tmp_path)) as other:
        eve = await founder(other, "Eve")
        await eve.say("as it was not")
        foreign = await export(eve)
    before = await ada.entries()
    for bad in (foreign, archive.replace(b"as it was", b"as it wAs"), archive[:-2000], b"", b"\0" * 4096, b"x" * 99999):
        assert (await bring(ada, bad))["error"]["code"] == "invalid_archive"
    assert (await bring(ada, archive, "application/json"))["error"]["code"] == "invalid_archive"
    assert await ada.entries() == before


async def test_an_archive_that_is_too_long_is_refused() -> None:
    async with running(max_import_bytes=20_000) as server:
        ada = await founder(server)
        assert (await bring(ada, b"x" * 20_001))["error"]["code"] == "body_too_large"

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 1000

        assert (await bring(ada, endless()))["error"]["code"] == "body_too_large"


async def test_an_archive_with_too_many_entries_is_refused() -> None:
    async with running(max_import_entries=2) as server:
        ada = await founder(server)
        for text in "abc":
            await ada.say(text)
        assert (await bring(ada, await export(ada)))["error"]["code"] == "invalid_archive"


async def test_so_many_archives_at_once_and_no_more() -> None:
    async with running(max_archive_transfers=1) as server:
        ada = await founder(server)
        archive = await export(ada)
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield archive[:600]
            begun.set()
            await go_on.wait()
            yield archive[600:]

        first = asyncio.create_task(bring(ada, slowly()))
        await begun.wait()
        # The body has begun; whether the server has seen its head as well only the refusal tells. An export of ours may
        # have been before it, and then it was the one that was refused.
        while await try_export(ada) == 200:
            if first.done():
                begun.clear()
                first = asyncio.create_task(bring(ada, slowly()))
                await begun.wait()
        go_on.set()
        assert "entries" in await first
        assert await export(ada)


async def try_export(person: Person) -> int:
    url = f"{person.server.url}/api/v1/rooms/{person.room}/export"
    async with person.server.http.get(url, headers={"Authorization": f"Bearer {person.token}"}) as response:
        return response.status


@pytest.mark.parametrize("policy", [{"keeps": "nothing"}, {"files": False}, {"retention_s": 10}])
async def test_the_room_that_takes_in_decides_what_it_keeps(server: Server, policy: dict[str, Any]) -> None:
    ada = await founder(server)
    await ada.say("said")
    file_id = await upload_file(ada, b"x")
    await ada.write("file", file_id=file_id, name="x")
    archive = await export(ada)
    cleo = await founder(server, "Cleo", policy=policy)
    report = await bring(cleo, archive)
    if policy.get("keeps"):
        assert report["error"]["code"] == "forbidden"
    elif "files" in policy:
        assert (report["entries"], report["files"]) == (1, 0)
    else:
        said = next(e for e in await cleo.entries() if e["verb"] == "message")
        assert said["expires_at_ms"] == said["at_ms"] + 10_000
