"""Which packets of an inbound stream are missing, and when to ask for them (RFC 4585 §6.2.1)."""

from __future__ import annotations

REORDER_NS = 10_000_000
"""A gap this old is a loss even when no second packet has followed it, as long as nothing is known of the line."""
MAX_REORDER_NS = 100_000_000
"""What comes later than this for being overtaken is asked for all the same."""
AT_ONCE_NS = 1_000_000
"""A line that overtakes by less keeps the order: what is missing is lost."""
MIN_REPEAT_NS = 20_000_000
INITIAL_RTT_NS = 100_000_000
MARGIN_NS = 5_000_000
"""Beside an eighth of it, added to the round trip before a packet is asked for again: libwebrtc does not resend one
within its own measure of the round trip and 5 ms, and the next request would come a round trip later."""
MAX_TRIES = 10
USELESS_NS, USELESS_RTTS = 400_000_000, 4
"""A picture that has missed a packet for so long, and so many round trips, is shown again sooner with a keyframe."""
GIVE_UP_NS = 1_000_000_000
MAX_MISSING = 256
MAX_GAP = 512
"""A larger jump of sequence numbers is a new beginning, not a loss."""


class _Missing:
    __slots__ = ("asked_at_ns", "first_asked_at_ns", "is_useless", "since_ns", "tries")

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.asked_at_ns = 0
        self.first_asked_at_ns = 0
        self.is_useless = False
        self.tries = 0


class NackRegister:
    """Missing extended sequence numbers of one stream, oldest first.

    The round trip is measured by the register itself: from the request that was answered to the arrival, smoothed by
    1/8. Before the first answer it is taken to be `INITIAL_RTT_NS`. So is the order that the line keeps: a packet that
    comes by itself, or too early for an answer, was overtaken, and the next ones are waited for as long; one that had
    to be asked for makes that shorter by 1/8. What comes as RTX was never overtaken: where it seems to come too early,
    the round trip was taken to be too long, by an answer that was lost or a line that is another one now.
    """

    __slots__ = ("_missing", "has_fresh_gap", "reorder_ns", "rtt_ns")

    def __init__(self) -> None:
        self._missing: dict[int, _Missing] = {}
        self.has_fresh_gap = False
        """No packet has followed the newest gap yet."""
        self.reorder_ns = REORDER_NS
        """How long a packet is waited for before it is asked for."""
        self.rtt_ns: int | None = None

    def __len__(self) -> int:
        return len(self._missing)

    def clear(self) -> None:
        self._missing.clear()
        self.has_fresh_gap = False

    def add_gap(self, now_ns: int, first: int, end: int) -> None:
        """`first` up to but not including `end` did not arrive before the packet after them did."""
        missing = self._missing
        for ext_seq in range(max(first, end - MAX_MISSING), end):
            missing[ext_seq] = _Missing(now_ns)
        while len(missing) > MAX_MISSING:
            del missing[next(iter(missing))]
        self.has_fresh_gap = True

    def arrived(self, now_ns: int, ext_seq: int, *, is_rtx: bool) -> None:
        """A late or resent packet is there. `is_rtx`: it was resent for certain."""
        entry = self._missing.pop(ext_seq, None)
        if entry is None:
            return
        waited_ns, took_ns, rtt_ns = now_ns - entry.since_ns, now_ns - entry.asked_at_ns, self.rtt_ns
        is_too_early = entry.tries == 1 and rtt_ns is not None and took_ns < rtt_ns // 2
        if not is_rtx and (entry.tries == 0 or is_too_early):
            self.reorder_ns = min(max(self.reorder_ns, waited_ns + waited_ns // 4), MAX_REORDER_NS)
        elif entry.tries:
            self.reorder_ns -= self.reorder_ns // 8
        if entry.tries == 0:
            return
        if rtt_ns is None:
            self.rtt_ns = now_ns - entry.first_asked_at_ns
            return
        if entry.tries > 1 and took_ns < rtt_ns - rtt_ns // 4:
            # The answer to the request before the last one.
            took_ns += self._repeat_ns()
        self.rtt_ns = rtt_ns + (took_ns - rtt_ns) // 8

    def take_between(self, after: int, before: int) -> list[int]:
        """Forget what is missing between two packets, both left out: nobody will send it again."""
        padding = [one for one in self._missing if after < one < before]
        for ext_seq in padding:
            del self._missing[ext_seq]
        return padding

    @property
    def asks_at_once(self) -> bool:
        """The line keeps the order."""
        return self.reorder_ns < AT_ONCE_NS

    def forget_before(self, ext_seq: int) -> None:
        """A keyframe begins there: nobody needs what is missing before it."""
        for older in [one for one in self._missing if one < ext_seq]:
            del self._missing[older]

    def give_up_useless(self, now_ns: int) -> bool:
        """Forget what has been missing for so long that it takes a keyframe. Whether that is news."""
        useless = [ext_seq for ext_seq, entry in self._missing.items() if now_ns - entry.since_ns >= USELESS_NS]
        is_news = any(not self._missing[ext_seq].is_useless for ext_seq in useless)
        for ext_seq in useless:
            del self._missing[ext_seq]
        return is_news

    def take_useless(self, now_ns: int) -> bool:
        """Whether a packet has become missing for so long that it takes a keyframe; told once of each."""
        useless_ns = max(USELESS_NS, USELESS_RTTS * self._repeat_ns())
        is_news = False
        for entry in self._missing.values():
            if not entry.is_useless and now_ns - entry.since_ns >= useless_ns:
                entry.is_useless = is_news = True
        return is_news

    def _repeat_ns(self) -> int:
        rtt_ns = self.rtt_ns
        return INITIAL_RTT_NS if rtt_ns is None else max(MIN_REPEAT_NS, rtt_ns + rtt_ns // 8 + MARGIN_NS)

    def due(self, now_ns: int, *, packet_followed: bool) -> list[int]:
        """Sequence numbers to ask for now; asking is taken as done. `packet_followed`: called for a packet beyond the
        newest gap, which makes the packets of that gap lost and not only late where no more of overtaking is known."""
        missing = self._missing
        if not missing:
            return []
        repeat_ns = self._repeat_ns()
        reorder_ns = 0 if self.asks_at_once or (packet_followed and self.reorder_ns <= REORDER_NS) else self.reorder_ns
        wanted: list[int] = []
        expired: list[int] = []
        for ext_seq, entry in missing.items():
            if now_ns - entry.since_ns >= GIVE_UP_NS:
                expired.append(ext_seq)
            elif entry.tries == 0:
                if now_ns - entry.since_ns >= reorder_ns:
                    entry.first_asked_at_ns = now_ns
                    wanted.append(ext_seq)
            elif entry.tries < MAX_TRIES and now_ns - entry.asked_at_ns >= repeat_ns:
                wanted.append(ext_seq)
        for ext_seq in expired:
            del missing[ext_seq]
        for ext_seq in wanted:
            entry = missing[ext_seq]
            entry.asked_at_ns = now_ns
            entry.tries += 1
        if packet_followed:
            self.has_fresh_gap = False
        return wanted
