"""What the container starts: makes the secrets that are not there yet, then becomes `ting` with the given arguments.

`secrets` alone only makes them: compose.yml does that before PostgreSQL and coturn start, which are given theirs in
volumes of their own. A secret that is there is never changed.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

BYTES = 32
TURN_CONFIG = """\
use-auth-secret
static-auth-secret={secret}
realm=ting
fingerprint
no-cli
no-multicast-peers
"""


def make_secrets(environment: Mapping[str, str]) -> None:
    own = Path(environment["TING_DATA_DIR"]) / "secrets"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    make(Path(environment["TING_API_SECRET_FILE"]), mode=0o600)
    if cluster := environment.get("TING_CLUSTER_SECRET_FILE"):
        make(Path(cluster), mode=0o600)
    shared = Path(environment.get("SHARED_SECRETS", "/secrets"))
    if (shared / "postgres").is_dir():
        password = make(own / "postgres-password", mode=0o600)
        write(own / "pgpass", f"*:*:*:*:{password}\n", mode=0o600)
        # The server's user reads it in its own container; no other has this volume.
        write(shared / "postgres" / "password", password, mode=0o444)
    if (shared / "turn").is_dir():
        secret = make(own / "turn-secret", mode=0o600)
        write(shared / "turn" / "turnserver.conf", TURN_CONFIG.format(secret=secret), mode=0o444)


def make(path: Path, *, mode: int) -> str:
    """The secret in the file, which is made if it is not there."""
    if not path.exists():
        write(path, secrets.token_urlsafe(BYTES), mode=mode)
    return path.read_text(encoding="ascii").strip()


def write(path: Path, text: str, *, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    # Of two that start at the same time one wins, and both read what it wrote.
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def main(arguments: list[str]) -> None:
    os.umask(0o077)
    make_secrets(os.environ)
    if arguments == ["secrets"]:
        return
    os.environ.setdefault("PGPASSFILE", str(Path(os.environ["TING_DATA_DIR"]) / "secrets" / "pgpass"))
    os.execvp("ting", ["ting", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
