"""What a subscription sent lately, and whether it may be sent again (RFC 4585 §6.2.1, RFC 4588)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfu.engine.api import OutboundPayload
    from sfu.engine.reference.packet import MediaPacket

MIN_INTERVAL_NS = 20_000_000
MAX_RESENDS = 10
SHARE_OF_BITRATE = 5
"""Resends get one fifth of the bitrate sent, and twice the share that the subscriber reports as lost where that is
more: what is sent again gets lost as well."""
MAX_LOST = 64
"""Of 256, that counts as lost: nobody gets more than half."""
TWICE_LOST = 26
"""Where so much is lost, of 256, each resend goes twice if there is room: else one in ten pictures waits for another
round trip."""
KEPT_NS, KEPT_RTTS = 1_000_000_000, 3
"""Packets are held for so long, and for so many round trips where that is longer: what was asked for then comes too
late. A camera of 1.5 Mbit/s fills 512 places in three seconds, and what is held is nearly all that a publisher
costs."""
KEPT_PACKETS = 32
"""The newest are held however old they are: of a screen on which nothing moves a picture goes out once a second, and
only the next one shows that the end of the last one was lost."""
MIN_BYTES_PER_S = 100_000 // 8
_NS_PER_S = 1_000_000_000


SentPacket = tuple[int, bytes, "MediaPacket", "OutboundPayload", "tuple[int, int] | None", int]
"""One forwarded packet: ext_seq, header in the clear, what it was made of, how, the picture id and TL0PICIDX written
into it (None: the payload left as it came), and when it was sent in ns. A bare tuple, since one is made for each packet
and subscriber."""


class _Resends:
    __slots__ = ("count", "last_at_ns")

    def __init__(self) -> None:
        self.count = 0
        self.last_at_ns = 0


class RetransmissionBuffer:
    """The last `size` packets by ext_seq, without those that were sent too long before the newest and are not of the
    last `KEPT_PACKETS`, and the limits on sending them again.

    The share of the bitrate is a token bucket: filled by a share of what `bytes_sent` grows, or at 100 kbit/s when that
    is more; it holds one second's worth.
    """

    __slots__ = (
        "_budget",
        "_bytes_seen",
        "_first",
        "_limit",
        "_next",
        "_packets",
        "_refilled_at_ns",
        "_resends",
        "size",
    )

    def __init__(self, size: int) -> None:
        self.size = size
        """0: nothing is kept."""
        self._packets: dict[int, SentPacket] = {}
        self._first = self._next = 0
        """No packet is held below the one, or from the other on."""
        self._resends: dict[int, _Resends] = {}
        self._budget = self._limit = MIN_BYTES_PER_S
        self._bytes_seen = 0
        self._refilled_at_ns: int | None = None

    def keep(self, sent: SentPacket, rtt_ns: int) -> None:
        """Keep a packet that leaves now. The caller has looked at `size`."""
        packets, ext_seq, size = self._packets, sent[0], self.size
        if not packets or ext_seq - self._next >= size:
            packets.clear()
            self._first = self._next = ext_seq
        if self._next - ext_seq > size:
            return
        packets[ext_seq] = sent
        if ext_seq >= self._next:
            self._next = ext_seq + 1
        first, recent = min(self._first, ext_seq), self._next - KEPT_PACKETS
        oldest_ns = sent[5] - max(KEPT_NS, KEPT_RTTS * rtt_ns)
        while first not in packets or (first < recent and packets[first][5] < oldest_ns) or self._next - first > size:
            packets.pop(first, None)
            first += 1
        self._first = first

    def clear(self) -> None:
        """What was sent has other numbers now."""
        self._packets.clear()

    def find(self, ext_seq: int) -> SentPacket | None:
        return self._packets.get(ext_seq)

    def refill(self, now_ns: int, bytes_sent: int, bytes_per_s: int, lost: int) -> None:
        """Before the resends that one NACK asks for. `bytes_per_s` is the bitrate sent lately, `lost` what is reported
        as lost of it, of 256."""
        elapsed_ns = 0 if self._refilled_at_ns is None else now_ns - self._refilled_at_ns
        self._refilled_at_ns = now_ns
        earned = max(_share(bytes_sent - self._bytes_seen, lost), MIN_BYTES_PER_S * elapsed_ns // _NS_PER_S)
        self._bytes_seen = bytes_sent
        self._limit = max(MIN_BYTES_PER_S, _share(bytes_per_s, lost))
        self._budget = min(self._budget + earned, self._limit)

    def may_resend(self, now_ns: int, sent: SentPacket, rtt_ns: int) -> bool:
        """Whether the limits allow `sent` to go out again now; if so it is counted."""
        size = len(sent[2].payload)
        resends = self._resends.get(sent[0])
        if resends is None:
            resends = _Resends()
        elif resends.count >= MAX_RESENDS or now_ns - resends.last_at_ns < max(rtt_ns, MIN_INTERVAL_NS):
            return False
        if self._budget < size:
            return False
        self._budget -= size
        resends.count += 1
        resends.last_at_ns = now_ns
        self._resends[sent[0]] = resends
        while len(self._resends) > self.size:
            del self._resends[next(iter(self._resends))]
        return True

    def may_repeat(self, size: int) -> bool:
        """Whether there is room for the same once more, which is never more than half; if so it is counted."""
        if self._budget < max(size, self._limit // 2):
            return False
        self._budget -= size
        return True


def _share(amount: int, lost: int) -> int:
    return max(amount // SHARE_OF_BITRATE, amount * 2 * min(lost, MAX_LOST) // 256)
