"""What a start loads: nothing that only a call, a migration or another command needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.harness.server import free_ports

ROOT = str(Path(__file__).resolve().parents[2])
ONLY_FOR_CALLS = {"aiortc", "aioice", "av", "OpenSSL", "pylibsrtp", "jwt", "cryptography", "google", "livekit"}
ONLY_FOR_KICKS_AND_WEBHOOKS = {"sqlalchemy", "aiosqlite", "greenlet"}
ONLY_FOR_ACCOUNTS = {"argon2", "webauthn"}
ONLY_FOR_MIGRATIONS = {"alembic", "mako"}
ONLY_FOR_OTHERS = {"numpy", "matplotlib", "asyncpg", "benchmarks.load.cli", "signaling.doctor"}

HELP = """
import sys
from signaling.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
"""
SERVE = """
import asyncio, json, sys
import aiohttp
from signaling.commands.serve import create_app, create_listener, create_sfu
from signaling.config import load_settings

async def serve(data):
    ports = {"port": "0", "rtc_udp_port": "%(udp)d", "rtc_tcp_port": "0"}
    settings = load_settings({"dev": True, **ports, "rtc_addresses": "127.0.0.1", "data_dir": data,
                              "accounts": True}, {})
    listener = create_listener(create_app(settings, create_sfu(settings.sfu)), settings)
    await listener.start()
    async with aiohttp.ClientSession() as http:
        for path in ("/healthz", "/readyz", "/metrics"):
            async with http.get(listener.url + path) as response:
                assert response.status == 200, path
    loaded = list(sys.modules)
    await listener.stop()
    return loaded
"""


def run(code: str, tmp_path: Path) -> set[str]:
    """Runs it as a process of its own; the modules that it says it has loaded, on its last line."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TING_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**clean, "PYTHONPATH": ROOT}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_no_command(tmp_path: Path) -> None:
    loaded = run(HELP + "import json; print(json.dumps(list(sys.modules)))", tmp_path)
    foreign = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"__main__", "sfu", "signaling"}
    assert not foreign & {*ONLY_FOR_CALLS, *ONLY_FOR_MIGRATIONS, "aiohttp", "sqlalchemy", "google", "livekit", "uvloop"}
    assert {name for name in loaded if name.startswith(("sfu", "signaling"))} <= {
        "sfu", "sfu.errors", "signaling", "signaling.cli", "signaling.errors",
    }  # fmt: skip
    assert not loaded & {"asyncio", "ssl"}


def test_an_idle_server_has_loaded_nothing_of_what_calls_need(tmp_path: Path) -> None:
    code = SERVE % {"udp": free_ports().udp} + "print(json.dumps(asyncio.run(serve('.'))))"
    for start in ("the first", "the second"):
        loaded = run(code, tmp_path)
        heavy = ONLY_FOR_CALLS | ONLY_FOR_KICKS_AND_WEBHOOKS | ONLY_FOR_ACCOUNTS | ONLY_FOR_MIGRATIONS | ONLY_FOR_OTHERS
        if "sfu.engine.reference.engine" in loaded:
            heavy -= {"cryptography"}  # where there is no Rust engine, SRTP is done in Python
        assert loaded & heavy == set(), f"{start} start"
