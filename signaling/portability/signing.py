"""The key that signs this server's archives (Ed25519, RFC 8032): kept in the data folder, made when it is needed."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from signaling.errors import ArchiveError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "archive.key"
ANY_SIGNER = "any"
_KEY_BYTES = 32


class Signer:
    """`folder` is the data folder; `trusted` are public keys of other servers, as `public_key` gives them."""

    def __init__(self, folder: Path, trusted: Sequence[str] = ()) -> None:
        self._path = folder / KEY_FILE
        self._trusted = frozenset(trusted)
        self._loaded: Ed25519PrivateKey | None = None

    @property
    def public_key(self) -> str:
        """In base64, 44 characters. Raises `ArchiveError` when the key can be neither read nor made."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, data: bytes) -> str:
        """The signature in base64: the same for the same data. Raises `ArchiveError`."""
        return base64.b64encode(self._key.sign(data)).decode()

    def check(self, data: bytes, public_key: str, signature: str, accept: str = "") -> None:
        """`accept` is one more key that may have signed, or `ANY_SIGNER`: then the signature shows only that nothing
        was changed since. Raises `ArchiveError`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
            key.verify(base64.b64decode(signature, validate=True), data)
        except (ValueError, binascii.Error, InvalidSignature):
            raise ArchiveError("the signature does not fit: the archive was changed after it was made") from None
        if accept == ANY_SIGNER or public_key in self._trusted | {accept}:
            return
        if not self._path.exists() or public_key != self.public_key:
            raise ArchiveError(f"the archive is signed by a server that is not trusted here; its key is {public_key}")

    @property
    def _key(self) -> Ed25519PrivateKey:
        if self._loaded is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            try:
                self._loaded = Ed25519PrivateKey.from_private_bytes(self._read_or_make())
            except (OSError, ValueError):
                raise ArchiveError(f"the key that signs archives cannot be used ({KEY_FILE})") from None
        return self._loaded

    def _read_or_make(self) -> bytes:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{KEY_FILE}.{os.getpid()}")
        if not self._path.exists():
            # Under its name only when it is whole; of two that come at once, the first one's is kept.
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(os.urandom(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, self._path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return self._path.read_bytes()


def check_keys(keys: Sequence[str]) -> str | None:
    """The first that is no public key."""
    for key in keys:
        try:
            good = len(base64.b64decode(key, validate=True)) == _KEY_BYTES
        except (ValueError, binascii.Error):
            good = False
        if not good:
            return key
    return None
