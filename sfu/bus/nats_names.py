"""How keys and topics are called in NATS, whose subjects have dots between their parts and few characters in them."""

from __future__ import annotations

import re
from collections.abc import Mapping

OPERATION = "KV-Operation"
_PLAIN = re.compile(rb"[A-Za-z0-9_-]")


def encode_key(key: str) -> str:
    """Slashes become dots; whatever NATS would not have becomes = and two hexadecimal digits for each byte."""
    return ".".join(_encode_part(part) for part in key.split("/"))


def _encode_part(part: str) -> str:
    data = part.encode()
    return "".join(chr(byte) if _PLAIN.match(bytes([byte])) else f"={byte:02X}" for byte in data)


def decode_key(subject: str) -> str:
    """Raises `ValueError` for what `encode_key` never made."""
    return "/".join(_decode_part(part) for part in subject.split("."))


def _decode_part(part: str) -> str:
    first, *rest = part.encode().split(b"=")
    return (first + b"".join(bytes([int(piece[:2], 16)]) + piece[2:] for piece in rest)).decode()


def hint_subject(cluster_name: str, topic: str) -> str:
    return f"{cluster_name}.hints.{topic}"


def is_deletion(headers: Mapping[str, str] | None) -> bool:
    return headers is not None and headers.get(OPERATION) in ("DEL", "PURGE")
