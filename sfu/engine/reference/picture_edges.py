"""Where pictures begin and end in the numbers of a stream. What is missing between the end of one picture and the
beginning of the next was padding: senders without RTX pad in the numbers of their media, and never resend that."""

from __future__ import annotations

PICTURES = 16
"""As many are remembered: what is missed for longer has been given up."""


class PictureEdges:
    """Pictures and packets by their extended numbers."""

    __slots__ = ("_begins", "_ends")

    def __init__(self) -> None:
        self._begins = [(-1, 0)] * PICTURES
        """(picture, its first packet) at the picture modulo `PICTURES`."""
        self._ends = [(-1, 0)] * PICTURES

    def begin(self, picture: int, ext_seq: int) -> tuple[int, int] | None:
        """A picture begins with that packet. The packet that ended the one before and this one, when both are known."""
        self._begins[picture % PICTURES] = (picture, ext_seq)
        before, ended_at = self._ends[(picture - 1) % PICTURES]
        return (ended_at, ext_seq) if before == picture - 1 else None

    def end(self, picture: int, ext_seq: int) -> tuple[int, int] | None:
        """A picture ends with that packet. The same with the one after it."""
        self._ends[picture % PICTURES] = (picture, ext_seq)
        after, begins_at = self._begins[(picture + 1) % PICTURES]
        return (ext_seq, begins_at) if after == picture + 1 else None
