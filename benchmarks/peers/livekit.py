"""LiveKit's server, when its binary `livekit-server` is on PATH (https://docs.livekit.io/home/self-hosting/)."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

from benchmarks.peers.server import PeerServer, free_port, pin_to
from tests.harness.server import free_ports, make_token

_CONFIG = """\
port: {http}
bind_addresses: ["127.0.0.1"]
keys: {{ {key}: {secret} }}
rtc:
  use_ice_lite: {lite}
  udp_port: {udp}
  tcp_port: 0
  node_ip: {address}
  use_external_ip: false
  enable_loopback_candidate: true
logging: {{ level: warn }}
"""
_KEY = "benchmark"
_SECRET = "a secret that protects nothing but a benchmark"


class LiveKitServer(PeerServer):
    """One node without Redis."""

    name = "livekit"

    def __init__(self, *, is_lite: bool = False) -> None:
        """`is_lite`: it checks no way to a client by itself, so that a relay before it is the only one."""
        super().__init__()
        self._is_lite = is_lite
        self.udp_port = 0

    @classmethod
    def version(cls) -> str | None:
        if shutil.which("livekit-server") is None:
            return None
        output = subprocess.run(["livekit-server", "--version"], capture_output=True, text=True, check=False).stdout
        return f"LiveKit {output.split()[-1]}" if output.split() else "LiveKit"

    async def start(self, folder: Path, cpus: set[int]) -> None:
        http = free_port()
        self.url = f"http://127.0.0.1:{http}"
        config, self.log, self._secret = folder / "livekit.yaml", folder / "livekit.log", folder / "secret"
        self.udp_port = free_ports().udp
        lite = str(self._is_lite).lower()
        config.write_text(
            _CONFIG.format(
                http=http, udp=self.udp_port, secret=f'"{_SECRET}"', lite=lite, key=_KEY, address=self.media_address
            )
        )
        self._secret.write_text(_SECRET)
        with self.log.open("w") as log:
            self.process = await asyncio.create_subprocess_exec(
                "livekit-server", "--config", str(config),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=pin_to(cpus),
            )  # fmt: skip
        await self.wait_for_port(http)

    def token(self, room: str, identity: str, **grants: bool) -> str:
        """Of somebody who may do what guests do."""
        return make_token(room, identity, key=_KEY, secret=_SECRET, **grants)

    def load_arguments(self) -> list[str]:
        return ["--url", self.url, "--api-key", _KEY, "--api-secret-file", str(self._secret)]
