"""The load generator and the call as processes of their own, spoken to in JSON lines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from types import TracebackType
from typing import Any

from benchmarks.log_peers.server import LOAD_CPUS, ROOT, Crowd, LogServer, one_room

_LINE_BYTES = 1 << 24
_EXTRA_S = 180.0


class LoadProcess:
    def __init__(self, server: LogServer, crowd: Crowd) -> None:
        self._plan = {
            "protocol": server.protocol, "port": server.port, "people": crowd.people, "writers": crowd.writers,
            "pids": server.pids(),
        }  # fmt: skip
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> LoadProcess:
        self._process = await _start("benchmarks.log_peers.load")
        try:
            await self._ask(self._plan, _EXTRA_S)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def run(self, *, seconds: float, rate: float, drain_s: float) -> dict[str, Any]:
        order = {"seconds": seconds, "rate": rate, "drain_s": drain_s}
        return await self._ask(order, seconds + drain_s + _EXTRA_S)

    async def _ask(self, order: dict[str, Any], limit_s: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), limit_s)
        if not line:
            raise RuntimeError("the load generator ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


async def measure_call(server: LogServer, rate: float, seconds: float) -> dict[str, Any]:
    """Audio between two participants while ten people write, in one room of 20."""
    crowd = await server.gather(one_room(10, 10))
    async with LoadProcess(server, crowd) as load:
        call = await _start("benchmarks.log_peers.call", f"http://127.0.0.1:{server.port}", str(seconds))
        try:
            assert call.stdout is not None
            assert json.loads(await asyncio.wait_for(call.stdout.readline(), 60))["began"]
            written = await load.run(seconds=seconds, rate=rate, drain_s=10.0)
            heard: dict[str, Any] = json.loads(await asyncio.wait_for(call.stdout.readline(), 60))
            await asyncio.wait_for(call.wait(), 20)
        finally:
            if call.returncode is None:
                call.kill()
                await call.wait()
    return {**heard, "written": written}


async def _start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe, limit=_LINE_BYTES,
        preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CPUS),
    )  # fmt: skip
