"""Download links, and transfers that end with the right to the room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from signaling.api import tus
from tests.harness.files import FilesServer, Person, error_code, people, serving
from tests.signaling.harness import eventually


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FilesServer]:
    async with serving(tmp_path) as server:
        yield server


@pytest.fixture
async def ada(files: FilesServer) -> AsyncIterator[Person]:
    async with people(files, "ada") as [person]:
        yield person


def other(person: Person, name: str) -> Person:
    return Person(person.server, person.http, name)


async def make_link(person: Person, file_id: str) -> str:
    status, _, body = await person.ask("POST", file_id + "/links")
    assert status == 201
    return str(json.loads(body)["path"])


async def test_a_link_needs_no_token_and_ends_with_its_owners_right(ada: Person, files: FilesServer) -> None:
    file_id = await ada.send(b"text")
    bob, stranger = other(ada, "bob"), {"Authorization": ""}
    link = await make_link(bob, file_id)
    assert (await ada.ask("GET", link, headers=stranger))[::2] == (200, b"text")
    wrong = [
        link[:-5] + ("A" if link[-5] != "A" else "B") + link[-4:],
        link.replace(file_id, "0" * 32),
        link.partition("?")[0] + "?link=x.y",
    ]
    for path in wrong:
        status, _, body = await ada.ask("GET", path, headers=stranger)
        assert (status, error_code(body)) == (403, "link_invalid")
    files.doors.gone.add("bob")
    assert (await ada.ask("GET", link, headers=stranger))[0] == 403
    files.doors.gone.clear()
    await ada.ask("DELETE", file_id)
    assert (await ada.ask("GET", link, headers=stranger))[0] == 404


async def test_a_link_ends_by_itself(tmp_path: Path) -> None:
    async with serving(tmp_path, file_link_ttl_s=0.2) as server, people(server, "ada") as [ada]:
        link = await make_link(ada, await ada.send(b"text"))
        seen = [(await ada.ask("GET", link))[0]]
        async with asyncio.timeout(5):
            while seen[-1] == 200:
                seen.append((await ada.ask("GET", link))[0])
        assert seen[-1] == 403


@pytest.mark.parametrize("removed", [False, True])
async def test_a_download_breaks_off(
    ada: Person, files: FilesServer, monkeypatch: pytest.MonkeyPatch, *, removed: bool
) -> None:
    """The rest of a large file is not for somebody who was put out meanwhile, and for nobody when it was removed."""
    monkeypatch.setattr(tus, "ALIVE_INTERVAL_S", 0.0)
    data = bytes(64 * 2**20)
    file_id = await ada.send(data)
    link = await make_link(other(ada, "bob"), file_id)
    async with ada.http.get(files.url + link) as response:
        got = len(await response.content.readexactly(100_000))
        if removed:
            await files.files.remove(file_id)
        else:
            files.doors.gone.add("bob")
        with pytest.raises(aiohttp.ClientError):
            got += len(await response.content.read())
    assert got < len(data)


async def test_an_upload_ends_when_its_sender_is_put_out(
    ada: Person, files: FilesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tus, "ALIVE_INTERVAL_S", 0.0)
    file_id = await ada.create(100)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        await eventually(lambda: file_id in files.files._uploads._uses, "the request")
        files.doors.gone.add("ada")
        yield b"def"

    status, _, body = await ada.add(file_id, 0, pieces())
    assert (status, error_code(body)) == (403, "forbidden")
    files.doors.gone.clear()
    assert await ada.offset(file_id) <= 6
