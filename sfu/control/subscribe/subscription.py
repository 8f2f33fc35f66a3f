"""One participant receiving one publication."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Container
from dataclasses import replace
from typing import Protocol

from sfu.api import ClientDescription, StreamState, SwitchCause, TrackSettings, VideoLayerInfo
from sfu.control.publish.dynacast import HIGHEST_QUALITY, OFF, best_quality
from sfu.control.publish.encoding import Encoding, codec_name
from sfu.control.publish.publication import Need, Publication
from sfu.control.subscribe.target_layer import target_layer
from sfu.control.timelines import NOTHING, Picture, Switch, wall_ms
from sfu.engine.api import HIGHEST_LAYER, Codec, EngineCommands, Extension, SubscriptionConfig
from sfu.ids import SubscriptionHandle, TrackId, TransportHandle
from sfu.kind import Kind
from sfu.sdp.capabilities import VARIANTS
from sfu.sdp.model import AcceptedSection, Redundancy, SentMedia, Ssrcs
from sfu.sdp.negotiate import can_add_redundancy

MAX_SSRC = 0xFFFF_FFFE


def new_ssrc(taken: Container[int | None]) -> int:
    """A random SSRC (RFC 3550 §8.1) that is not in `taken`."""
    while True:
        ssrc = 1 + secrets.randbelow(MAX_SSRC)
        if ssrc not in taken:
            return ssrc


class Receiver(Protocol):
    """Whose the subscription is: the subscriber that owns it."""

    @property
    def client(self) -> ClientDescription: ...

    @property
    def broken_codecs(self) -> frozenset[str]: ...

    def reattach(self, subscription: Subscription) -> None: ...

    def mark_changed(self) -> None: ...

    def unsubscribe(self, track_id: TrackId) -> None: ...

    def note_switch(self, switch: Switch) -> None:
        """A video of its is sent in another layer than before."""
        ...


class Subscription:
    """Holds the engine's subscription once the client has accepted the section that carries it."""

    def __init__(self, publication: Publication, receiver: Receiver, ssrcs: Ssrcs) -> None:
        self.publication = publication
        self.receiver = receiver
        self.ssrcs = ssrcs
        self.settings = TrackSettings()
        self.handle: SubscriptionHandle | None = None
        self.encoding: Encoding | None = None
        """What it receives."""
        self.refused = False
        """The client cannot receive any form of it."""
        self.allowed_spatial = HIGHEST_LAYER
        """The highest layer for which the downlink has room."""
        self.paused = False
        """The downlink has no room for it."""
        self.was_paused = False
        """That was ever so."""
        self.patience: asyncio.TimerHandle | None = None
        """Runs while it waits for the backup codec."""
        self.gave_up = False
        """It has waited in vain."""
        self.redundancy: Redundancy | None = None
        """Of sound: how many earlier frames go with each packet, so that what the line loses is there all the same;
        None: as many as the publisher sends."""
        self.fec_packets = 0
        """Of video: so many packets of a picture share a repair packet; 0: there are none."""
        self._accepted: AcceptedSection | None = None
        self._is_av1 = False
        self._applied: tuple[int, int, bool] | None = None
        self._applied_for: tuple[tuple[int, bool], TrackSettings] | None = None
        """What the line allowed, and what was wished for then."""
        self._picture = NOTHING
        self.switch_cause = SwitchCause.START
        self.switched_at_ms = 0
        """Why and when it was last given another target."""

    def sent_media(self) -> SentMedia:
        """What a description says of it."""
        publication = self.publication
        label = publication.stream_label
        if not label or self.receiver.client.is_firefox:
            # Firefox names received tracks itself; its SDK finds the track by the stream instead.
            label = publication.track_id
        participant_id = publication.owner.info.participant_id
        return SentMedia(
            track_id=publication.track_id,
            stream_id=f"{participant_id}|{label}",
            ssrc=self.ssrcs.media,
            rtx_ssrc=self.ssrcs.rtx,
            fec_ssrc=self.ssrcs.fec,
            cname=participant_id,
            stereo=publication.info.stereo or publication.primary.received.stereo,
            variants=self.variants(),
        )

    def can_take(self, accepted: AcceptedSection) -> bool:
        """Whether the track can go out on a section in any form, now or once the publisher sends its backup codec."""
        usable, publication = self._usable(accepted), self.publication
        if any(encoding.payloads_for(usable) for encoding in publication.encodings):
            return True
        return any(key in usable.payloads for key in publication.backup_variants)

    def _usable(self, accepted: AcceptedSection) -> AcceptedSection:
        """Without the codecs that the client cannot do, whatever it says."""
        broken = self.receiver.broken_codecs
        if not broken:
            return accepted
        payloads = {key: one for key, one in accepted.payloads.items() if VARIANTS[key].codec.value not in broken}
        return replace(accepted, payloads=payloads)

    @property
    def desired_spatial(self) -> int:
        """What the client asked for, as far as the publisher's line has room for it."""
        return min(target_layer(self.target_layers(), self.settings)[0], self.publication.ceiling)

    def variants(self) -> list[str]:
        """Codec forms to offer; empty when the client cannot do any."""
        broken = self.receiver.broken_codecs
        return [key for key in self.publication.variants() if VARIANTS[key].codec.value not in broken]

    def target_layers(self) -> tuple[VideoLayerInfo, ...]:
        return (self.encoding or self.publication.primary).target_layers()

    def wants(self) -> tuple[str, int]:
        """Codec and quality, for dynacast."""
        if self.encoding is None and self.waits_for_backup:
            return codec_name(self.publication.info.codecs[1].mime_type), HIGHEST_QUALITY
        name = (self.encoding or self.publication.primary).name
        if self.refused or self.settings.disabled:
            return name, OFF
        return name, best_quality(self.target_layers(), self.desired_spatial)

    def needs(self) -> Need | None:
        codec, quality = self.wants()
        if quality == OFF or (self._applied is not None and self._applied[2]):
            return None
        if self._applied is None:
            return Need(codec, HIGHEST_LAYER, quality) if self.waits_for_backup else None
        return Need(codec, self._applied[0], quality)

    @property
    def waits_for_backup(self) -> bool:
        """The client can receive the backup codec only, which the publisher does not send yet."""
        publication, accepted = self.publication, self._accepted
        if accepted is None or publication.backup is not None or self.gave_up:
            return False
        return any(key in accepted.payloads for key in publication.backup_variants)

    def accept(
        self, engine: EngineCommands, transport: TransportHandle, accepted: AcceptedSection, cache_packets: int
    ) -> bool:
        """The client takes it on that section. True when it starts, or starts anew in other codecs than before."""
        accepted = self._usable(accepted)
        if self.handle is not None and accepted == self._accepted and self._is_av1 is self._sends_av1():
            return False
        self._accepted = accepted
        return self.attach(engine, transport, cache_packets)

    def _sends_av1(self) -> bool:
        return self.encoding is not None and self.encoding.codec is Codec.AV1

    def best_encoding(self) -> Encoding | None:
        """The first that the client takes; None before its answer, or when there is none."""
        accepted = self._accepted
        if accepted is None:
            return None
        return next((one for one in self.publication.encodings if one.payloads_for(accepted)), None)

    def attach(self, engine: EngineCommands, transport: TransportHandle, cache_packets: int) -> bool:
        """Start to send the best encoding. False when the client takes none that there is now."""
        accepted, encoding = self._accepted, self.best_encoding()
        self.detach(engine)
        if accepted is None or encoding is None:
            self.refused = accepted is not None and not self.waits_for_backup
            return False
        self.encoding = encoding
        self.refused = False
        self._is_av1 = self._sends_av1()
        extensions = dict(accepted.extensions)
        if not self._is_av1:
            # `negotiate.offered_extensions` says why.
            extensions.pop(Extension.DEPENDENCY_DESCRIPTOR, None)
        config = SubscriptionConfig(
            ssrc=self.ssrcs.media,
            mid=accepted.mid,
            cname=self.publication.owner.info.participant_id,
            payloads=encoding.payloads_for(accepted, self.redundancy),
            rtx_ssrc=self.ssrcs.rtx if accepted.rtx else None,
            fec_ssrc=None if accepted.fec_payload_type is None else self.ssrcs.fec,
            fec_payload_type=accepted.fec_payload_type or 0,
            extensions=extensions,
            nack=accepted.nack,
            cache_packets=cache_packets,
            ccfb=accepted.ccfb,
        )
        self.handle = engine.add_subscription(transport, encoding.track, config)
        if self.fec_packets:
            engine.set_fec(self.handle, self.fec_packets)
        self.apply_settings(engine)
        return True

    def set_paused(self, paused: bool) -> None:
        """For want of room in the downlink, from the next `apply_settings` on."""
        self.paused = paused
        self.was_paused = self.was_paused or paused

    @property
    def can_add_redundancy(self) -> bool:
        """The client takes sound with and without earlier frames."""
        return self._accepted is not None and can_add_redundancy(self._accepted)

    def set_redundancy(self, engine: EngineCommands, redundancy: Redundancy | None) -> None:
        if redundancy == self.redundancy:
            return
        self.redundancy = redundancy
        if self.handle is not None and self.encoding is not None and self._accepted is not None:
            engine.set_payloads(self.handle, self.encoding.payloads_for(self._accepted, redundancy))

    @property
    def takes_fec(self) -> bool:
        """The client takes repair packets."""
        return self._accepted is not None and self._accepted.fec_payload_type is not None and self.ssrcs.fec is not None

    def set_fec(self, engine: EngineCommands, packets: int) -> None:
        if packets != self.fec_packets:
            self.fec_packets = packets
            if self.handle is not None:
                engine.set_fec(self.handle, packets)

    def stream_state(self) -> StreamState:
        publication = self.publication
        return StreamState(publication.owner.info.participant_id, publication.track_id, self.paused)

    def apply_settings(self, engine: EngineCommands) -> None:
        if self.handle is None:
            return
        target = self._target(self.allowed_spatial, self.paused)
        before, applied_for = self._applied_for, ((self.allowed_spatial, self.paused), self.settings)
        self._applied_for = applied_for
        if target != self._applied:
            self._note_switch(target, before)
            self._applied = target
            engine.set_target_layer(self.handle, target[0], target[1])
            engine.set_subscription_paused(self.handle, target[2])
            self.publication.note_target()

    def _target(self, allowed_spatial: int, paused: bool) -> tuple[int, int, bool]:
        """Spatial and temporal layer, and whether nothing is sent."""
        _, temporal = target_layer(self.target_layers(), self.settings)
        return min(self.desired_spatial, allowed_spatial), temporal, self.settings.disabled or paused

    def _note_switch(
        self, target: tuple[int, int, bool], before: tuple[tuple[int, bool], TrackSettings] | None
    ) -> None:
        started = self._applied is None or before is None
        if not started and self._applied is not None and self._applied[2] and target[2]:
            return  # Nothing was sent, and nothing is: why that is so has not changed.
        self.switched_at_ms = wall_ms()
        picture, self._picture = self._picture, self._picture_of(target)
        if started or before is None:
            self.switch_cause = SwitchCause.START
            return
        if self._target(*before[0]) != target:
            self.switch_cause = SwitchCause.LINE
        else:
            self.switch_cause = SwitchCause.SOURCE if before[1] == self.settings else SwitchCause.WISH
        if picture != self._picture and self.publication.info.kind is Kind.VIDEO:
            publication = self.publication
            self.receiver.note_switch(Switch(
                publication.track_id, publication.owner.info.identity, publication.info.source, self.switch_cause,
                picture, self._picture,
            ))  # fmt: skip

    @property
    def target_picture(self) -> Picture:
        """What it is to get."""
        return NOTHING if self._applied is None else self._picture_of(self._applied)

    def _picture_of(self, target: tuple[int, int, bool]) -> Picture:
        if target[2]:
            return NOTHING
        layers = self.target_layers()
        if not layers:
            return Picture(0, None)
        spatial = min(target[0], len(layers) - 1)
        return Picture(spatial, min(layers[spatial].width, layers[spatial].height) or None)

    def reattach(self) -> None:
        self.receiver.reattach(self)

    def renegotiate(self) -> None:
        self.receiver.mark_changed()

    def end(self) -> None:
        self.receiver.unsubscribe(self.publication.track_id)

    def detach(self, engine: EngineCommands) -> None:
        if self.handle is not None:
            engine.remove_subscription(self.handle)
            self.handle = None
        self.encoding = None
        self._applied = None

    def stop_waiting(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None

    def release(self, engine: EngineCommands) -> None:
        """It has no section any more."""
        self.stop_waiting()
        self.detach(engine)
        self._accepted = None
