"""What receiver reports say of a stream (RFC 3550 §6.4.1, A.3, A.8)."""

from __future__ import annotations

from sfu.engine.reference.rtcp import ReportBlock

_NS_PER_S = 1_000_000_000


class ReceptionStatistics:
    """Counters of one inbound stream. Survives jumps of the sequence: they count neither as expected nor as lost."""

    __slots__ = (
        "_base",
        "_expected_before",
        "_expected_prior",
        "_jitter_16",
        "_last_transit",
        "_received_prior",
        "bytes_received",
        "highest",
        "packets_received",
    )

    def __init__(self) -> None:
        self.packets_received = 0
        self.bytes_received = 0
        self.highest = -1
        self._base = 0
        self._expected_before = 0
        self._expected_prior = 0
        self._received_prior = 0
        self._last_transit: int | None = None
        self._jitter_16 = 0

    def begin(self, ext_seq: int) -> None:
        """A sequence starts with `ext_seq`."""
        self._expected_before = self.expected
        self._base = ext_seq
        self.highest = ext_seq - 1
        self._last_transit = None

    def add(self, ext_seq: int, size_bytes: int) -> None:
        """A packet with `size_bytes` of payload was received."""
        self.packets_received += 1
        self.bytes_received += size_bytes
        if ext_seq > self.highest:
            self.highest = ext_seq

    def measure_jitter(self, now_ns: int, timestamp: int, clock_rate: int) -> None:
        """Not for packets that came by RTX: their delay is our own doing."""
        transit = now_ns * clock_rate // _NS_PER_S - timestamp
        if self._last_transit is not None:
            difference = (transit - self._last_transit) & 0xFFFF_FFFF
            if difference & 0x8000_0000:
                difference = 0x1_0000_0000 - difference
            self._jitter_16 += difference - ((self._jitter_16 + 8) >> 4)
        self._last_transit = transit

    @property
    def expected(self) -> int:
        return self._expected_before + (self.highest - self._base + 1 if self.highest >= 0 else 0)

    @property
    def packets_lost(self) -> int:
        """Never below zero, although duplicates may make it so in RFC 3550."""
        return max(0, self.expected - self.packets_received)

    @property
    def jitter(self) -> int:
        """In timestamp units."""
        return self._jitter_16 >> 4

    def report(self, ssrc: int, lsr: int, dlsr: int) -> ReportBlock:
        """A report block on what happened since the last one."""
        expected, received = self.expected, self.packets_received
        expected_interval = expected - self._expected_prior
        lost_interval = expected_interval - (received - self._received_prior)
        self._expected_prior, self._received_prior = expected, received
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min((lost_interval << 8) // expected_interval, 255)
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=fraction,
            packets_lost=self.packets_lost,
            # The first wrap of an extended number is not one on the wire (`seqnum.EXT_SEQ_START`).
            highest_seq=(self.highest - 0x10000) & 0xFFFF_FFFF,
            jitter=min(self.jitter, 0xFFFF_FFFF),
            lsr=lsr,
            dlsr=dlsr,
        )
