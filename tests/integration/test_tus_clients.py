"""Uploads by clients that are not ours, unmodified: `tuspy` and the npm package `tus-js-client`, through connections
that are cut and a server that is killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from tusclient.client import TusClient

from tests.harness.cutter import Cutter
from tests.harness.files import FilesServer, people, serving
from tests.harness.server import ROOT, ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

WEB = ROOT / "web"
MIB = 2**20
TIMEOUT_S = 60.0

SCRIPT = """
import { readFileSync } from 'node:fs';
import { Upload } from 'tus-js-client';
const { URL: endpoint, FILE: path, OPTIONS: options } = process.env;
const seen = { retries: 0 };
const finished = new Promise((resolve, reject) => {
  const upload = new Upload(readFileSync(path), {
    endpoint,
    headers: { Authorization: 'Bearer ada' },
    metadata: { filename: '厅.bin', filetype: 'application/x-test' },
    retryDelays: Array(100).fill(20),
    onShouldRetry: () => { seen.retries += 1; return true; },
    onError: reject,
    onSuccess: () => resolve(upload.url),
    ...JSON.parse(options),
  });
  upload.start();
});
seen.url = await finished;
if (process.env.TERMINATE) {
  await Upload.terminate(seen.url, { headers: { Authorization: 'Bearer ada' } });
}
console.log(JSON.stringify(seen));
"""


@pytest_asyncio.fixture(loop_scope="session")
async def files(tmp_path: Path) -> AsyncIterator[FilesServer]:
    async with serving(tmp_path) as server:
        yield server


def make_file(folder: Path, size_bytes: int) -> tuple[Path, str]:
    """Its path and SHA-256."""
    path = folder / "source.bin"
    data = random.Random(7).randbytes(size_bytes)
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


async def arrived(url: str, token: str = "ada") -> tuple[str, str]:
    """SHA-256 of what the server has, and of what it says that it has."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as response:
        assert response.status == 200, await response.text()
        return hashlib.sha256(await response.read()).hexdigest(), response.headers["ETag"].strip('"')


async def upload_with_tuspy(endpoint: str, path: Path, *, token: str = "ada", **options: Any) -> str:
    """The file's URL."""

    def upload() -> str:
        client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
        uploader = client.uploader(str(path), retries=200, retry_delay=0.05, metadata={"name": "厅.bin"}, **options)
        uploader.upload()
        return str(uploader.url)

    async with asyncio.timeout(TIMEOUT_S):
        return await asyncio.to_thread(upload)


async def upload_with_tus_js(endpoint: str, path: Path, *, terminate: bool = False, **options: Any) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None or not (WEB / "node_modules" / "tus-js-client").is_dir():
        pytest.skip("needs Node.js with the packages of web/package.json: make test")
    environment = {**os.environ, "URL": endpoint, "FILE": str(path), "OPTIONS": json.dumps(options)}
    if terminate:
        environment["TERMINATE"] = "1"
    process = await asyncio.create_subprocess_exec(
        node, "--input-type=module", "-e", SCRIPT,
        cwd=WEB, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()
    seen: dict[str, Any] = json.loads(output)
    return seen


@pytest.mark.parametrize("options", [{}, {"chunk_size": MIB}, {"chunk_size": 3 * MIB, "upload_checksum": True}])
async def test_tuspy_resumes(files: FilesServer, tmp_path: Path, options: dict[str, Any]) -> None:
    path, digest = make_file(tmp_path, 20 * MIB)
    cutter = await Cutter(int(files.url.rpartition(":")[2]), [2 * MIB, MIB, 5 * MIB, 3 * MIB + 7]).start()
    url = await upload_with_tuspy(f"{cutter.url}/api/v1/rooms/lobby/files", path, **options)
    assert cutter.cuts == 4
    await cutter.stop()
    assert await arrived(url.replace(cutter.url, files.url)) == (digest, digest)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": MIB},
        {"uploadDataDuringCreation": True, "chunkSize": 2 * MIB},
        {"overridePatchMethod": True},
    ],
)
async def test_tus_js_client_resumes(files: FilesServer, tmp_path: Path, options: dict[str, Any]) -> None:
    path, digest = make_file(tmp_path, 20 * MIB)
    cutter = await Cutter(int(files.url.rpartition(":")[2]), [3 * MIB, MIB, 5 * MIB, 3 * MIB + 7]).start()
    seen = await upload_with_tus_js(f"{cutter.url}/api/v1/rooms/lobby/files", path, **options)
    assert cutter.cuts == 4
    assert seen["retries"] >= 4
    await cutter.stop()
    url = str(seen["url"]).replace(cutter.url, files.url)
    assert await arrived(url) == (digest, digest)
    async with people(files, "ada") as [ada]:
        [file_id] = await files.rows.list_room_files(1)
        disposition = (await ada.ask("GET", file_id))[1]["Content-Disposition"]
    assert disposition.endswith("filename*=UTF-8''%E5%8E%85.bin")


async def test_tus_js_client_takes_an_upload_back(files: FilesServer, tmp_path: Path) -> None:
    path, _ = make_file(tmp_path, MIB)
    seen = await upload_with_tus_js(files.room_url(), path, terminate=True)
    assert seen["url"].startswith(files.room_url())
    assert files.stored() == []
    assert await files.count() == 0


async def test_a_server_that_is_killed_twice_and_lines_that_are_cut(tmp_path: Path) -> None:
    """`ting serve` itself; the small brother of `benchmarks/upload.py`."""
    path, digest = make_file(tmp_path, 64 * MIB)
    server = ServerProcess(environment={"TING_DATA_DIR": str(tmp_path / "data")})
    await server.start()
    endpoint, token = await enter(server.url)
    cutter = await Cutter(server.ports.http, [5 * MIB] * 8).start()
    uploading = asyncio.create_task(upload_with_tuspy(cutter.url + endpoint, path, token=token, chunk_size=4 * MIB))
    for after in (2, 5):
        async with asyncio.timeout(TIMEOUT_S):
            await cutter.reached(after)
        await server.kill()
        await server.start()
    url = await uploading
    assert cutter.cuts == 8
    await cutter.stop()
    assert await arrived(url.replace(cutter.url, server.url), token) == (digest, digest)
    assert [file.name for file in (tmp_path / "data" / "files" / "incoming").iterdir()] == []
    assert await server.stop() == 0
    server.assert_healthy()


async def enter(url: str) -> tuple[str, str]:
    """A room of one's own: the path of its files, and the token."""
    key = secrets.token_urlsafe(32)
    async with aiohttp.ClientSession(url, raise_for_status=True) as http:
        async with http.post("/api/v1/rooms", json={"key": key}) as response:
            name = (await response.json())["name"]
        async with http.post(f"/api/v1/rooms/{name}/tokens", json={"key": key, "name": "Ada"}) as response:
            return f"/api/v1/rooms/{name}/files", (await response.json())["token"]
