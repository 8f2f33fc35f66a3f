"""What adaptation knows of the line to a subscriber, however that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sfu.control.adapt.measured_line import MeasuredLine


class Line(Protocol):
    @property
    def limit_bps(self) -> float | None:
        """What it takes of the payload of video, bits per second; None: no limit is known."""
        ...

    @property
    def wanted_bps(self) -> int:
        """What the engine is to probe it for; 0: everything that is wanted is sent, or it cannot probe."""
        ...

    def handle_remb(self, now_s: float, bitrate_bps: int) -> None:
        """The receiver's own estimate (draft-alvestrand-rmcat-remb-03)."""
        ...

    def measured(self) -> MeasuredLine:
        """The same line, of which the engine has an estimate from now on."""
        ...

    def set_other(self, other_bps: float) -> None:
        """What everything but video takes, headers included."""
        ...

    def is_suspicious(self, sent_bps: float) -> bool:
        """Whether figures of now are worth to be looked at, with what video was sent lately."""
        ...

    def update(self, now_s: float, sent_bps: float, loss: float) -> bool:
        """With the video that is sent now and the share of it that is lost. True when `limit_bps` went down."""
        ...

    def may_wait(self, now_s: float, *, is_over: bool) -> bool:
        """`is_over`: a video that is shown is to be paused, as of now. Whether that may be waited with."""
        ...

    def may_try(self, now_s: float) -> bool:
        """Whether it is time to try more than the limit."""
        ...

    def try_more(self, now_s: float, needed_bps: float | None, *, is_paused: bool = False) -> None:
        """`needed_bps` of video would be of use; None: everything wanted is sent already. `is_paused`: some of it
        is not shown at all."""
        ...
