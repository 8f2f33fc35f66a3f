"""Everything that the engine knows: what its parts share, and the tables."""

from __future__ import annotations

from sfu.engine.api import InboundLayer
from sfu.engine.reference.core import Core
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.slots import StreamSlot
from sfu.engine.reference.stream import InboundStream
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Transport
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle


class State:
    """The tables, in the order of their handles. What is in them points to the rest by handle."""

    __slots__ = ("_last_stream", "core", "forwarders", "streams", "tracks", "transports")

    def __init__(self, seed: int) -> None:
        self.core = Core(seed)
        self.transports: dict[TransportHandle, Transport] = {}
        self.tracks: dict[TrackHandle, Track] = {}
        self.streams: dict[StreamSlot, InboundStream] = {}
        self.forwarders: dict[SubscriptionHandle, Forwarder] = {}
        self._last_stream = 0

    def add_stream(self, track: TrackHandle, layer: int, config: InboundLayer) -> InboundStream:
        self._last_stream += 1
        slot = StreamSlot(self._last_stream)
        stream = self.streams[slot] = InboundStream(slot, track, layer, config)
        return stream

    def streams_of(self, track: Track) -> list[InboundStream]:
        """By layer."""
        return [self.streams[slot] for slot in track.streams]

    def forwarders_of(self, track: Track) -> list[Forwarder]:
        """The subscriptions of a track, in the order of their handles."""
        return [self.forwarders[handle] for handle in track.forwarders]

    def is_active(self, stream: InboundStream) -> bool:
        """Younger than 2 s, or no better off than the others."""
        return stream.is_fresh or not self.has_fresh_stream(self.tracks[stream.track])

    def has_fresh_stream(self, track: Track) -> bool:
        """Whether a stream of the track is younger than 2 s."""
        return any(self.streams[slot].is_fresh for slot in track.streams)
