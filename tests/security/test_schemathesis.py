"""Requests made up from the served OpenAPI document by schemathesis: none of them is ever answered with a 5xx."""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.harness.server import ServerProcess

LIMITS = {
    "TING_API_REQUESTS_PER_MINUTE": "1e9",
    "TING_GUEST_TOKENS_PER_MINUTE": "1e9",
    "TING_ROOM_LOOKUPS_PER_MINUTE": "1e9",
    "TING_ENTRIES_PER_SECOND": "1e6",
    "TING_ENTRY_BURST": "1000000",
    "TING_KNOCK_POLL_S": "0.1",
    "TING_ROOMS_PER_HOUR": "1e6",
}


@pytest.mark.timeout(300)
async def test_no_made_up_request_is_a_server_error(tmp_path: Path) -> None:
    server = ServerProcess(environment=LIMITS)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            key = secrets.token_urlsafe(32)
            async with session.post(f"{server.url}/api/v1/rooms", json={"key": key, "name": "tested"}) as answer:
                assert answer.status == 201
            async with session.post(
                f"{server.url}/api/v1/rooms/tested/tokens", json={"key": key, "name": "Ada"}
            ) as answer:
                token = (await answer.json())["token"]
        command = [
            str(Path(sys.executable).with_name("st")), "run", f"{server.url}/api/openapi.json",
            "--checks", "not_a_server_error", "--max-examples", "25", "--seed", "11", "--phases",
            "examples,coverage,fuzzing",
            "--header", f"Authorization: Bearer {token}", "--exclude-path-regex", "/sync$|/events$",
            "--exclude-operation-id", "delete_room", "--no-color",
        ]  # fmt: skip
        # Else nearly every made-up room is one that does not exist.
        (tmp_path / "schemathesis.toml").write_text('[parameters]\n"path.room" = "tested"\n')
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode("utf-8", "replace")
        assert process.returncode == 0, output[-8000:]
        server.assert_healthy()
    finally:
        await server.stop()
