"""A call that has nothing to do with what the test does to the server, and whose sound must go on.

It runs in a process of its own, so that a test which floods its own event loop does not disturb it:

    async with Bystander(server.url) as bystander:
        ...attack...
        assert await bystander.longest_gap_ms() <= 100
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30.0
READY = {"ready": 1}


class Bystander:
    """Two SDK clients in a room of their own, one hears the other's melody."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.harness.bystander", self._url, cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert await self._line() == READY
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.communicate(), TIMEOUT_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def longest_gap_ms(self) -> int:
        """The longest time without anything new of the melody since the last call of this, or since the start."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return int((await self._line())["longest_gap_ms"])

    async def _line(self) -> dict[str, int]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), TIMEOUT_S)
        if not line:
            told = (await self._process.stderr.read()).decode("utf-8", "replace")
            raise AssertionError(f"the bystander's call ended:\n{told}")
        return json.loads(line)  # type: ignore[no-any-return]


async def _main(url: str) -> None:
    from tests.harness.caller import Caller

    room = f"bystanders-{secrets.token_hex(4)}"
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    speaker, listener = Caller(url, room, "speaker"), Caller(url, room, "listener")
    await speaker.join()
    await listener.join()
    await speaker.publish_melody()
    ear = await listener.listen("speaker")
    while ear.longest_gap_ms(await ear.received(1.0)) > 20:
        pass  # The jitter buffer still finds its size.
    begin = ear.position
    print(json.dumps(READY), flush=True)
    while await commands.readline():
        # What was sent up to now must have come through the jitter buffer.
        await ear.received(0.5)
        gap = ear.longest_gap_ms(begin)
        begin = ear.position
        print(json.dumps({"longest_gap_ms": gap}), flush=True)
    await listener.leave()
    await speaker.leave()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
