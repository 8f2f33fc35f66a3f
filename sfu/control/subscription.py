"""One participant receiving one publication."""

from __future__ import annotations

import secrets
from collections.abc import Container
from typing import TYPE_CHECKING

from sfu.api import TrackSettings
from sfu.control.allocator import target_layer
from sfu.engine.api import EngineCommands, SubscriptionConfig
from sfu.ids import SubscriptionHandle, TransportHandle
from sfu.sdp.model import AcceptedSection
from sfu.sdp.negotiate import outbound_payloads

if TYPE_CHECKING:
    from sfu.control.participant import Participant
    from sfu.control.publication import Publication

MAX_SSRC = 0xFFFF_FFFE


def new_ssrc(taken: Container[int]) -> int:
    """A random SSRC (RFC 3550 §8.1) that is not in `taken`."""
    while True:
        ssrc = 1 + secrets.randbelow(MAX_SSRC)
        if ssrc not in taken:
            return ssrc


class Subscription:
    """Holds the engine's subscription once the client has accepted the section that carries it."""

    def __init__(self, publication: Publication, subscriber: Participant, ssrc: int, rtx_ssrc: int | None) -> None:
        self.publication = publication
        self.subscriber = subscriber
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.settings = TrackSettings()
        self.handle: SubscriptionHandle | None = None
        self.mid = ""
        """Of the section that carries it; empty until an offer has one."""
        self.refused = False
        """The client cannot receive any form of it."""
        self._payload_types: frozenset[int] = frozenset()

    def attach(
        self, engine: EngineCommands, transport: TransportHandle, accepted: AcceptedSection, cache_packets: int
    ) -> bool:
        """The client's answer has the section: start sending, or start anew when it accepts other codecs now."""
        if self.handle is not None and accepted.payload_types == self._payload_types:
            return False
        payloads = outbound_payloads(self.publication.received, accepted)
        if not payloads:
            self.refused = True
            return False
        self.detach(engine)
        self._payload_types = accepted.payload_types
        config = SubscriptionConfig(
            ssrc=self.ssrc,
            mid=self.mid,
            cname=self.publication.publisher.info.participant_id,
            payloads=payloads,
            rtx_ssrc=self.rtx_ssrc if accepted.rtx else None,
            extensions=accepted.extensions,
            nack=accepted.nack,
            cache_packets=cache_packets,
        )
        self.handle = engine.add_subscription(transport, self.publication.track, config)
        self.apply_settings(engine)
        return True

    def apply_settings(self, engine: EngineCommands) -> None:
        if self.handle is None:
            return
        spatial, temporal = target_layer(self.publication.target_layers(), self.settings)
        engine.set_target_layer(self.handle, spatial, temporal)
        engine.set_subscription_paused(self.handle, self.settings.disabled)

    def detach(self, engine: EngineCommands) -> None:
        if self.handle is not None:
            engine.remove_subscription(self.handle)
            self.handle = None
