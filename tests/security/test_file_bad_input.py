"""Files that mean harm (FI2 to FI7): content, sizes, ids, full disks. For names (FI1) see `test_file_names`."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.api.downloads import requested_piece
from signaling.api.tus import read_checksum
from signaling.errors import ApiError
from signaling.files import store as stores
from signaling.files.intake import CHECKSUMS
from signaling.files.links import Links
from signaling.files.scanner import Scanner
from tests.harness.files import PIECE, SECRET, TUS, FilesServer, Person, error_code, metadata, people, serving
from tests.signaling.harness import eventually


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FilesServer]:
    async with serving(tmp_path) as server:
        yield server


@pytest.fixture
async def ada(files: FilesServer) -> AsyncIterator[Person]:
    async with people(files, "ada") as [person]:
        yield person


# --- FI2, FI3: what a browser could run -----------------------------------------------------------------------

POLYGLOTS = [
    ("page.html", "text/html", b"<script>parent.x=1</script>"),
    ("drawing.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='x=1'/>"),
    ("data.xml", "application/xml", b"<?xml version='1.0'?><?xml-stylesheet href='x'?><x/>"),
    ("paper.pdf", "application/pdf", b"%PDF-1.7 /JS (app.alert(1))"),
    ("code.js", "text/javascript", b"alert(1)"),
    ("photo.png", "image/png", b"<!doctype html><script>x=1</script>"),
    ("photo.gif", "text/html", b"GIF89a/*<svg/onload=x=1>*/=1;"),
    ("archive.zip", "image/jpeg", b"PK\x03\x04<html>"),
]


@pytest.mark.parametrize(("name", "media_type", "content"), POLYGLOTS)
async def test_nothing_is_ever_shown_as_what_it_says_it_is(
    ada: Person, name: str, media_type: str, content: bytes
) -> None:
    given_type = {"Upload-Metadata": metadata(name=name, type=media_type)}
    file_id = await ada.create(len(content), **given_type)
    await ada.add(file_id, 0, content)
    link = json.loads((await ada.ask("POST", file_id + "/links"))[2])["path"]
    for url, asked in ((file_id, {}), (link, {}), (file_id, {"Range": "bytes=0-3"}), (link, {"Accept": "text/html"})):
        status, headers, body = await ada.ask("GET", url, headers=asked)
        assert body == (content if status == 200 else content[:4])
        assert headers.getall("Content-Type") == ["application/octet-stream"]
        assert headers["Content-Disposition"].startswith("attachment;")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["Cache-Control"] == "no-store"


# --- FI4: bombs ---------------------------------------------------------------------------------------------


async def test_what_is_stored_is_never_unpacked(ada: Person) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    file_id = await ada.send(bomb, "bomb.png")
    assert (await ada.ask("GET", file_id, headers={"Accept-Encoding": "gzip"}))[2] == bomb


async def test_a_packed_body_is_refused(ada: Person) -> None:
    """The HTTP parser would unpack it."""
    bomb = gzip.compress(bytes(10_000_000))
    file_id = await ada.create(10_000_000)
    status, _, body = await ada.add(file_id, 0, bomb, **{"Content-Encoding": "gzip"})
    assert (status, error_code(body)) == (415, "upload_type_wrong")
    assert await ada.offset(file_id) == 0


def outcome(function: Callable[[], Any]) -> tuple[Any, str]:
    """What it gave, or the code of its refusal."""
    try:
        return function(), ""
    except ApiError as error:
        return None, error.code


# --- FI5: sizes ---------------------------------------------------------------------------------------------


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("chunked", [True, False])
async def test_more_than_was_announced(ada: Person, files: FilesServer, *, chunked: bool) -> None:
    file_id = await ada.create(300_000)
    data = secrets.token_bytes(1_000_000)
    status, _, body = await ada.add(file_id, 0, chunks(data) if chunked else data)
    assert (status, error_code(body)) == (413, "upload_too_long")
    offset = await ada.offset(file_id)
    assert offset <= 300_000
    assert sum(path.stat().st_size for path in files.stored()) == offset
    assert (await ada.add(file_id, offset, data[offset:300_000]))[0] == 204
    assert (await ada.ask("GET", file_id))[2] == data[:300_000]


async def test_a_body_without_a_length(ada: Person) -> None:
    file_id = await ada.create(6)
    assert (await ada.add(file_id, 0, chunks(b"abc", b"def")))[0] == 204
    assert (await ada.ask("GET", file_id))[2] == b"abcdef"


@pytest.mark.parametrize("headers", [
    {}, {"Upload-Length": ""}, {"Upload-Length": "-1"}, {"Upload-Length": "1e3"}, {"Upload-Length": "+5"},
    {"Upload-Length": "9" * 40}, {"Upload-Length": "0x10"}, {"Upload-Length": "５"}, {"Upload-Defer-Length": "1"},
    {"Upload-Length": "5", "Upload-Metadata": "name ???"}, {"Upload-Length": "5", "Upload-Metadata": "a,a"},
    {"Upload-Length": "5", "Upload-Metadata": "a" * 3000}, {"Upload-Length": "5", "Upload-Metadata": ",,,"},
])  # fmt: skip
async def test_creations_that_make_no_sense(ada: Person, files: FilesServer, headers: dict[str, str]) -> None:
    status, answer, body = await ada.ask("POST", headers={**TUS, **headers})
    assert (status, error_code(body)) == (400, "invalid_upload")
    assert answer["Tus-Resumable"] == "1.0.0"
    assert files.stored() == []


async def test_requests_that_are_no_tus(ada: Person) -> None:
    file_id = await ada.create(5)
    for method, url in (("POST", ""), ("HEAD", file_id), ("PATCH", file_id)):
        status, headers, _ = await ada.ask(method, url, headers={"Upload-Length": "5", "Tus-Resumable": "0.2.2"})
        assert (status, headers["Tus-Version"]) == (412, "1.0.0")
    for wrong in (
        {"Content-Type": "text/plain"},
        {"Upload-Offset": "x"},
        {"Upload-Offset": "3"},
        {"Upload-Offset": ""},
    ):
        assert (await ada.add(file_id, 0, b"abc", **wrong))[0] in (400, 409, 415), wrong
    form = aiohttp.FormData()
    form.add_field("file", b"x" * 100, filename="x.bin")
    assert (await ada.ask("POST", data=form, headers={**TUS, "Upload-Length": "100"}))[0] == 415
    assert await ada.offset(file_id) == 0


async def test_a_slow_upload_is_cut_and_keeps_what_it_brought(tmp_path: Path) -> None:
    async with serving(tmp_path, file_stall_timeout_s=0.2) as server, people(server, "ada") as [ada]:
        file_id = await ada.create(100)
        never = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"abc"
            await never.wait()

        status, _, body = await ada.add(file_id, 0, slow())
        assert (status, error_code(body)) == (408, "request_timeout")
        assert await ada.offset(file_id) == 3


async def test_a_download_that_nobody_takes_is_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, file_stall_timeout_s=0.2) as server, people(server, "ada") as [ada]:
        file_id = await ada.send(bytes(32 * 2**20))
        async with ada.http.get(f"{server.room_url()}/{file_id}", headers=ada.headers) as response:
            assert response.status == 200
            await eventually(lambda: not server.files._transfers, "the end of the download")


async def test_only_so_many_transfers_at_once(tmp_path: Path) -> None:
    limits = {"max_file_transfers": 3, "max_member_file_transfers": 2}
    async with serving(tmp_path, **limits) as server, people(server, "ada", "bob") as [ada, bob]:
        hold = asyncio.Event()

        async def waiting() -> AsyncIterator[bytes]:
            yield b"a"
            await hold.wait()

        opened = [asyncio.create_task(ada.add(await ada.create(2), 0, waiting())) for _ in range(2)]
        await eventually(lambda: server.files._transfers.total() == 2, "two uploads")
        status, headers, body = await ada.add(await ada.create(2), 0, b"ab")
        assert (status, error_code(body), headers["Retry-After"]) == (503, "unavailable", "5")
        opened.append(asyncio.create_task(bob.add(await bob.create(2), 0, waiting())))
        await eventually(lambda: server.files._transfers.total() == 3, "three uploads")
        async with people(server, "eve") as [eve]:
            assert (await eve.add(await eve.create(2), 0, b"ab"))[0] == 503
        hold.set()
        assert [status for status, _, _ in await asyncio.gather(*opened)] == [204] * 3


# --- FI6: what is not yours ---------------------------------------------------------------------------------


async def test_foreign_and_unknown_files_are_not_there(ada: Person, files: FilesServer) -> None:
    whole, half = await ada.send(b"text"), await ada.create(5)
    foreign = Person(files, ada.http, "ada:owner", "elsewhere")
    near = f"{int(whole, 16) ^ 1:032x}"
    wrong = [
        (ada, near),
        (ada, whole.upper() + "x"),
        (ada, "%2e%2e%2fting.db"),
        (ada, "x" * 500),
        (foreign, whole),
        (foreign, half),
    ]
    for person, file_id in wrong:
        for method, url, headers in (
            ("GET", file_id, {}), ("HEAD", file_id, TUS), ("DELETE", file_id, TUS), ("POST", file_id + "/links", {}),
            ("PATCH", file_id, {**PIECE, "Upload-Offset": "0"}),
        ):  # fmt: skip
            status, _, body = await person.ask(method, url, headers=headers)
            assert status == 404, (method, url)
            assert method == "HEAD" or error_code(body) == "file_not_found"
    assert (await ada.ask("GET", whole))[2] == b"text"


async def test_ids_cannot_be_guessed(ada: Person) -> None:
    ids = [await ada.create(1) for _ in range(20)]
    assert len({file_id[:8] for file_id in ids}) == len({file_id[-8:] for file_id in ids}) == 20


@given(st.one_of(st.text(max_size=300), st.binary(max_size=100).map(lambda data: data.hex() + "." + data.hex())))
def test_links_that_are_none_of_ours(link: str) -> None:
    with pytest.raises(ApiError) as caught:
        Links(SECRET.encode(), 300).check(link, "0" * 32)
    assert caught.value.code == "link_invalid"


@given(st.one_of(st.text(max_size=100), st.builds("{} {}".format, st.sampled_from(list(CHECKSUMS)), st.text())))
def test_any_checksum_is_read_or_refused(header: str) -> None:
    class Asked:
        headers = {"Upload-Checksum": header}  # noqa: RUF012

    asked: Any = Asked()
    found, code = outcome(lambda: read_checksum(asked))
    assert code in ("", "invalid_upload")
    assert code or len(found.digest) == CHECKSUMS[found.algorithm]().digest_size


@given(st.text(alphabet="bytes=0123456789-, ", max_size=60))
def test_any_range_is_a_piece_of_the_file(header: str) -> None:
    class Asked:
        headers = {"Range": header}  # noqa: RUF012

    class Row:
        size_bytes, sha256 = 1000, "x"

    asked: Any = Asked()
    row: Any = Row()
    piece, code = outcome(lambda: requested_piece(asked, row))
    assert code in ("", "range_not_satisfiable")
    assert code or 0 <= piece.start < piece.start + piece.length <= 1000


EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SCANNER = "import sys; sys.exit(b'EICAR-STANDARD' in sys.stdin.buffer.read())"


async def test_what_the_scanner_refuses_is_never_there(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, file_scanner=(sys.executable, "-c", SCANNER)) as server,
        people(server, "ada") as [ada],
    ):
        file_id = await ada.create(len(EICAR))
        status, _, body = await ada.add(file_id, 0, EICAR)
        assert (status, error_code(body)) == (422, "file_refused")
        assert (await ada.ask("GET", file_id))[0] == 404
        assert server.stored() == []
        assert await server.count() == 0
        clean = secrets.token_bytes(1_000_000)
        assert (await ada.ask("GET", await ada.send(clean)))[2] == clean


@pytest.mark.parametrize(
    "scanner",
    [
        ("/nowhere/scanner",),
        (sys.executable, "-c", "import sys; sys.exit(2)"),
        (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
        (sys.executable, "-c", "import time; time.sleep(60)"),
    ],
)
async def test_a_scanner_that_does_not_answer_lets_nothing_through(tmp_path: Path, scanner: tuple[str, ...]) -> None:
    limits = {"file_scanner": scanner, "file_scan_timeout_s": 1.0}
    async with serving(tmp_path, **limits) as server, people(server, "ada", "bob") as [ada, bob]:
        file_id = await ada.create(len(EICAR))
        status, headers, body = await ada.add(file_id, 0, EICAR)
        assert (status, error_code(body), headers["Retry-After"]) == (503, "unavailable", "5")
        assert (await bob.ask("GET", file_id))[0] == 404
        server.files._uploads._scanner = Scanner((), 1.0)
        assert await ada.offset(file_id) == len(EICAR)
        assert (await bob.ask("GET", file_id))[2] == EICAR, "asked again, it was let through"


# --- FI7: a full disk ---------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only root can make a disk of its own")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_disk_that_gets_full_during_an_upload(small_disk: Path) -> None:
    """Database and files are on it."""
    async with serving(small_disk) as server, people(server, "ada", "bob") as [ada, bob]:
        kept = await bob.send(b"kept")
        file_id = await ada.create(3_000_000)
        (small_disk / "other").write_bytes(bytes(2_500_000))
        status, _, body = await ada.add(file_id, 0, bytes(3_000_000))
        assert (status, error_code(body)) == (507, "storage_full")
        assert await server.rows.list_room_files(1) == [kept], "its reservation is gone"
        assert [path.name for path in server.stored()] == [kept], "and what it had taken"
        assert (await ada.ask("POST", headers={**TUS, "Upload-Length": "3000000"}))[0] == 507, "before the first byte"
        assert (await bob.ask("GET", kept))[2] == b"kept"
        (small_disk / "other").unlink()
        assert await ada.send(bytes(1_000_000))


async def test_a_write_that_fails_in_the_middle(
    ada: Person, files: FilesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, write = 0, os.write

    def fail(descriptor: int, data: Any) -> int:
        nonlocal written
        if written > 400_000:
            raise OSError(errno.ENOSPC, "full")
        done = write(descriptor, data)
        written += done
        return done

    file_id = await ada.create(1_000_000)
    monkeypatch.setattr(stores.os, "write", fail)
    status, _, body = await ada.add(file_id, 0, bytes(1_000_000))
    monkeypatch.undo()
    assert (status, error_code(body)) == (507, "storage_full")
    assert files.stored() == []
    assert await files.count() == 0


async def test_other_errors_of_the_disk_leave_the_upload(
    ada: Person, files: FilesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int, _data: Any) -> int:
        raise OSError(errno.EIO, "broken")

    file_id = await ada.create(10)
    await ada.add(file_id, 0, b"01234")
    monkeypatch.setattr(stores.os, "write", fail)
    status, _, body = await ada.add(file_id, 5, b"56789")
    monkeypatch.undo()
    assert (status, error_code(body)) == (503, "unavailable")
    assert (await ada.add(file_id, 5, b"56789"))[0] == 204
    assert (await ada.ask("GET", file_id))[2] == b"0123456789"


async def test_some_room_is_always_left_for_the_database(tmp_path: Path) -> None:
    async with serving(tmp_path, min_free_bytes=2**52) as server, people(server, "ada") as [ada]:
        status, _, body = await ada.ask("POST", headers={**TUS, "Upload-Length": "1"})
        assert (status, error_code(body)) == (507, "storage_full")
        assert server.stored() == []
