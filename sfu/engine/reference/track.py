"""One published track: its streams, payload types, extension ids, and who subscribes to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sfu.engine.api import Codec, Extension, InboundLayer, InboundPayload, Kind, TrackConfig
from sfu.engine.reference.levels import LevelMeter
from sfu.engine.reference.packet import ExtensionPlan, carried_extensions
from sfu.engine.reference.policing import TokenBucket
from sfu.engine.reference.stream import InboundStream

if TYPE_CHECKING:
    from sfu.engine.reference.forwarder import Forwarder
    from sfu.engine.reference.transport import Transport
    from sfu.ids import SubscriptionHandle, TrackHandle

_SVC_CODECS = (Codec.VP9, Codec.AV1)


class Track:
    """State of one track. `configure` may be called again; streams that stay keep their state."""

    __slots__ = (
        "audio_level_id",
        "bit_bucket",
        "config",
        "dd_id",
        "forwarders",
        "handle",
        "has_rids",
        "is_svc",
        "is_video",
        "levels",
        "media",
        "mid_bytes",
        "mid_id",
        "muted",
        "plans",
        "repaired_rid_id",
        "rid_id",
        "rtx",
        "streams",
        "transport",
        "twcc_id",
    )

    def __init__(self, transport: Transport, handle: TrackHandle, config: TrackConfig) -> None:
        self.transport = transport
        self.handle = handle
        self.muted = False
        self.levels = LevelMeter()
        self.streams: list[InboundStream] = []
        self.forwarders: dict[SubscriptionHandle, Forwarder] = {}
        self.config = config
        self.configure(config)

    def configure(self, config: TrackConfig) -> list[InboundStream]:
        """Take a configuration; returns the streams that are no more."""
        is_read_anew = (
            list(config.payloads) != list(self.config.payloads) or config.extensions != self.config.extensions
        )
        self.config = config
        self.is_video = config.kind is Kind.VIDEO
        self.media: dict[int, InboundPayload] = {payload.payload_type: payload for payload in config.payloads}
        self.rtx: dict[int, int] = {
            payload.rtx_payload_type: payload.payload_type
            for payload in config.payloads
            if payload.rtx_payload_type is not None
        }
        ids: Mapping[Extension, int] = config.extensions
        self.mid_id = ids.get(Extension.MID, 0)
        self.mid_bytes = None if config.mid is None else config.mid.encode()
        self.rid_id = ids.get(Extension.RID, 0)
        self.repaired_rid_id = ids.get(Extension.REPAIRED_RID, 0)
        self.twcc_id = ids.get(Extension.TRANSPORT_CC, 0)
        self.dd_id = ids.get(Extension.DEPENDENCY_DESCRIPTOR, 0)
        self.audio_level_id = ids.get(Extension.AUDIO_LEVEL, 0)
        self.has_rids = any(layer.rid is not None for layer in config.layers)
        self.is_svc = len(config.layers) == 1 and any(payload.codec in _SVC_CODECS for payload in config.payloads)
        self.plans: dict[tuple[tuple[tuple[int, int], ...], int], ExtensionPlan] = {}
        self.bit_bucket = TokenBucket(config.max_bitrate_bps)
        old = self.streams
        self.streams = [self._stream_for(layer, index, old) for index, layer in enumerate(config.layers)]
        for stream in self.streams:
            stream.cache.set_limit(config.keyframe_cache_bytes if self.is_video else 0)
            if is_read_anew:
                stream.cache.clear()
        return [stream for stream in old if stream not in self.streams]

    def _stream_for(self, layer: InboundLayer, index: int, old: list[InboundStream]) -> InboundStream:
        for stream in old:
            by_rid = layer.rid is not None and stream.config.rid == layer.rid
            by_ssrc = layer.ssrc is not None and stream.ssrc == layer.ssrc
            alone = len(old) == 1 and len(self.config.layers) == 1 and layer.rid is None and layer.ssrc is None
            if by_rid or by_ssrc or (alone and stream.config.rid is None):
                stream.config = layer
                stream.layer = index
                if stream.ssrc is None:
                    stream.ssrc = layer.ssrc
                if stream.rtx_ssrc is None:
                    stream.rtx_ssrc = layer.rtx_ssrc
                return stream
        return InboundStream(self, index, layer)

    def plan(self, outbound: Mapping[Extension, int]) -> ExtensionPlan:
        """The shared plan for a subscriber with these extension ids."""
        key = (carried_extensions(self.config.extensions, outbound), outbound.get(Extension.ABS_SEND_TIME, 0))
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = ExtensionPlan(*key, self.dd_id)
        return plan

    def refresh_routes(self) -> None:
        """Work out again who receives and who waits for which stream."""
        forwarders = self.forwarders.values()
        for stream in self.streams:
            getting = [forwarder for forwarder in forwarders if forwarder.current is stream]
            stream.receivers = [forwarder for forwarder in getting if forwarder.replay is None]
            stream.replaying = [forwarder for forwarder in getting if forwarder.replay is not None]
            stream.waiting = [
                forwarder for forwarder in forwarders if forwarder.desired is stream is not forwarder.current
            ]
