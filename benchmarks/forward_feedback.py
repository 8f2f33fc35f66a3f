"""The transport-wide feedback of a receiver in `bench_forward`, as often as libwebrtc gives it."""

from __future__ import annotations

import socket
import time

from sfu.engine.api import Address, SrtpKeys
from sfu.engine.reference.seqnum import SeqExtender
from sfu.engine.reference.srtp import SrtpContext
from sfu.engine.reference.transport_feedback import build_transport_feedback

INTERVAL_S = 0.05


class Reporter:
    """Of one receiver; `keys` are its transport's, seen from the server."""

    def __init__(self, receiver: socket.socket, server: Address, keys: SrtpKeys, extension_id: int) -> None:
        self._receiver, self._server, self._id = receiver, server, extension_id
        self._protect = SrtpContext(keys.profile, keys.rx_key, keys.rx_salt).protect_rtcp
        self._extender = SeqExtender()
        self._arrivals: list[tuple[int, int]] = []
        self._count = 0

    def arrived(self, datagram: bytearray, size: int) -> None:
        """An RTP packet with one-byte header extensions (RFC 8285 §4.2) and no CSRC; others are not looked at."""
        if size < 16 or datagram[0] != 0x90 or datagram[12:14] != b"\xbe\xde":
            return
        position, end = 16, 16 + 4 * int.from_bytes(datagram[14:16], "big")
        while position < end:
            byte = datagram[position]
            if byte >> 4 == self._id:
                number = self._extender.extend(int.from_bytes(datagram[position + 1 : position + 3], "big"))
                self._extender.commit(number)
                self._arrivals.append((number, time.monotonic_ns()))
                return
            position += 2 + (byte & 0x0F) if byte else 1

    def report(self) -> None:
        """What has arrived since the last time."""
        arrivals = sorted(dict(self._arrivals).items())
        self._arrivals.clear()
        for packet in build_transport_feedback(1, 10_000, self._count, arrivals):
            self._count += 1
            data = self._protect(packet)
            if data is not None:
                self._receiver.sendto(data, self._server)
