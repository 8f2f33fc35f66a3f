"""What proves to the server that somebody holds a sealed room's link, and gives nothing of the link away."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

import msgspec

Gate = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{43}$")]
"""HKDF(link secret, "ting gate"): 32 bytes."""


def hash_of_gate(gate: str) -> str:
    """SHA-256 in hex: what is kept opens no gate."""
    return sha256(gate.encode()).hexdigest()
