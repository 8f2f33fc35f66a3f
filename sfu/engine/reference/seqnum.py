"""Sequence numbers beyond their wraparound, and the replay window.

`ext_seq` is the 16-bit sequence number plus 2^16 times the number of wraps, plus `EXT_SEQ_START`: a stream begins
in the range [2^16, 2^17), so that packets reordered around the very first one never become negative. The SRTP
rollover counter on the wire is therefore `(ext_seq >> 16) - 1`; `srtp.py` accounts for it. Outbound streams start
at `EXT_SEQ_START + initial seq` for the same reason.
"""

from __future__ import annotations

EXT_SEQ_START = 1 << 16

OK = "ok"
REPLAYED = "replayed"
TOO_OLD = "too_old"


def timestamp_diff(a: int, b: int) -> int:
    """`a - b` on the 32-bit circle, in -2^31..2^31-1: positive when `a` is newer."""
    return ((a - b + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


class SeqExtender:
    """Extends 16-bit sequence numbers to 64 bits by the guess nearest to the highest one (RFC 3711 §3.3.1).

    `extend` only guesses, so it may be called before authentication; `commit` remembers after it. Before the
    first commit the guess is `EXT_SEQ_START + seq`.
    """

    __slots__ = ("highest",)

    def __init__(self) -> None:
        self.highest: int | None = None
        """The highest committed ext_seq."""

    def extend(self, seq: int) -> int:
        """The ext_seq that `seq` most likely stands for. Changes nothing."""
        highest = self.highest
        if highest is None:
            return EXT_SEQ_START + seq
        return highest + ((seq - highest + 0x8000) & 0xFFFF) - 0x8000

    def commit(self, ext_seq: int) -> None:
        """Remember `ext_seq` if it is the highest so far."""
        if self.highest is None or ext_seq > self.highest:
            self.highest = ext_seq

    def update(self, seq: int) -> int:
        """`extend` and `commit` in one, for numbers that need no authentication."""
        ext_seq = self.extend(seq)
        self.commit(ext_seq)
        return ext_seq


class ReplayWindow:
    """Sliding window over indices (RFC 3711 §3.3.2): which of the last `size` were seen.

    `check` before decryption, `commit` after authentication. Bit i of the mask stands for `highest - i`.
    """

    __slots__ = ("_full", "_highest", "_mask", "_size")

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._full = (1 << size) - 1
        self._highest = -1
        self._mask = 0

    def check(self, index: int) -> str:
        """`OK`, `REPLAYED` (seen already) or `TOO_OLD` (left of the window). Changes nothing."""
        age = self._highest - index
        if age < 0 or self._highest < 0:
            return OK
        if age >= self._size:
            return TOO_OLD
        return REPLAYED if (self._mask >> age) & 1 else OK

    def commit(self, index: int) -> None:
        """Mark `index` as seen. Indices left of the window are ignored."""
        step = index - self._highest
        if self._highest < 0 or step >= self._size:
            self._highest = index if step > 0 else self._highest
            self._mask = 1
        elif step > 0:
            self._highest = index
            self._mask = ((self._mask << step) | 1) & self._full
        elif -step < self._size:
            self._mask |= 1 << -step
