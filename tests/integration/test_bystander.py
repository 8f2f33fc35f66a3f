"""The instrument of the security tests: it hears nothing wrong with a healthy server, and hears a real gap."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.harness.bystander import Bystander
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def test_bystander_hears_gaps_and_only_gaps(server: ServerProcess) -> None:
    loop = asyncio.get_running_loop()
    async with Bystander(server.url) as bystander:
        for _ in range(3):
            assert await bystander.longest_gap_ms() <= 50
        os.kill(server.pid, signal.SIGSTOP)
        loop.call_later(0.6, os.kill, server.pid, signal.SIGCONT)
        assert 200 <= await bystander.longest_gap_ms() <= 1000
        await bystander.longest_gap_ms()  # what the jitter buffer still makes up for
        assert await bystander.longest_gap_ms() <= 50
