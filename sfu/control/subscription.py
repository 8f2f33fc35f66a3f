"""One participant receiving one publication."""

from __future__ import annotations

import secrets
from collections.abc import Container
from typing import TYPE_CHECKING

from sfu.api import TrackSettings
from sfu.control.allocator import target_layer
from sfu.engine.api import EngineCommands, SubscriptionConfig
from sfu.ids import SubscriptionHandle, TransportHandle
from sfu.sdp.model import AcceptedSection, SentMedia
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
        self.refused = False
        """The client cannot receive any form of it."""
        self._accepted: AcceptedSection | None = None

    def sent_media(self) -> SentMedia:
        """What a description says of it."""
        publication = self.publication
        label = publication.stream_label
        if not label or self.subscriber.client.is_firefox:
            # Firefox names received tracks itself; its SDK finds the track by the stream instead.
            label = publication.track_id
        participant_id = publication.publisher.info.participant_id
        return SentMedia(
            track_id=publication.track_id,
            stream_id=f"{participant_id}|{label}",
            ssrc=self.ssrc,
            rtx_ssrc=self.rtx_ssrc,
            cname=participant_id,
            stereo=publication.info.stereo or publication.received.stereo,
            variants=publication.variants(),
        )

    def can_take(self, accepted: AcceptedSection) -> bool:
        """Whether the track can go out on a section in any form."""
        return bool(outbound_payloads(self.publication.received, accepted))

    def attach(
        self, engine: EngineCommands, transport: TransportHandle, accepted: AcceptedSection, cache_packets: int
    ) -> bool:
        """The client takes it on that section: start sending, or start anew when it takes something else now."""
        if self.handle is not None and accepted == self._accepted:
            return False
        payloads = outbound_payloads(self.publication.received, accepted)
        if not payloads:
            self.refused = True
            return False
        self.detach(engine)
        self._accepted = accepted
        config = SubscriptionConfig(
            ssrc=self.ssrc,
            mid=accepted.mid,
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
