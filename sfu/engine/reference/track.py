"""One published track: its streams, payload types, extension ids, and who subscribes to it."""

from __future__ import annotations

from collections.abc import Mapping

from sfu.engine.api import Codec, Extension, InboundPayload, Kind, TrackConfig
from sfu.engine.reference.levels import LevelMeter
from sfu.engine.reference.packet import ExtensionPlan, carried_extensions
from sfu.engine.reference.policing import TokenBucket
from sfu.engine.reference.slots import StreamSlot
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle

_SVC_CODECS = (Codec.VP9, Codec.AV1)


class Track:
    """State of one track."""

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
        "makes_red",
        "media",
        "mid_bytes",
        "mid_id",
        "muted",
        "plans",
        "repaired_rid_id",
        "rid_id",
        "rtx",
        "send_time_id",
        "streams",
        "transport",
        "twcc_id",
    )

    def __init__(self, transport: TransportHandle, handle: TrackHandle, config: TrackConfig) -> None:
        self.transport = transport
        self.handle = handle
        self.muted = False
        self.makes_red = False
        """Some subscription has wanted redundancy: frames are remembered."""
        self.levels = LevelMeter()
        self.streams: list[StreamSlot] = []
        """By layer."""
        self.forwarders: list[SubscriptionHandle] = []
        self.set_config(config)

    def set_config(self, config: TrackConfig) -> None:
        """The streams are for the caller to bring in line."""
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
        self.send_time_id = ids.get(Extension.ABS_SEND_TIME, 0)
        self.twcc_id = ids.get(Extension.TRANSPORT_CC, 0)
        self.dd_id = ids.get(Extension.DEPENDENCY_DESCRIPTOR, 0)
        self.audio_level_id = ids.get(Extension.AUDIO_LEVEL, 0)
        self.has_rids = any(layer.rid is not None for layer in config.layers)
        self.is_svc = len(config.layers) == 1 and any(payload.codec in _SVC_CODECS for payload in config.payloads)
        self.plans: dict[tuple[tuple[tuple[int, int], ...], int], ExtensionPlan] = {}
        self.bit_bucket = TokenBucket(config.max_bitrate_bps)

    def plan(self, outbound: Mapping[Extension, int]) -> ExtensionPlan:
        """The shared plan for a subscriber with these extension ids."""
        key = (carried_extensions(self.config.extensions, outbound), outbound.get(Extension.ABS_SEND_TIME, 0))
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = ExtensionPlan(*key, self.dd_id)
        return plan
