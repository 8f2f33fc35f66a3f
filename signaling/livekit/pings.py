"""Pings of the protocol and their answers: most of what idle clients say, so told apart before anything is parsed.

`SignalRequest.ping` is a bare number (an old client's), `ping_req` a message; SDKs send either or both every few
seconds.
"""

from __future__ import annotations

import time

from google.protobuf.message import DecodeError
from livekit.protocol import rtc

_PING_TAG = bytes((rtc.SignalRequest.PING_FIELD_NUMBER << 3,))
_PING_REQ_TAG = bytes((rtc.SignalRequest.PING_REQ_FIELD_NUMBER << 3 & 127 | 2 | 128, 1))
"""Field 16, length-delimited: its tag has two bytes (https://protobuf.dev/programming-guides/encoding/)."""
PING_FIRST = frozenset((_PING_TAG[0], _PING_REQ_TAG[0]))
"""First bytes of what may be a ping."""
MAX_PING_BYTES = 64
"""A larger message is no ping that an SDK sends; it takes the way of all messages."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def pong() -> rtc.SignalResponse:
    """The answer to `ping`."""
    return rtc.SignalResponse(pong=now_ms())


def pong_resp(ping: rtc.Ping) -> rtc.SignalResponse:
    """The answer to `ping_req`."""
    return rtc.SignalResponse(pong_resp=rtc.Pong(last_ping_timestamp=ping.timestamp, timestamp=now_ms()))


def answer(payload: bytes) -> tuple[str, bytes] | None:
    """The name of the ping that a binary message is, and its answer serialised; None for everything else, also for
    pings with something beside them."""
    size = len(payload)
    if payload[:2] == _PING_REQ_TAG and size > 2 and payload[2] == size - 3 < 128:
        try:
            ping = rtc.Ping.FromString(payload[3:])
        except DecodeError:
            return None
        return "ping_req", pong_resp(ping).SerializeToString()
    if payload[:1] == _PING_TAG and 2 <= size <= 11 and _is_varint(payload[1:]):
        return "ping", pong().SerializeToString()
    return None


def _is_varint(encoded: bytes) -> bool:
    """Whether it is one number and no more. The tenth byte of a number has one bit."""
    return encoded[-1] < 128 and all(byte >= 128 for byte in encoded[:-1]) and (len(encoded) < 10 or encoded[-1] < 2)
