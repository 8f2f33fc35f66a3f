"""Debian's coturn as a TURN server of the test's own, on loopback, with a certificate that it signed itself."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import shutil
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.harness.server import free_ports

START_TIMEOUT_S = 10.0
SECRET = "a-turn-secret-of-the-tests"
MISSING = "coturn is not installed; on Debian: apt-get install coturn"


def find_coturn() -> str | None:
    return shutil.which("turnserver")


class Coturn:
    """`log` has what it said: an allocation names the user that it is for."""

    def __init__(self, binary: str) -> None:
        ports = free_ports()
        self.port, self.tls_port = ports.http, ports.tcp
        self.log: list[str] = []
        self._binary = binary
        self._folder = tempfile.TemporaryDirectory(prefix="ting-turn-")
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def url(self, transport: str) -> str:
        if transport == "tls":
            return f"turns:localhost:{self.tls_port}?transport=tcp"
        return f"turn:127.0.0.1:{self.port}?transport={transport}"

    async def start(self) -> None:
        folder = Path(self._folder.name)
        write_certificate(folder / "cert.pem", folder / "key.pem")
        self._process = await asyncio.create_subprocess_exec(
            self._binary, "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={self.port}",
            f"--tls-listening-port={self.tls_port}", "--realm=ting", "--use-auth-secret",
            f"--static-auth-secret={SECRET}", "--allow-loopback-peers", "--no-cli", "--no-dtls", "--verbose",
            "--log-file=stdout", f"--pidfile={folder / 'pid'}", f"--cert={folder / 'cert.pem'}",
            f"--pkey={folder / 'key.pem'}", "--user-quota=12", f"--userdb={folder / 'users'}",
            cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        async with asyncio.timeout(START_TIMEOUT_S):
            for port in (self.port, self.tls_port):
                while not await _answers(port):
                    assert self._process.returncode is None, "\n".join(self.log)
                    await asyncio.sleep(0.02)

    async def stop(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader
        self._folder.cleanup()

    def allocations(self, user: str) -> int:
        """Relays that were opened with a credential of this participant id."""
        return sum("ALLOCATE processed, success" in line and f":{user}>" in line for line in self.log)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.log.append(line.decode("utf-8", "replace").rstrip())


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
