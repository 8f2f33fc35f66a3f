"""The log of a sealed room: who wrote what kind of entry is known, and what it says is not."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.signaling.harness import Server, running
from tests.signaling.rooms import Person, founder, visitor

SEALED = {"kind": "sealed"}
PLAIN: list[tuple[str, dict[str, Any]]] = [
    ("message", {"text": "hello"}), ("edit", {"text": "hello"}), ("react", {"emoji": "x"}), ("vote", {"choices": [0]}),
    ("poll", {"question": "q", "options": ["a", "b"]}), ("hand", {"up": True}), ("file", {"file_id": "f", "name": "n"}),
]  # fmt: skip


@pytest.fixture
async def server(url: str) -> AsyncIterator[Server]:
    """Once with SQLite, once with PostgreSQL."""
    async with running(database_url=url) as running_server:
        yield running_server


def box(size: int = 284) -> dict[str, Any]:
    data = base64.urlsafe_b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
    return {"sealed": {"group": "g" * 22, "epoch": 3, "data": data}}


async def write(person: Person, verb: str, target: int | None = None, **body: Any) -> dict[str, Any]:
    status, entry = await person.write(verb, target, **body)
    assert status == 200, entry
    answer: dict[str, Any] = entry
    return answer


async def test_only_what_is_encrypted_is_written(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    for verb, body in PLAIN:
        for wrong in (body, {**box(), **body}):
            status, answer = await ada.write(verb, 1, **wrong)
            assert (status, answer["error"]["code"]) == (403, "sealed_room"), (verb, wrong)
    sync = await ada.sync()
    await sync.send("write", verb="message", body={"text": "hello"}, client_id="c1")
    assert (await sync.wait_for("refused"))["code"] == "sealed_room"


async def test_an_open_room_takes_no_ciphertext(server: Server) -> None:
    ada = await founder(server)
    assert (await ada.write("message", **box()))[1]["error"]["code"] == "invalid_body"


async def test_every_verb_goes_sealed_and_the_server_adds_what_it_knows(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    bob = await visitor(server, ada.room)
    message, poll = await write(ada, "message", **box()), await write(ada, "poll", **box())
    edit = await write(ada, "edit", message["seq"], **box(600))
    for verb, target in (("react", message["seq"]), ("vote", poll["seq"]), ("hand", None)):
        await write(bob, verb, target, **box())
    await write(ada, "pin", message["seq"])
    await write(ada, "close_poll", poll["seq"])
    assert (await bob.write("vote", poll["seq"], **box()))[1]["error"]["code"] == "poll_closed"
    found = {entry["seq"]: entry for entry in await bob.entries()}
    shown = found[message["seq"]]
    assert shown["body"] == {**edit["body"], "edited_at_ms": shown["body"]["edited_at_ms"]}
    assert found[poll["seq"]]["body"]["closed"] is True
    assert (await bob.good("GET", "pins"))["entries"][0]["seq"] == message["seq"]
    assert (await bob.write("edit", message["seq"], **box()))[1]["error"]["code"] == "forbidden"
    await write(ada, "delete", message["seq"])
    assert [e["body"] for e in await bob.entries() if e["seq"] in (message["seq"], edit["seq"])] == [None, None]


async def test_a_sealed_entry_has_its_limit() -> None:
    async with running(max_sealed_entry_bytes=1000) as server:
        ada = await founder(server, policy=SEALED)
        assert (await ada.write("message", **box(800)))[1]["error"]["code"] == "invalid_body"
        await write(ada, "message", **box(600))


async def test_what_was_sealed_stays_so_when_the_room_is_opened(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    message, poll = await write(ada, "message", **box()), await write(ada, "poll", **box())
    sync = await ada.sync(since=0)
    await ada.good("PATCH", "", {"policy": {"kind": "open"}})
    await sync.wait_for("entry")
    await sync.send("write", verb="message", body={"text": "hello"}, client_id="c1")
    assert (await sync.wait_for("written"))["client_id"] == "c1", "a connection hears at once that it is open now"
    assert (await ada.write("message", **box()))[1]["error"]["code"] == "invalid_body"
    assert (await ada.write("vote", poll["seq"], choices=[0]))[1]["error"]["code"] == "poll_closed"
    assert next(e for e in await ada.entries() if e["seq"] == message["seq"])["body"] == message["body"]
    assert [e["body"]["text"] for e in (await ada.good("GET", "search", params={"q": "hello"}))["entries"]] == ["hello"]


async def test_the_server_does_not_search(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    assert await ada.refused("GET", "search", params={"q": "hello"}) == "sealed_room"


async def test_files_have_no_names_and_go_with_their_entries(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    good = "filename c2VhbGVk,filetype YXBwbGljYXRpb24vb2N0ZXQtc3RyZWFt"  # sealed, application/octet-stream
    for metadata in ("filename cGxhbi5wZGY=", "filetype aW1hZ2UvcG5n", f"{good},more eA=="):
        assert await upload(ada, b"x" * 100, metadata) == "sealed_room"
    for metadata in ("", good):
        file_id = await upload(ada, b"x" * 100, metadata)
        entry = await write(ada, "file", file_id=file_id, **box())
        assert {key: value for key, value in entry["body"].items() if key != "sealed"} == {
            "file_id": file_id, "size": 100,
        }  # fmt: skip
        row = await (await server.services.storage.files()).load_file(file_id)
        assert row is not None
        assert (row.name, row.media_type) == ("sealed", "application/octet-stream")
        await write(ada, "delete", entry["seq"])
        async with server.http.get(
            f"{server.url}/api/v1/rooms/{ada.room}/files/{file_id}", headers={"Authorization": f"Bearer {ada.token}"}
        ) as response:
            assert response.status == 404


async def upload(person: Person, content: bytes, metadata: str) -> str:
    """The file's id, or the code of the refusal."""
    headers = {
        "Authorization": f"Bearer {person.token}", "Tus-Resumable": "1.0.0", "Upload-Length": str(len(content)),
        "Content-Type": "application/offset+octet-stream",
    }  # fmt: skip
    if metadata:
        headers["Upload-Metadata"] = metadata
    url = f"{person.server.url}/api/v1/rooms/{person.room}/files"
    async with person.server.http.post(url, data=content, headers=headers) as response:
        if response.status != 201:
            return str((await response.json())["error"]["code"])
        return response.headers["Location"].rpartition("/")[2]
