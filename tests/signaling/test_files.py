"""Files of a room: tus 1.0.0, rights, downloads, links."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.harness.files import PIECE, TUS, FilesServer, Person, checksum, error_code, metadata, people, serving
from tests.signaling.harness import eventually


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FilesServer]:
    async with serving(tmp_path) as server:
        yield server


@pytest.fixture
async def ada(files: FilesServer) -> AsyncIterator[Person]:
    async with people(files, "ada") as [person]:
        yield person


def other(person: Person, name: str, room: str = "lobby") -> Person:
    return Person(person.server, person.http, name, room)


async def test_what_the_server_can_do_is_announced(ada: Person) -> None:
    for url in ("", "0" * 32):
        status, headers, _ = await ada.ask("OPTIONS", url, headers={"Authorization": ""})
        assert status == 204
        assert headers["Tus-Resumable"] == headers["Tus-Version"] == "1.0.0"
        assert set(headers["Tus-Extension"].split(",")) == {
            "creation", "creation-with-upload", "termination", "checksum", "expiration",
        }  # fmt: skip
        assert headers["Tus-Max-Size"] == str(2 * 2**30)
        assert headers["Tus-Checksum-Algorithm"] == "sha1,sha256,sha512"


async def test_a_file_in_pieces(ada: Person, files: FilesServer) -> None:
    data = secrets.token_bytes(1_000_000)
    bob = other(ada, "bob")
    file_id = await ada.create(len(data))
    assert await ada.offset(file_id) == 0
    status, headers, _ = await ada.add(file_id, 0, data[:600_001])
    assert (status, headers["Upload-Offset"]) == (204, "600001")
    assert parsedate_to_datetime(headers["Upload-Expires"])
    assert (await bob.ask("GET", file_id))[0] == 404, "it is not complete"
    assert (await bob.ask("HEAD", file_id, headers=TUS))[0] == 404
    assert (await bob.ask("DELETE", file_id))[0] == 404
    status, headers, _ = await ada.add(file_id, 600_001, data[600_001:])
    assert (status, headers["Upload-Offset"]) == (204, "1000000")
    assert "Upload-Expires" not in headers
    status, headers, body = await bob.ask("GET", file_id)
    assert (status, body) == (200, data)
    assert headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert [path.name for path in files.stored()] == [file_id]


async def test_metadata_is_given_back_to_the_sender_alone(ada: Person) -> None:
    header = "name cXVhcnRlcg==,extra,other eA=="
    file_id = await ada.create(1, **{"Upload-Metadata": header})
    status, headers, _ = await ada.ask("HEAD", file_id, headers=TUS)
    assert (headers["Upload-Metadata"], headers["Upload-Length"], headers["Cache-Control"]) == (header, "1", "no-store")
    await ada.add(file_id, 0, b"x")
    status, headers, _ = await other(ada, "bob").ask("HEAD", file_id, headers=TUS)
    assert (status, headers["Upload-Offset"], "Upload-Metadata" in headers) == (200, "1", False)
    disposition = (await ada.ask("GET", file_id))[1]["Content-Disposition"]
    assert disposition == "attachment; filename=\"quarter\"; filename*=UTF-8''quarter"


async def test_an_empty_file_is_complete_at_once(ada: Person) -> None:
    file_id = await ada.create(0)
    status, headers, body = await other(ada, "bob").ask("GET", file_id)
    assert (status, body, headers["Content-Length"]) == (200, b"", "0")
    assert headers["ETag"] == f'"{hashlib.sha256(b"").hexdigest()}"'


async def test_creation_with_the_first_bytes(ada: Person, files: FilesServer) -> None:
    given = {**PIECE, "Upload-Length": "10"}
    status, headers, _ = await ada.ask("POST", headers=given, data=b"01234")
    assert (status, headers["Upload-Offset"]) == (201, "5")
    status, headers, _ = await ada.ask(
        "PATCH", headers["Location"], headers={**PIECE, "Upload-Offset": "5"}, data=b"56789"
    )
    assert (status, headers["Upload-Offset"]) == (204, "10")
    status, _, body = await ada.ask("POST", headers={**given, "Upload-Checksum": checksum(b"other")}, data=b"01234")
    assert (status, error_code(body)) == (460, "checksum_mismatch")
    assert await files.count() == 1, "its sender could not find it"


async def test_checksums(ada: Person, files: FilesServer) -> None:
    file_id = await ada.create(15)
    for offset, algorithm in enumerate(("sha1", "sha256", "sha512")):
        piece = b"%d----" % offset
        wrong = checksum(b"wrong", algorithm)
        status, headers, body = await ada.add(file_id, 5 * offset, piece, **{"Upload-Checksum": wrong})
        assert (status, error_code(body)) == (460, "checksum_mismatch")
        assert headers["Tus-Resumable"] == "1.0.0"
        assert await ada.offset(file_id) == 5 * offset
        right = checksum(piece, algorithm)
        assert (await ada.add(file_id, 5 * offset, piece, **{"Upload-Checksum": right}))[0] == 204
    assert (await ada.ask("GET", file_id))[2] == b"0----1----2----"
    for header in ("md5 AAAA", "sha1", "sha1 ?", "sha1 AAAA", ""):
        assert (await ada.add(file_id, 0, b"", **{"Upload-Checksum": header}))[0] == 400


async def test_a_piece_with_a_checksum_arrives_as_a_whole_or_not(ada: Person, files: FilesServer) -> None:
    """Its connection is cut in the middle: nothing of it can be checked, so nothing of it stays."""
    file_id = await ada.create(10)
    _, writer = await asyncio.open_connection("127.0.0.1", int(files.url.rpartition(":")[2]))
    head = f"PATCH /api/v1/rooms/lobby/files/{file_id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\n"
    fields = {**PIECE, "Upload-Offset": "0", "Content-Length": "10", "Upload-Checksum": checksum(b"0123456789")}
    writer.write((head + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n01234").encode())
    await writer.drain()
    await eventually(lambda: file_id in files.files._uploads._uses, "the request")
    writer.transport.abort()
    await eventually(lambda: file_id not in files.files._uploads._uses, "its end")
    assert await ada.offset(file_id) == 0


async def test_a_newer_request_takes_the_upload_over(ada: Person, files: FilesServer) -> None:
    """The server may not have noticed that the connection before is dead."""
    data = secrets.token_bytes(300_000)
    file_id = await ada.create(len(data))
    sent, hold = asyncio.Event(), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield data[:100_000]
        sent.set()
        await hold.wait()
        yield data[100_000:]

    first = asyncio.create_task(ada.add(file_id, 0, stuck()))
    await sent.wait()
    await eventually(lambda: file_id in files.files._uploads._uses, "the first request")
    offset = await other(ada, "ada").offset(file_id)
    assert 0 <= offset <= 100_000
    status, _, _ = await ada.add(file_id, offset, data[offset:])
    assert status == 204
    hold.set()
    status, _, body = await first
    assert (status, error_code(body)) == (409, "upload_conflict")
    assert (await ada.ask("GET", file_id))[2] == data


async def test_methods_in_disguise(ada: Person) -> None:
    file_id = await ada.create(3)
    given = {**PIECE, "Upload-Offset": "0"}
    status, _, _ = await ada.ask("POST", file_id, data=b"abc", headers={**given, "X-HTTP-Method-Override": "PATCH"})
    assert status == 204
    assert (await ada.ask("POST", file_id, headers={**TUS, "X-HTTP-Method-Override": "GET"}))[0] == 405
    assert (await ada.ask("POST", file_id, headers={**TUS, "X-HTTP-Method-Override": "delete"}))[0] == 204
    assert (await ada.ask("GET", file_id))[0] == 404


async def test_who_may_remove_a_file(ada: Person, files: FilesServer) -> None:
    for remover, expected in (
        ("bob", 403),
        ("bob:member", 403),
        ("ada", 204),
        ("bob:moderator", 204),
        ("bob:owner", 204),
    ):
        file_id = await ada.send(b"text")
        assert (await other(ada, remover).ask("DELETE", file_id))[0] == expected, remover
        assert (await ada.ask("GET", file_id))[0] == (200 if expected == 403 else 404)
    assert len(files.stored()) == await files.count() == 2


async def test_only_the_sender_adds_to_a_file(ada: Person) -> None:
    file_id = await ada.create(4)
    assert (await other(ada, "bob:owner").add(file_id, 0, b"text"))[0] == 404
    await ada.add(file_id, 0, b"text")
    assert (await other(ada, "bob:owner").add(file_id, 4, b""))[0] == 403
    status, _, body = await ada.add(file_id, 4, b"")
    assert (status, error_code(body)) == (409, "upload_conflict")


async def test_ranges(ada: Person) -> None:
    data = bytes(range(256)) * 4
    file_id = await ada.send(data)
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    for asked, status, expected, where in (
        ("bytes=0-0", 206, data[:1], "bytes 0-0/1024"),
        ("bytes=1000-", 206, data[1000:], "bytes 1000-1023/1024"),
        ("bytes=1000-99999", 206, data[1000:], "bytes 1000-1023/1024"),
        ("bytes=-24", 206, data[1000:], "bytes 1000-1023/1024"),
        ("bytes=-99999", 206, data, "bytes 0-1023/1024"),
        ("bytes=1024-", 416, None, "bytes */1024"),
        ("bytes=-0", 416, None, "bytes */1024"),
        ("bytes=5-4", 200, data, None),
        ("bytes=0-1,3-4", 200, data, None),
        ("bytes=-", 200, data, None),
        ("bytes=" + ",".join(["0-"] * 1000), 200, data, None),
        ("lines=0-1", 200, data, None),
        ("bytes=" + "9" * 30 + "-", 200, data, None),
    ):
        answered, headers, body = await ada.ask("GET", file_id, headers={"Range": asked})
        assert (answered, headers.get("Content-Range")) == (status, where), asked[:50]
        assert expected is None or body == expected, asked[:50]
    for condition, status in ((tag, 206), ('"other"', 200)):
        answered, _, _ = await ada.ask("GET", file_id, headers={"Range": "bytes=0-0", "If-Range": condition})
        assert answered == status
    assert (await ada.ask("GET", file_id, headers={"If-None-Match": f'"x", {tag}'}))[0] == 304


# --- what is never finished -----------------------------------------------------------------------------------


async def test_unfinished_files_are_removed(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, upload_expiry_s=0.3, file_sweep_interval_s=0.05) as server,
        people(server, "ada") as [ada],
    ):
        whole = await ada.send(b"whole")
        half = await ada.create(10)
        await ada.add(half, 0, b"half")
        await eventually(lambda: server.removed("expired"), "a sweep")
        assert [path.name for path in server.stored()] == [whole]
        assert await server.rows.list_room_files(1) == [whole]
        assert (await ada.ask("HEAD", half, headers=TUS))[0] == 404


async def test_an_expired_upload_is_gone_before_the_sweeper_comes(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, upload_expiry_s=0.1, file_sweep_interval_s=1000.0) as server,
        people(server, "ada") as [ada],
    ):
        half = await ada.create(10)
        async with asyncio.timeout(5):
            while (row := await server.rows.load_file(half)) and not row.expired:
                pass
        assert (await ada.add(half, 0, b"half"))[0] == 404


async def test_only_what_arrives_keeps_an_upload_alive(ada: Person, files: FilesServer) -> None:
    async def ends_at_ms() -> int:
        row = await files.rows.load_file(half)
        assert row is not None
        return row.expires_at_ms

    half = await ada.create(10)
    began = await ends_at_ms()
    await ada.offset(half)
    assert (await ada.add(half, 0, b""))[0] == 204
    assert await ends_at_ms() == began
    assert (await ada.add(half, 0, b"x"))[0] == 204
    assert await ends_at_ms() > began


async def test_a_file_without_a_row_is_removed(tmp_path: Path) -> None:
    """As a crash between the two leaves it."""
    async with serving(tmp_path, upload_expiry_s=0.2) as server:
        await server.store.create("ab" * 16)
        async with asyncio.timeout(5):
            while not await server.files.sweep():
                pass
        assert server.stored() == []


async def test_a_crash_between_the_last_byte_and_its_row_is_mended(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, people(server, "ada") as [ada]:
        for finished in (False, True):
            file_id = await ada.create(5)
            appender = await server.store.appender(file_id)
            await appender.write(b"whole")
            await appender.close()
            if finished:
                await server.store.finish(file_id)
            assert await ada.offset(file_id) == 5
            status, headers, body = await ada.ask("GET", file_id)
            assert (status, body) == (200, b"whole")
            assert headers["ETag"] == f'"{hashlib.sha256(b"whole").hexdigest()}"'


async def test_removing_files_and_rooms(ada: Person, files: FilesServer) -> None:
    elsewhere = other(ada, "ada", "elsewhere")
    ids = [await ada.send(b"text") for _ in range(3)]
    half = await ada.create(10)
    kept = await elsewhere.send(b"text")
    await files.files.remove(ids[0])
    await files.files.remove(ids[0])
    assert (await ada.ask("GET", ids[0]))[0] == 404
    await files.files.remove_room(files.doors.rooms["lobby"])
    for file_id in (*ids, half):
        assert (await ada.ask("GET", file_id))[0] == 404
    assert [path.name for path in files.stored()] == [kept]
    assert await files.count() == 1


async def test_what_a_deleted_room_left_behind(ada: Person, files: FilesServer) -> None:
    left, kept = await ada.send(b"text"), await other(ada, "ada", "elsewhere").send(b"text")
    async with files.database.writing() as connection:
        await connection.execute(text("DELETE FROM rooms WHERE name = 'lobby'"))
    assert await files.files.sweep() == 1
    assert (await ada.ask("GET", left))[0] == 404
    assert [path.name for path in files.stored()] == [kept]


async def test_limits_on_what_is_on_its_way(tmp_path: Path) -> None:
    limits = {"max_file_bytes": 100, "max_open_uploads": 3, "max_files_per_room": 5, "file_creations_per_minute": 60.0}
    async with serving(tmp_path, **limits) as server, people(server, "ada", "bob") as [ada, bob]:
        given = {**TUS, "Upload-Length": "101"}
        status, _, body = await ada.ask("POST", headers=given)
        assert (status, error_code(body)) == (413, "file_too_large")
        opened = [await ada.create(100) for _ in range(3)]
        status, _, body = await ada.ask("POST", headers={**TUS, "Upload-Length": "1"})
        assert (status, error_code(body)) == (413, "quota_exceeded")
        assert await bob.send(b"x"), "somebody else's"
        await ada.ask("DELETE", opened[0])
        await ada.send(b"y")
        await bob.send(b"z")
        status, _, body = await bob.ask("POST", headers={**TUS, "Upload-Length": "1"})
        assert (status, error_code(body)) == (413, "quota_exceeded"), "the room has five"
        assert len(server.stored()) == 5, "what was refused left nothing"
        statuses = [(await bob.ask("POST", headers={**TUS, "Upload-Length": "1"}))[0] for _ in range(60)]
        assert statuses[-1] == 429
        assert metadata(name="x") == "name eA=="
