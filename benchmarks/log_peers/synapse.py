"""Synapse from PyPI in a virtual environment of its own, on SQLite or PostgreSQL; no federation, no rate limits."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.log_peers.server import (
    ON_POSTGRES,
    TOOLS,
    Crowd,
    LogServer,
    MissingPeerError,
    Shape,
    call,
    fetch_whole,
)

VENV = TOOLS / "synapse"
_PYTHON = VENV / "bin" / "python"
_SECRET = "a secret of this run on loopback"
_ANY_RATE = {"per_second": 1_000_000, "burst_count": 1_000_000}


class SynapseServer(LogServer):
    name = "synapse"
    protocol = "matrix"
    durability = "SQLite in WAL mode, which Synapse sets, with synchronous = FULL, SQLite's default"

    @classmethod
    async def version(cls) -> str:
        if not _PYTHON.exists():
            await _install()
        shown = await call(_PYTHON, "-c", "import synapse; print(synapse.__version__)")
        return f"Synapse {shown.decode().strip()}"

    async def start(self) -> None:
        (self.folder / "hs.yaml").write_text(json.dumps(self._config()))
        (self.folder / "log.yaml").write_text(json.dumps(_LOGGING))
        keys = [*_command(), "-c", "hs.yaml", "--generate-keys"]
        await call(*keys, cwd=self.folder)
        await self.run([*_command(), "-c", "hs.yaml"])

    def _config(self) -> dict[str, Any]:
        """YAML takes JSON."""
        three = dict.fromkeys(("address", "account", "failed_attempts"), _ANY_RATE)
        rates = ("rc_message", "rc_registration", "rc_joins_per_room", "rc_room_creation", "rc_admin_redaction")
        return {
            "server_name": "localhost", "report_stats": False, "pid_file": str(self.folder / "hs.pid"),
            "listeners": [{
                "port": self.port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": False,
                "resources": [{"names": ["client"], "compress": False}],
            }],
            "database": self._database(), "log_config": str(self.folder / "log.yaml"),
            "media_store_path": str(self.folder / "media"), "signing_key_path": str(self.folder / "signing.key"),
            "registration_shared_secret": _SECRET, "macaroon_secret_key": _SECRET, "form_secret": _SECRET,
            "bcrypt_rounds": 4, "filter_timeline_limit": 5000, "presence": {"enabled": False},
            "federation_domain_whitelist": [], "trusted_key_servers": [], "suppress_key_server_warning": True,
            **dict.fromkeys(rates, _ANY_RATE), "rc_login": three,
            "rc_joins": dict.fromkeys(("local", "remote"), _ANY_RATE),
        }  # fmt: skip

    def _database(self) -> dict[str, Any]:
        return {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}}

    async def gather(self, shape: Shape) -> Crowd:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as session:
            tokens = [await _register(session, f"p{number}") for number in range(shape.people)]
            people: list[dict[str, Any]] = [
                {"reads": n not in shape.silent, "secret": token, "rooms": {}} for n, token in enumerate(tokens)
            ]
            names = []
            for members in shape.rooms:
                body = {"preset": "public_chat", "visibility": "private"}
                room = (await _post(session, "v3/createRoom", body, tokens[members[0]]))["room_id"]
                names.append(room)
                for person in members:
                    people[person]["rooms"][room] = ""
                    if person != members[0]:
                        await _post(session, f"v3/join/{room}", {}, tokens[person])
        return Crowd(people, [[person, names[room]] for person, room in shape.writers])

    async def fill(self, crowd: Crowd, entries: int) -> None:
        """Events are named after their hash, which Synapse's own code makes."""
        room = next(iter(crowd.people[0]["rooms"]))
        order = {"database": self._database(), "room": room, "sender": "@p0:localhost", "entries": entries}
        await call(_PYTHON, "-P", Path(__file__).with_name("synapse_fill.py"), stdin=json.dumps(order).encode())

    async def first_page_s(self, crowd: Crowd, room: str) -> float:
        """`/messages`, which is less than what a client without a state asks for first."""
        path = f"/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=50"
        took_s, answer = await fetch_whole(self.port, path, crowd.people[0]["secret"])
        if b'"type":"m.room.message"' not in answer:
            raise RuntimeError(f"not a page: {answer[:500]!r}")
        return took_s


class SynapsePostgresServer(SynapseServer):
    name = "synapse-postgresql"
    on_postgres = True
    durability = ON_POSTGRES

    def _database(self) -> dict[str, Any]:
        assert self.postgres is not None
        where = {"host": "127.0.0.1", "port": self.postgres.port, "user": "bench", "dbname": "postgres"}
        return {"name": "psycopg2", "args": {**where, "cp_min": 5, "cp_max": 10}}


_LOGGING = {
    "version": 1, "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["console"]}, "disable_existing_loggers": False,
}  # fmt: skip


def _command() -> list[str]:
    return [str(_PYTHON), "-m", "synapse.app.homeserver"]


async def _install() -> None:
    packages = ["matrix-synapse", "psycopg2-binary"]
    uv = shutil.which("uv") or shutil.which("uv", path=str(TOOLS / "bin"))
    try:
        if uv is not None:
            await call(uv, "venv", "-q", "-p", sys.executable, VENV)
            await call(uv, "pip", "install", "-q", "--python", _PYTHON, *packages)
        else:
            await call(sys.executable, "-m", "venv", VENV)
            await call(_PYTHON, "-m", "pip", "install", "-q", *packages)
    except (RuntimeError, OSError) as error:
        shutil.rmtree(VENV, ignore_errors=True)
        raise MissingPeerError(f"Synapse cannot be installed from PyPI: {error}") from None


async def _register(session: aiohttp.ClientSession, name: str) -> str:
    """By the shared secret, as Synapse's `register_new_matrix_user` does."""
    path = "/_synapse/admin/v1/register"
    async with session.get(path) as answer:
        nonce = (await answer.json())["nonce"]
    text = "\0".join([nonce, name, "secret", "notadmin"])
    proof = hmac.new(_SECRET.encode(), text.encode(), hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": name, "password": "secret", "admin": False, "mac": proof}
    async with session.post(path, json=body) as answer:
        found = await answer.json()
    if "access_token" in found:
        token: str = found["access_token"]
        return token
    login = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": "secret"}
    return str((await _post(session, "v3/login", login, ""))["access_token"])


async def _post(session: aiohttp.ClientSession, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.post(f"/_matrix/client/{path}", json=body, headers=headers) as answer:
        found: dict[str, Any] = await answer.json()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {found}")
        return found
