"""How subscriptions get into media sections."""

from __future__ import annotations

from typing import Protocol

from sfu.control.subscribe.subscription import Subscription
from sfu.transport.transport import Transport


class Negotiator(Protocol):
    """Puts subscriptions into media sections that the client accepts: with offers of ours on a connection of its own
    (`OfferingNegotiator`), or in the answers to the client's offers (`AnsweringNegotiator`)."""

    @property
    def transport(self) -> Transport | None: ...

    def start(self) -> None:
        """The client knows of the room: begin."""
        ...

    def mark_changed(self) -> None:
        """Subscriptions came or went, or what one sends has changed."""
        ...

    def release(self, subscription: Subscription) -> None:
        """It has ended: its section is for others."""
        ...

    def restart(self) -> None:
        """The client resumed. What was under way with it is void."""
        ...

    def handle_answer(self, sdp: str, offer_id: int) -> None:
        """Raises `SdpError`."""
        ...

    def close(self) -> None: ...
