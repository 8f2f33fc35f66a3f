"""WebSocket frames, for what is sent to many at once."""

from __future__ import annotations


def text_frame(text: bytes) -> bytes:
    """A whole message of a server: RFC 6455, section 5.2, unmasked and without extensions."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text
