"""Whether somebody is still at the other end of a WebSocket. A heartbeat of aiohttp's is for a connection's whole life;
who takes part in the keys of a sealed room has to be missed sooner than others."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMessage, WSMsgType, web

_STEPS = 4


class SilenceWatch:
    """Asks after `ask_s` without a word, and gives the connection up when no answer comes within `answer_s`. It has
    to hear every frame, so the WebSocket must not keep pings and pongs for itself."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport, ask_s: float, answer_s: float) -> None:
        self._ws = ws
        self._transport = transport
        self._ask_s = ask_s
        self._answer_s = answer_s
        self._heard = 0
        self._task: asyncio.Task[None] | None = None

    async def heard(self, message: WSMessage) -> bool:
        """Whether it was one of the frames that are for nobody else, which is dealt with then."""
        self._heard += 1
        if message.type is WSMsgType.PING:
            await self._ws.pong(message.data)
        return message.type in (WSMsgType.PING, WSMsgType.PONG)

    def start(self) -> None:
        """From now on; once for several rooms."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        heard = -1
        while True:
            while heard != self._heard:
                heard = self._heard
                await asyncio.sleep(self._ask_s)
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(self._answer_s):
                    await self._ws.ping()  # Also this can hang, behind what the client does not read.
            await self._wait()
            if heard == self._heard:
                # Not a close that would wait for the other end's.
                self._transport.abort()
                return

    async def _wait(self) -> None:
        """For `answer_s` in which answers were read: a server that was held up itself misses nobody for that."""
        step_s, left, loop = self._answer_s / _STEPS, _STEPS, asyncio.get_running_loop()
        while left:
            due_s = loop.time() + step_s
            await asyncio.sleep(step_s)
            if loop.time() - due_s < step_s:
                left -= 1
