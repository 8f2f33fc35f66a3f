"""The engine's figures at one time, and what has changed since those before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.control.subscribe.subscription import Subscription
from sfu.engine.api import EngineStats, LayerStats
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle

REPORTED_AFTER_S = 12.0
"""What a publisher lost may still be in its receivers' reports: those of sound come every five seconds or so, are of
the time since the one before, and stand until the next."""


@dataclass(slots=True)
class Flow:
    """What one subscription sent since the figures before."""

    packets: int
    bitrate_bps: float
    loss: float
    """Share that was lost on the way from here: what was lost before leaves gaps too, and is not counted."""
    rtt_ms: float
    """0: not known."""
    spatial: int | None
    """The layer that is sent."""
    nacks: int = 0
    resent: int = 0
    """How often packets were asked for, and how many were sent again."""


class Figures:
    """The engine's figures at one time, and what has changed since those before."""

    def __init__(self, stats: EngineStats, now_s: float, before: Figures | None) -> None:
        self._at_s = now_s
        self._subscriptions = {one.subscription: one for one in stats.subscriptions}
        self.layers: dict[TrackHandle, Sequence[LayerStats]] = {one.track: one.layers for one in stats.tracks}
        self._estimates = {one.transport: one.estimate_bps or one.remb_bps for one in stats.transports}
        self._losses = {one.transport: (one.feedback_lost, one.feedback_loss_runs) for one in stats.transports}
        earlier_losses = before._losses if before is not None else {}
        self._lost_since = {
            transport: (lost - earlier_losses[transport][0], runs - earlier_losses[transport][1])
            for transport, (lost, runs) in self._losses.items()
            if transport in earlier_losses
        }
        self._flows: dict[SubscriptionHandle, Flow | None] = {}
        """Worked out so far: several ask."""
        self._before = before
        self._lost: dict[TrackHandle, list[tuple[float, float]]] = {}
        """By track, when and which share of it was lost before it came here."""
        if before is not None:
            before._before = None
        for track in self.layers:
            earlier = before._lost.get(track, []) if before is not None else []
            lost = [*earlier, (now_s, self.loss_of(track) or 0.0)]
            self._lost[track] = [one for one in lost if now_s - one[0] < REPORTED_AFTER_S]

    def flow(self, subscription: Subscription) -> Flow | None:
        handle, encoding = subscription.handle, subscription.encoding
        if handle is None or encoding is None:
            return None
        if handle not in self._flows:
            self._flows[handle] = self._flow(handle, encoding.track)
        return self._flows[handle]

    def _flow(self, handle: SubscriptionHandle, track: TrackHandle) -> Flow | None:
        before = self._before
        now = self._subscriptions.get(handle)
        earlier = before._subscriptions.get(handle) if before is not None else None
        if now is None or earlier is None or before is None or self._at_s <= before._at_s:
            return None
        elapsed_s = self._at_s - before._at_s
        bitrate_bps = 8 * (now.bytes_sent - earlier.bytes_sent) / elapsed_s
        packets = now.packets_sent - earlier.packets_sent
        lost_before = max((share for _, share in self._lost.get(track, ())), default=0.0)
        loss = max(0.0, now.fraction_lost - lost_before)
        resent = now.retransmitted_packets_sent - earlier.retransmitted_packets_sent
        nacks = now.nacks_received - earlier.nacks_received
        if packets > 0:
            # What a resend without RTX mends is no loss in receiver reports, yet it was lost on the way.
            loss = max(loss, resent / packets)
        return Flow(packets, bitrate_bps, min(1.0, loss), now.rtt_ms or 0.0, now.spatial, nacks, resent)

    def estimate_of(self, transport: TransportHandle | None) -> int | None:
        """What a line takes, by the engine or by its receiver; None where neither has said."""
        return None if transport is None else self._estimates.get(transport)

    def lost_on(self, transport: TransportHandle | None) -> tuple[int, int]:
        """Packets of all kinds that feedback says were lost on the way to a peer since the figures before, and in how
        many runs."""
        return (0, 0) if transport is None else self._lost_since.get(transport, (0, 0))

    def loss_of(self, track: TrackHandle) -> float | None:
        """Share of a track's packets that was lost for good; None while it sends nothing."""
        if self._before is None or track not in self._before.layers:
            return None
        now, before = self.layers.get(track, ()), self._before.layers[track]
        received = sum(one.packets_received for one in now) - sum(one.packets_received for one in before)
        lost = max(0, sum(one.packets_lost for one in now) - sum(one.packets_lost for one in before))
        return lost / (received + lost) if received > 0 else None
