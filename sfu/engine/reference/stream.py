"""One inbound stream: sequence numbers seen, losses, jitter, keyframes, who receives it."""

from __future__ import annotations

from sfu.engine.api import InboundLayer
from sfu.engine.reference.frame_info import CodecState
from sfu.engine.reference.keyframe_cache import KeyframeCache
from sfu.engine.reference.layers import Tops
from sfu.engine.reference.nack import MAX_GAP, NackRegister
from sfu.engine.reference.picture_edges import PictureEdges
from sfu.engine.reference.reception import ReceptionStatistics
from sfu.engine.reference.red import FrameHistory
from sfu.engine.reference.slots import StreamSlot
from sfu.ids import SubscriptionHandle, TrackHandle

WINDOW = 1024
"""Sequence numbers below the highest in which duplicates are told from late packets."""

MIN_SAMPLE_NS = 800_000_000
_NS_PER_S = 1_000_000_000

NEW, LATE, DUPLICATE, TOO_OLD, RESET = range(5)


class SenderReportReceived:
    """The last sender report of a stream and when it arrived."""

    __slots__ = ("arrived_at_ns", "ntp", "rtp_timestamp")

    def __init__(self, ntp: int, rtp_timestamp: int, arrived_at_ns: int) -> None:
        self.ntp = ntp
        self.rtp_timestamp = rtp_timestamp
        self.arrived_at_ns = arrived_at_ns


class InboundStream:
    """One SSRC (with its RTX) of a track: a simulcast layer, or everything there is."""

    __slots__ = (
        "_bytes_sampled",
        "_sampled_at_ns",
        "bitrate_bps",
        "cache",
        "clock_rate",
        "codec_state",
        "config",
        "edges",
        "frames",
        "highest",
        "is_fresh",
        "keyframe_timestamp",
        "keyframes",
        "last_packet_at_ns",
        "last_pli_at_ns",
        "layer",
        "nack",
        "nacks_sent",
        "picture_highest",
        "plis_sent",
        "receivers",
        "reception",
        "replaying",
        "rtx_ssrc",
        "seen",
        "sender_report",
        "slot",
        "ssrc",
        "started",
        "top_spatial",
        "top_temporal",
        "track",
        "waiting",
    )

    def __init__(self, slot: StreamSlot, track: TrackHandle, layer: int, config: InboundLayer) -> None:
        self.slot = slot
        self.track = track
        self.layer = layer
        self.config = config
        self.ssrc = config.ssrc
        self.rtx_ssrc = config.rtx_ssrc
        self.started = False
        self.is_fresh = False
        self.last_packet_at_ns = 0
        self.last_pli_at_ns: int | None = None
        self.plis_sent = 0
        self.nacks_sent = 0
        self.keyframes = 0
        self.bitrate_bps = 0
        self._bytes_sampled = 0
        self._sampled_at_ns: int | None = None
        self.clock_rate = 90_000
        self.reception = ReceptionStatistics()
        self.receivers: list[SubscriptionHandle] = []
        """Subscriptions that get this stream now, in the order of their handles."""
        self.waiting: list[SubscriptionHandle] = []
        """Subscriptions that go over to this stream at its next keyframe."""
        self.replaying: list[SubscriptionHandle] = []
        """Subscriptions that get what this stream was a while ago, and are catching up."""
        self.cache = KeyframeCache()
        self.reset()

    def reset(self) -> None:
        """Forget the past of the sequence: what comes next has nothing to do with it."""
        self.highest = -1
        self.seen = [-1] * WINDOW
        self.nack = NackRegister()
        self.codec_state = CodecState()
        self.edges = PictureEdges()
        self.picture_highest = -1
        self.keyframe_timestamp = -1
        self.top_temporal = 0
        self.top_spatial = 0
        self.sender_report: SenderReportReceived | None = None
        self.cache.clear()
        self.frames = FrameHistory()

    @property
    def tops(self) -> Tops:
        return Tops(self.top_spatial, self.top_temporal)

    def register(self, ext_seq: int) -> int:
        """Tell what `ext_seq` is, and remember it if it is `NEW` or `LATE`: `DUPLICATE`, `TOO_OLD`, or `RESET` for a
        jump that needs `reset` first. `highest` is for the caller to move, once it has looked at the gap."""
        highest = self.highest
        if ext_seq > highest:
            if highest < 0:
                self.reception.begin(ext_seq)
            elif ext_seq - highest - 1 > MAX_GAP:
                return RESET
            self.seen[ext_seq % WINDOW] = ext_seq
            return NEW
        if ext_seq <= highest - WINDOW:
            return TOO_OLD
        if self.seen[ext_seq % WINDOW] == ext_seq:
            return DUPLICATE
        self.seen[ext_seq % WINDOW] = ext_seq
        return LATE

    def extend_seq(self, seq: int) -> int:
        """The extended number nearest to the highest one (for the OSN of RTX)."""
        return self.highest + ((seq - self.highest + 0x8000) & 0xFFFF) - 0x8000

    def extend_picture(self, picture_id: int, bits: int) -> int:
        """The extended picture id nearest to the highest one; the first starts a wrap above zero."""
        size = 1 << bits
        highest = self.picture_highest
        if highest < 0:
            picture = size + picture_id
        else:
            picture = highest + ((picture_id - highest + size // 2) & (size - 1)) - size // 2
        if picture > highest:
            self.picture_highest = picture
        return picture

    def begin_samples(self, now_ns: int) -> None:
        """A packet has come after none did: the bitrate counts from here when it is the first one."""
        if self._sampled_at_ns is None:
            self._sampled_at_ns = now_ns

    def sample_bitrate(self, now_ns: int) -> None:
        """Measure the bitrate since the last call, which was about a second ago. Of less time it says nothing: a stream
        begins with a keyframe."""
        if self._sampled_at_ns is None:
            return
        elapsed_ns = now_ns - self._sampled_at_ns
        if elapsed_ns >= MIN_SAMPLE_NS:
            received = self.reception.bytes_received
            self.bitrate_bps = (received - self._bytes_sampled) * 8 * _NS_PER_S // elapsed_ns
            self._bytes_sampled = received
            self._sampled_at_ns = now_ns
