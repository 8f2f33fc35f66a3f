"""What is loaded when the first call is in sight, and what a request sees when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.signaling.harness import Server, eventually, running
from tests.signaling.test_twirp import call


async def status(server: Server, path: str) -> int:
    async with server.http.get(server.url + path) as response:
        return response.status


async def test_only_what_looks_like_a_call_begins_it(server: Server) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert await status(server, path) == 200
    warm_up = server.services.warm_up
    assert not warm_up.begun
    await status(server, "/r/lobby")
    assert warm_up.begun
    await warm_up.tokens_ready()
    await eventually(lambda: server.sfu.prepared)


async def test_whoever_has_loaded_is_told_once(server: Server) -> None:
    told: list[bool] = []
    server.services.warm_up.on_loaded = lambda: told.append(server.sfu.prepared)
    await server.join("alice")
    await server.join("bob")
    await eventually(lambda: told)
    assert told == [True]


async def test_without_the_database_no_token_is_taken_until_it_is_back(tmp_path: Path) -> None:
    """Nobody who was put out must come in because nobody could look."""
    async with running(data_dir=tmp_path) as server:
        path = tmp_path / "ting.db"
        path.write_text("nonsense " * 100)
        async with server.http.get(f"{server.url}/rtc/validate", params={"access_token": server.token()}) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert (await server.http.post(f"{server.url}/twirp/livekit.RoomService/ListRooms")).status == 503
        assert await status(server, "/healthz") == 200
        path.unlink()
        assert (await call(server, "ListRooms"))[0] == 200
        await server.join("alice")


async def test_what_could_not_be_loaded_for_calls_is_loaded_with_the_next_request(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for it, so that it has to be said, and tried again."""
    warm_up, load = server.services.warm_up, server.services.warm_up.load_protocol
    failures, told = [OSError("too many open files")], list[bool]()

    async def load_or_fail() -> None:
        if failures:
            raise failures.pop()
        await load()

    warm_up.load_protocol = load_or_fail
    warm_up.on_loaded = lambda: told.append(server.sfu.prepared)
    await status(server, "/r/lobby")
    await eventually(lambda: "too many open files" in caplog.text)
    assert not told
    assert not server.sfu.prepared
    await status(server, "/r/lobby")
    await eventually(lambda: told)
    await status(server, "/r/lobby")
    assert told == [True]
