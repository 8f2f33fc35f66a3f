"""What a server has loaded after a real call, with media and with data."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from livekit import rtc

from sfu.engine import engine_name
from tests.harness.caller import Caller
from tests.harness.server import free_ports, make_token

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import asyncio, json, sys
from signaling.commands.serve import create_app, create_listener, create_sfu
from signaling.config import load_settings

async def serve():
    flags = json.loads(sys.argv[1])
    settings = load_settings({"dev": True, "rtc_addresses": "127.0.0.1", "data_dir": ".", **flags}, {})
    listener = create_listener(create_app(settings, create_sfu(settings.sfu)), settings)
    await listener.start()
    print(listener.url, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(list(sys.modules)), flush=True)
    await listener.stop()

asyncio.run(serve())
"""


async def call(url: str) -> None:
    """One speaks to another, and says something on both data channels."""
    ada, bob = [
        await Caller(url, "hall", identity).join(token=make_token("hall", identity)) for identity in ("ada", "bob")
    ]
    active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
    for caller in (ada, bob):
        others = caller.room.remote_participants
        await caller.until(lambda others=others: [one.state for one in others.values()] == [active], "the other one")
    await ada.publish_melody()
    await (await bob.listen("ada")).received(0.5)
    for reliable in (True, False):
        payload = f"reliable: {reliable}".encode()
        await ada.room.local_participant.publish_data(payload, reliable=reliable)
        await bob.wait_for("data_received", lambda packet, payload=payload: packet.data == payload)
    for caller in (ada, bob):
        await caller.leave()


async def test_with_the_rust_engine_a_call_needs_nothing_of_aiortc(tmp_path: Path) -> None:
    if engine_name(os.environ.get("TING_ENGINE", "auto")) != "rust":
        pytest.skip("without the Rust engine data channels are aiortc's")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TING_")}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, json.dumps({**free_ports().flags(), "rtc_tcp_port": "0"}),
        cwd=tmp_path, env={**clean, "PYTHONPATH": str(ROOT)}, limit=1 << 20,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        await call((await server.stdout.readline()).decode().strip())
        server.stdin.write(b"\n")
        loaded = set(json.loads(await server.stdout.readline()))
    finally:
        server.stdin.close()
        await server.wait()
    assert "OpenSSL" in loaded
    assert loaded & {"aiortc", "aioice", "av", "pylibsrtp", "sfu.transport.data_channel"} == set()
