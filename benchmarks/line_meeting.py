"""A meeting on one server, some of whom are behind a bad line."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.line import LineProcess
from benchmarks.line_servers import LineServer
from benchmarks.load.media import Clip
from benchmarks.recorded import RecordedPublisher
from tests.harness.caller import Caller
from tests.harness.proxy import SignalProxy

GOOD = "delay_ms=40"
"""Of each direction."""


class Meeting:
    """A room of its own."""

    def __init__(self, server: LineServer, line: LineProcess, proxy: SignalProxy) -> None:
        self._server, self._proxy = server, proxy
        self.line = line
        self._room = secrets.token_hex(4)
        self._callers: list[Caller | RecordedPublisher] = []

    async def join(self, identity: str, *, is_behind: bool = False, dynacast: bool = False) -> Caller:
        caller = Caller(self._proxy.url if is_behind else self._server.url, self._room, identity)
        await caller.join(token=self._server.token(self._room, identity), dynacast=dynacast)
        self._callers.append(caller)
        return caller

    async def publish_recorded(self, identity: str, clips: tuple[Clip, ...]) -> RecordedPublisher:
        """Somebody who sends a picture that was encoded before, on a good line."""
        publisher = RecordedPublisher(self._server.url, self._server.token(self._room, identity), clips)
        self._callers.append(publisher)
        return await publisher.join()

    async def leave(self, caller: Caller) -> None:
        self._callers.remove(caller)
        await caller.leave()

    async def close(self) -> None:
        for caller in self._callers:
            await caller.leave()


@asynccontextmanager
async def meeting(server: LineServer, seed: int, *, up: str = GOOD, down: str = GOOD) -> AsyncIterator[Meeting]:
    """`up` and `down`: the line's conditions, as in `ting-line`."""
    line = await LineProcess(server.udp_port, seed).start()
    proxy = await SignalProxy(server.url, line.rewrite).start()
    line.set("up", up)
    line.set("down", down)
    people = Meeting(server, line, proxy)
    try:
        yield people
    finally:
        await people.close()
        await proxy.stop()
        await line.stop()
