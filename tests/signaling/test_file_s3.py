"""Files in an S3-compatible store: moto's server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from signaling.files.s3 import S3Store
from signaling.files.settings import FileSettings
from signaling.files.store import StoredFileMissing, StoreError
from tests.harness.files import TUS, FilesServer, checksum, error_code, people, serving

PART = 5 * 2**20
KEY = "ab" * 16


@dataclass
class Moto:
    url: str
    bucket: str

    def settings(self, **changes: Any) -> dict[str, Any]:
        given = {"s3_bucket": self.bucket, "s3_endpoint": self.url, "s3_access_key": "k", "s3_secret_key": "s"}
        return {**given, "s3_part_bytes": PART, "min_free_bytes": 0, **changes}


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(moto_url: str) -> Moto:
    bucket = f"bucket-{secrets.token_hex(4)}"
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/{bucket}", method="PUT"))
    return Moto(moto_url, bucket)


@pytest.fixture
def store(moto: Moto, tmp_path: Path) -> S3Store:
    return make_store(moto, tmp_path)


def make_store(moto: Moto, folder: Path) -> S3Store:
    return S3Store(folder, FileSettings(**moto.settings()))


def spools(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted((folder / "incoming").iterdir())}


async def objects(store: S3Store) -> list[int]:
    return await store._bucket.sizes(KEY)


async def append(store: S3Store, data: bytes) -> int:
    appender = await store.appender(KEY)
    await appender.write(data)
    await appender.close()
    return appender.offset


async def test_pieces_of_any_size_become_parts(moto: Moto, store: S3Store, tmp_path: Path) -> None:
    data = secrets.token_bytes(2 * PART + 1000)
    await store.create(KEY)
    offset = 0
    for size in (1, PART - 2, 2, PART + 500, 499):
        # Each as a process of its own, so that nothing in memory helps.
        offset = await append(make_store(moto, tmp_path), data[offset : offset + size])
    assert offset == len(data)
    assert await objects(store) == [PART, PART]
    assert spools(tmp_path) == {f"{KEY}.00002": 1000}
    assert await store.incoming(0) == [KEY]
    await store.finish(KEY)
    await store.finish(KEY)
    assert await objects(store) == [PART, PART, 1000]
    assert await store.incoming(0) == []
    for start, length in ((0, len(data)), (PART - 10, 20), (PART, PART), (2 * PART + 999, 1)):
        assert await store.read(KEY, start, length) == data[start : start + length]
    assert (await store.appender(KEY)).offset == len(data)
    await store.remove(KEY)
    await store.remove(KEY)
    assert await objects(store) == []
    assert spools(tmp_path) == {}
    with pytest.raises(StoredFileMissing):
        await store.appender(KEY)
    with pytest.raises(StoredFileMissing):
        await store.read(KEY, 0, 1)


async def test_a_file_that_ends_with_a_part(store: S3Store, tmp_path: Path) -> None:
    await store.create(KEY)
    assert await append(store, bytes(PART)) == PART
    assert spools(tmp_path) == {f"{KEY}.00000": PART}
    await store.finish(KEY)
    assert await objects(store) == [PART]


async def test_a_crash_between_storing_a_part_and_removing_its_spool(
    moto: Moto, store: S3Store, tmp_path: Path
) -> None:
    data = secrets.token_bytes(PART + 3)
    await store.create(KEY)
    await append(store, data[:PART])
    await store.store_part(tmp_path / "incoming" / f"{KEY}.00000")
    again = make_store(moto, tmp_path)
    assert (await again.appender(KEY)).offset == PART, "the spool counts no second time"
    assert spools(tmp_path) == {f"{KEY}.00001": 0}
    await append(again, data[PART:])
    await again.finish(KEY)
    assert await again.read(KEY, 0, len(data)) == data


async def test_files_over_http(moto: Moto, tmp_path: Path) -> None:
    data = secrets.token_bytes(PART + 12_345)
    async with serving(tmp_path, **moto.settings()) as server, people(server, "ada", "bob") as [ada, bob]:
        file_id = await ada.create(len(data))
        half = data[: PART + 99]
        assert (await ada.add(file_id, 0, half, **{"Upload-Checksum": checksum(half)}))[0] == 204
        server.files._uploads._hashes.clear()  # as after a restart
        assert await ada.offset(file_id) == len(half)
        assert (await ada.add(file_id, len(half), data[len(half) :]))[0] == 204
        status, headers, body = await bob.ask("GET", file_id)
        assert (status, body == data) == (200, True)
        assert headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
        asked = {"Range": f"bytes={PART - 1}-{PART}"}
        assert (await bob.ask("GET", file_id, headers=asked))[2] == data[PART - 1 : PART + 1]
        empty = await ada.create(0)
        assert (await bob.ask("GET", empty))[::2] == (200, b"")
        half_id = await ada.create(10)
        await server.files.remove_room(1)
        assert server.stored() == []
        for gone in (file_id, empty, half_id):
            assert (await ada.ask("HEAD", gone, headers=TUS))[0] == 404


async def test_a_store_that_cannot_be_reached(moto: Moto, tmp_path: Path) -> None:
    """What is there stays; the client is told to come again, and the operator no key."""
    data = secrets.token_bytes(PART + 10)
    async with serving(tmp_path, **moto.settings()) as server, people(server, "ada") as [ada]:
        file_id = await ada.create(len(data))
        bucket = server.store._bucket  # type: ignore[attr-defined]
        await ada.add(file_id, 0, data[:10])
        good, bucket._store = bucket._store, broken(server)
        for method, asked in (("HEAD", {**TUS}), ("DELETE", {**TUS})):
            assert (await ada.ask(method, file_id, headers=asked))[0] == 503
        status, headers, body = await ada.add(file_id, 10, data[10:])
        assert (status, error_code(body), headers["Retry-After"]) == (503, "unavailable", "5")
        bucket._store = good
        offset = await ada.offset(file_id)
        assert (await ada.add(file_id, offset, data[offset:]))[0] == 204
        assert (await ada.ask("GET", file_id))[2] == data


def broken(server: FilesServer) -> Any:
    from obstore.store import S3Store as ObstoreS3

    return ObstoreS3(
        "none", endpoint="http://127.0.0.1:1", region="x", access_key_id="k", secret_access_key="s",
        client_options={"allow_http": True}, retry_config={"max_retries": 0},
    )  # fmt: skip


async def test_a_store_that_does_not_answer(moto: Moto, tmp_path: Path) -> None:
    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silence.wait()
        writer.close()

    silence = asyncio.Event()
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    store = S3Store(tmp_path, FileSettings(**moto.settings(s3_endpoint=url, s3_timeout_s=0.2)))
    with pytest.raises(StoreError, match="does not answer"):
        await store.read(KEY, 0, 1)
    silence.set()
    server.close()


async def test_a_wrong_bucket_is_an_error_without_its_keys(moto: Moto, tmp_path: Path) -> None:
    settings = FileSettings(**{**moto.settings(), "s3_bucket": "not-there", "s3_secret_key": "hunter2"})
    store = S3Store(tmp_path, settings)
    await store.create(KEY)
    with pytest.raises(StoreError) as caught:
        await append(store, b"x")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(settings)
