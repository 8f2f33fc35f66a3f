"""What is written and sent in a sealed room, between bytes and what they say: signaling/SEALED.md, sections 4 and 5."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_LENGTH_BYTES = 4
_LEAST_BODY_BYTES = 256
_LEAST_FILE_BYTES = 1024
_PIECE_BYTES = 64 * 1024
_ADDRESSED = ("message", "file")
"""Verbs whose recipient is bound to the body."""


class SealBroken(Exception):
    """What came is not what was sealed with this key for this place."""


def to_text(data: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    """Raises `ValueError` for what is not base64url."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes: HKDF with SHA-256 and no salt (RFC 5869)."""
    return HKDF(hashes.SHA256(), SECRET_BYTES, salt=None, info=purpose.encode()).derive(secret)


def proof_of(link_secret: bytes, key_package: bytes) -> bytes:
    """That whoever made the key package holds the link."""
    return hmac.digest(derive(link_secret, "ting join"), key_package, hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Place:
    """What a body is bound to."""

    group: str
    epoch: int
    verb: str
    sender: str
    """A member id."""
    target: int = 0
    recipient: str = ""

    def as_bytes(self) -> bytes:
        recipient = self.recipient if self.verb in _ADDRESSED else ""
        bound = [self.group, self.epoch, self.verb, self.sender, self.target, recipient]
        return json.dumps(bound, ensure_ascii=False, separators=(",", ":")).encode()


def seal_bytes(key: bytes, plain: bytes, aad: bytes) -> bytes:
    """AES-256-GCM behind its random nonce. `aad` has to be the same when it is opened."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def open_bytes(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Raises `SealBroken`."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise SealBroken("it was not sealed with this key for this place") from error


def seal_body(key: bytes, place: Place, client_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """The `sealed` of an entry's body; `key` is the chat key of the epoch."""
    plain = json.dumps({"id": client_id, "body": body}, ensure_ascii=False).encode()
    size = _LEAST_BODY_BYTES
    while size < len(plain) + _LENGTH_BYTES:
        size *= 2
    padded = (len(plain).to_bytes(_LENGTH_BYTES, "big") + plain).ljust(size, b"\0")
    return {"group": place.group, "epoch": place.epoch, "data": to_text(seal_bytes(key, padded, place.as_bytes()))}


def open_body(key: bytes, place: Place, data: str) -> dict[str, Any]:
    """Raises `SealBroken`."""
    try:
        padded = open_bytes(key, to_bytes(data), place.as_bytes())
        length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
        body = json.loads(padded[_LENGTH_BYTES : _LENGTH_BYTES + length])["body"]
    except (ValueError, LookupError, TypeError) as error:
        raise SealBroken("the body does not open") from error
    if not isinstance(body, dict):
        raise SealBroken("the body is none")
    return body


def padded_size(size: int) -> int:
    """Padmé: the smallest size of its kind that holds `size` bytes."""
    least = max(size, _LEAST_FILE_BYTES)
    exponent = int(math.log2(least))
    step = 1 << (exponent - int(math.log2(exponent)) - 1)
    return -(-least // step) * step


def seal_file(content: bytes, key: bytes) -> bytes:
    """What the server stores of a file, under the file's own key of 32 bytes, which is for this file alone."""
    padded = content.ljust(padded_size(len(content)), b"\0")
    pieces = -(-len(padded) // _PIECE_BYTES)
    cipher = AESGCM(key)
    return b"".join(
        cipher.encrypt(_piece_nonce(piece, pieces), padded[piece * _PIECE_BYTES : (piece + 1) * _PIECE_BYTES], b"")
        for piece in range(pieces)
    )


def _piece_nonce(piece: int, pieces: int) -> bytes:
    """With its number and whether it is the last, so that none can be left out, moved or added."""
    return bytes([piece == pieces - 1, 0, 0, 0]) + piece.to_bytes(8, "big")


def open_file(stored: bytes, key: bytes, size: int) -> bytes:
    """A file of `size` bytes from what the server stores. Raises `SealBroken`."""
    pieces = -(-padded_size(size) // _PIECE_BYTES)
    step = _PIECE_BYTES + _TAG_BYTES
    if len(stored) != padded_size(size) + pieces * _TAG_BYTES:
        raise SealBroken("a part of the file is missing, or too much came")
    cipher = AESGCM(key)
    opened = []
    for piece in range(pieces):
        try:
            nonce = _piece_nonce(piece, pieces)
            opened.append(cipher.decrypt(nonce, stored[piece * step : (piece + 1) * step], b""))
        except InvalidTag as error:
            raise SealBroken("a piece of the file is not what was sealed") from error
    return b"".join(opened)[:size]
