"""Files in the whole application: at the real door, with real roles, for as long as their room is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from signaling.errors import ConfigError
from signaling.grants import Grants
from tests.harness.files import PIECE, TUS
from tests.signaling.harness import Server, eventually, make_settings, running
from tests.signaling.rooms import Person, founder, visitor


async def send(person: Person, data: bytes) -> str:
    """The path of the file."""
    url = f"{person.server.url}/api/v1/rooms/{person.room}/files"
    bearer = {"Authorization": f"Bearer {person.token}"}
    given = {**TUS, **bearer, "Upload-Length": str(len(data))}
    async with person.server.http.post(url, headers=given) as response:
        assert response.status == 201, await response.text()
        path = response.headers["Location"]
    given = {**PIECE, **bearer, "Upload-Offset": "0"}
    async with person.server.http.patch(person.server.url + path, headers=given, data=data) as response:
        assert response.status == 204, await response.text()
    return path


async def fetch(person: Person, path: str, token: str | None = None) -> tuple[int, bytes]:
    token = person.token if token is None else token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with person.server.http.get(person.server.url + path, headers=headers) as response:
        return response.status, await response.read()


async def test_what_one_sends_all_in_the_room_can_fetch(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    elsewhere = await founder(server, "Eve")
    data = bytes(100_000)  # more than the body of any other request may have
    path = await send(bob, data)
    assert await fetch(ada, path) == (200, data)
    async with server.http.get(server.url + path, headers={"Authorization": f"Bearer {ada.token}"}) as response:
        # Those of the file, and not those that every other answer has.
        assert response.headers.getall("Content-Security-Policy") == ["sandbox; default-src 'none'"]
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert (await fetch(ada, path, token=""))[0] == 401
    assert (await fetch(elsewhere, path))[0] == 404
    assert (await fetch(elsewhere, path.replace(ada.room, elsewhere.room)))[0] == 404
    assert await elsewhere.refused("DELETE", path) == "room_not_found"
    await ada.good("DELETE", path)
    assert (await fetch(bob, path))[0] == 404


@pytest.mark.parametrize("act", ["kick", "ban"])
async def test_whoever_is_put_out_has_no_link_any_more(server: Server, act: str) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    path = await send(ada, b"text")
    bobs, adas = [(await person.good("POST", f"{path}/links"))["path"] for person in (bob, ada)]
    assert await fetch(bob, bobs, token="") == (200, b"text")
    if act == "kick":
        await (await server.connect(bob.token)).expect("join")
        await ada.good("POST", f"members/{bob.member_id}/kick")
    else:
        await ada.good("POST", "bans", {"member_id": bob.member_id})
    assert (await fetch(bob, bobs, token=""))[0] == 403
    assert (await fetch(bob, path))[0] in (401, 403)
    assert await fetch(ada, adas, token="") == (200, b"text")


async def test_a_kick_of_the_server_api_ends_links_too(server: Server) -> None:
    ada = await founder(server)
    path = await send(ada, b"text")
    guest = Person(server, "Ext", ada.room, token=server.token("ext", ada.room))
    link = (await guest.good("POST", f"{path}/links"))["path"]
    assert (await fetch(guest, link, token=""))[0] == 200
    server.services.revocations.add(ada.room, "ext")
    assert (await fetch(guest, link, token=""))[0] == 403


async def test_an_ended_device_has_no_link_any_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = {"phone"}

    async def is_alive(device_id: str) -> bool:
        return device_id in alive

    monkeypatch.setattr(server.services.lasting.door, "_is_device_alive", is_alive)
    ada = await founder(server)
    path = await send(ada, b"text")
    phone = Person(server, "Ada", ada.room, token=server.token("ada", ada.room, device="phone"))
    link = (await phone.good("POST", f"{path}/links"))["path"]
    assert (await fetch(phone, link, token=""))[0] == 200
    alive.clear()
    assert (await fetch(phone, link, token=""))[0] == 403
    assert (await fetch(phone, path))[0] == 401
    assert (await fetch(ada, path))[0] == 200


async def test_a_deleted_room_takes_its_files_with_it(tmp_path: Path) -> None:
    async with running(data_dir=str(tmp_path)) as server:
        ada, other = await founder(server), await founder(server)
        path, kept = await send(ada, b"text"), await send(other, b"text")
        link = (await ada.good("POST", f"{path}/links"))["path"]
        await ada.good("DELETE", "")
        assert (await fetch(ada, link, token=""))[0] in (403, 404)
        stored = [file.name for file in stored_in(tmp_path)]
        await eventually(lambda: len(stored_in(tmp_path)) == 1, f"the end of {stored}")
        assert await fetch(other, kept) == (200, b"text")


def stored_in(folder: Path) -> list[Path]:
    return [file for file in (folder / "files").rglob("*") if file.is_file()]


async def test_files_are_there_after_a_restart_and_unfinished_ones_go_on(tmp_path: Path) -> None:
    async with running(data_dir=str(tmp_path)) as server:
        ada = await founder(server)
        path = await send(ada, b"text")
        half = await begin(ada, 8, b"half")
        link = (await ada.good("POST", f"{path}/links"))["path"]
    async with running(data_dir=str(tmp_path)) as server:
        ada.server = server
        assert await fetch(ada, path) == await fetch(ada, link, token="") == (200, b"text")
        headers = {**PIECE, "Authorization": f"Bearer {ada.token}", "Upload-Offset": "4"}
        async with server.http.patch(server.url + half, headers=headers, data=b"full") as response:
            assert response.status == 204
        assert await fetch(ada, half) == (200, b"halffull")


async def begin(person: Person, size_bytes: int, data: bytes) -> str:
    headers: dict[str, Any] = {**PIECE, "Authorization": f"Bearer {person.token}", "Upload-Length": str(size_bytes)}
    url = f"{person.server.url}/api/v1/rooms/{person.room}/files"
    async with person.server.http.post(url, headers=headers, data=data) as response:
        assert response.status == 201
        return response.headers["Location"]


async def test_a_room_that_does_not_last_has_no_files(server: Server) -> None:
    token = server.tokens.issue(Grants(identity="ada", room="lobby", room_join=True), 60)
    headers = {**TUS, "Authorization": f"Bearer {token}", "Upload-Length": "4"}
    async with server.http.post(f"{server.url}/api/v1/rooms/lobby/files", headers=headers) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"upload_expiry_s": 3601}, {"file_link_ttl_s": 301}, {"max_file_bytes": 0}, {"min_free_bytes": -1},
        {"s3_bucket": "b"}, {"s3_part_bytes": 5 * 2**20 - 1}, {"s3_endpoint": "ftp://x"},
        {"s3_endpoint": "https://user:pass@x"},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        make_settings(**wrong)


def test_s3_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"s3_bucket": "b", "s3_access_key": "k", "s3_secret_key": "hunter2"}
    assert "hunter2" not in repr(make_settings(**given))
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match="obstore"):
        make_settings(**given)


async def test_the_routes_are_in_the_document(server: Server) -> None:
    document = await Person(server, "").good("GET", "/api/openapi.json")
    methods = set(document["paths"]["/api/v1/rooms/{room}/files/{file}"])
    assert methods >= {"get", "head", "patch", "delete", "post", "options"}
    assert "/api/v1/files/{file}" in document["paths"]
    # What is not JSON says what it is.
    room = document["paths"]["/api/v1/rooms/{room}/import"]["post"], document["paths"]["/api/v1/rooms/{room}/export"]
    assert set(room[0]["requestBody"]["content"]) == {"application/x-tar", "application/octet-stream"}
    assert set(room[1]["get"]["responses"]["200"]["content"]) == {"application/x-tar"}


async def test_the_log_says_of_a_file_what_the_server_knows_and_takes_it_along(tmp_path: Path) -> None:
    async with running(data_dir=str(tmp_path)) as server:
        ada, other = await founder(server), await founder(server)
        path = await send(ada, b"text")
        file_id = path.rpartition("/")[2]
        lie = {"file_id": file_id, "name": "holiday.exe", "size": 7, "type": "image/png"}
        status, entry = await ada.write("file", **lie)
        assert (status, entry["body"]["size"]) == (200, 4)
        assert entry["body"]["name"] != "holiday.exe"
        assert (await other.write("file", **lie))[1]["error"]["code"] == "file_not_found"
        assert (await ada.write("file", file_id="f" * 32, name="x"))[1]["error"]["code"] == "file_not_found"
        assert (await ada.write("delete", entry["seq"]))[0] == 200
        await eventually(lambda: stored_in(tmp_path) == [], "the file is gone")
        assert (await fetch(ada, path))[0] == 404


async def test_files_can_be_switched_off(server: Server) -> None:
    ada = await founder(server, policy={"files": False})
    bob = await visitor(server, ada.room)
    await send(ada, b"owners may")
    headers = {"Authorization": f"Bearer {bob.token}", "Tus-Resumable": "1.0.0", "Upload-Length": "1"}
    async with server.http.post(f"{server.url}/api/v1/rooms/{ada.room}/files", headers=headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (403, "forbidden")
