"""Data tracks: named streams of small frames on the lossy `_data_track` channel.

A frame is one or more packets with a header of 12 bytes (big-endian): version (3 bits, 0), frame marker (2 bits: 10
start, 01 final, 11 single, 00 between), extension flag and 2 reserved bits; a reserved byte; handle (16); sequence
number (16); frame number (16); timestamp (32). The publisher chooses the handle of its track, we choose one per
subscriber and put it in place of the other; all the rest, encrypted or not, goes on as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sfu.api import DataKind, DataTrackHandles, DataTrackInfo, DataTrackRequest, DataTrackSource
from sfu.control.context import ControlContext
from sfu.control.member import Member
from sfu.errors import RequestError
from sfu.ids import ParticipantId, TrackId, new_track_id
from sfu.limits import TokenBucket

SendData = Callable[[DataKind, bytes], bool]
"""To one client; False when it could not take it."""

HEADER_BYTES = 12
MAX_HANDLE = 0xFFFF
MAX_NAME_LENGTH = 256
_START_MARKER = 0b0001_0000
"""Set on the first packet of a frame."""


class DataReception(Protocol):
    """Whoever receives a data track."""

    def forward(self, packet: bytes, now_s: float) -> bool:
        """False when it could not be taken."""
        ...


class DataTrack:
    def __init__(self, owner: Member, info: DataTrackInfo) -> None:
        self.owner = owner
        self.info = info
        self._receptions: dict[ParticipantId, DataReception] = {}

    @property
    def wanted(self) -> bool:
        return bool(self._receptions)

    def add(self, receiver: ParticipantId, reception: DataReception) -> None:
        self._receptions[receiver] = reception

    def remove(self, receiver: ParticipantId) -> None:
        self._receptions.pop(receiver, None)

    def forward(self, packet: bytes, now_s: float) -> int:
        """To everyone; gives how many could not take it."""
        return sum(not reception.forward(packet, now_s) for reception in self._receptions.values())


class DataSubscription:
    def __init__(self, track: DataTrack, send: SendData, handle: int) -> None:
        self.track = track
        self.handle = handle
        self._handle_bytes = handle.to_bytes(2)
        self._send = send
        self._frames: TokenBucket | None = None
        self._passing: int | None = None
        """Number of the frame that passes now."""

    def limit(self, target_fps: int) -> None:
        """Frames per second; 0: all."""
        self._frames = TokenBucket(target_fps, 2) if target_fps else None

    def forward(self, packet: bytes, now_s: float) -> bool:
        """False when the subscriber could not take it."""
        if self._frames is not None and not self._passes(packet, self._frames, now_s):
            return True
        return self._send(DataKind.TRACK, packet[:2] + self._handle_bytes + packet[4:])

    def _passes(self, packet: bytes, frames: TokenBucket, now_s: float) -> bool:
        """Whole frames pass or do not."""
        frame = int.from_bytes(packet[6:8])
        if packet[0] & _START_MARKER and frame != self._passing:
            self._passing = frame if frames.take(now_s) else None
        return frame == self._passing


class DataPublisher:
    """The data tracks that one participant publishes."""

    def __init__(self, member: Member, context: ControlContext) -> None:
        self._member = member
        self._context = context
        self._tracks: dict[int, DataTrack] = {}
        config = context.config
        self._packets = TokenBucket(config.max_data_track_packets_per_s, config.max_data_track_packets_per_s)
        self._bytes = TokenBucket(config.max_data_track_bytes_per_s, config.max_data_track_bytes_per_s)

    @property
    def tracks(self) -> list[DataTrack]:
        return list(self._tracks.values())

    def publish(self, request: DataTrackRequest) -> DataTrack:
        """Raises not_allowed, limit_exceeded, and invalid_ or duplicate_ with handle or name."""
        if not self._member.info.permissions.can_publish_data:
            raise RequestError("not allowed to send data", code="not_allowed")
        if not 0 < request.handle <= MAX_HANDLE:
            raise RequestError(f"a handle is a number from 1 to {MAX_HANDLE}", code="invalid_handle")
        if not 0 < len(request.name) <= MAX_NAME_LENGTH:
            raise RequestError(f"a name has 1 to {MAX_NAME_LENGTH} characters", code="invalid_name")
        if request.handle in self._tracks:
            raise RequestError("the handle is in use", code="duplicate_handle")
        if any(track.info.name == request.name for track in self._tracks.values()):
            raise RequestError("the name is in use", code="duplicate_name")
        if len(self._tracks) >= self._context.config.max_data_tracks_per_participant:
            raise RequestError("too many data tracks", code="limit_exceeded")
        info = DataTrackInfo(
            track_id=new_track_id("DTR_"),
            handle=request.handle,
            name=request.name,
            encryption=request.encryption,
            frame_encoding=request.frame_encoding,
            schema=request.schema,
        )
        self._tracks[request.handle] = DataTrack(self._member, info)
        return self._tracks[request.handle]

    def unpublish(self, handle: int) -> DataTrack:
        """Raises unknown_track."""
        track = self._tracks.pop(handle, None)
        if track is None:
            raise RequestError("there is no data track of that handle", code="unknown_track")
        return track

    def close(self) -> None:
        self._tracks.clear()

    def handle_packet(self, packet: bytes) -> None:
        """A packet of this participant. What is not sound or too much is a counted drop."""
        reason = self._forward(packet)
        if reason:
            self._context.counters[f"data_track_{reason}"] += 1

    def _forward(self, packet: bytes) -> str:
        now_s = self._context.loop.time()
        if not self._packets.take(now_s) or not self._bytes.take(now_s, len(packet)):
            return "rate_limited"
        if len(packet) < HEADER_BYTES or packet[0] >> 5:
            return "malformed"
        track = self._tracks.get(int.from_bytes(packet[2:4]))
        if track is None:
            return "unknown_handle"
        dropped = track.forward(packet, now_s)
        if dropped:
            self._context.counters["data_dropped_track"] += dropped
        return ""


class DataSubscriber:
    """The data tracks that one participant receives. `review` makes a subscription what it should be now."""

    def __init__(self, member: Member, send: SendData, auto_subscribe: bool) -> None:
        self._member = member
        self._send = send
        self._auto_subscribe = auto_subscribe
        self._chosen: dict[TrackId, bool] = {}
        """What the client said itself, of tracks that are there."""
        self._target_fps: dict[TrackId, int] = {}
        self._subscriptions: dict[TrackId, DataSubscription] = {}
        self._handles: dict[TrackId, int] = {}
        self._last_handle = 0

    def choose(self, track: DataTrack, subscribe: bool, target_fps: int) -> None:
        """Raises not_allowed."""
        track_id = track.info.track_id
        if subscribe and not self._may(track):
            raise RequestError("not allowed to subscribe", code="not_allowed")
        self._chosen[track_id] = subscribe
        self._target_fps[track_id] = target_fps
        known = self._subscriptions.get(track_id) if subscribe else None
        self.review(track)
        if known is not None:
            # A client that asks again waits for an answer again.
            known.limit(target_fps)
            self._tell([known])

    def _may(self, track: DataTrack) -> bool:
        member = self._member
        return member.info.permissions.can_subscribe and track.owner.lets(member, track.info.track_id)

    def review(self, track: DataTrack) -> None:
        track_id = track.info.track_id
        wanted = self._chosen.get(track_id, self._auto_subscribe) and track.owner is not self._member
        if not (wanted and self._may(track)):
            self._end(track)
        elif track_id not in self._subscriptions:
            subscription = DataSubscription(track, self._send, self._handle_for(track_id))
            subscription.limit(self._target_fps.get(track_id, 0))
            self._subscriptions[track_id] = subscription
            track.add(self._member.info.participant_id, subscription)
            self._tell([subscription])

    def _handle_for(self, track_id: TrackId) -> int:
        """The same one again for a track that the client had before: packets of then may still be under way."""
        if track_id not in self._handles:
            taken = set(self._handles.values())
            while True:
                self._last_handle = self._last_handle % MAX_HANDLE + 1
                if self._last_handle not in taken:
                    break
            self._handles[track_id] = self._last_handle
        return self._handles[track_id]

    def _tell(self, subscriptions: list[DataSubscription]) -> None:
        handles = {}
        for subscription in subscriptions:
            publisher = subscription.track.owner.info
            handles[subscription.handle] = DataTrackSource(
                publisher.identity, publisher.participant_id, subscription.track.info.track_id
            )
        if handles:
            self._member.emit(DataTrackHandles(handles))

    def repeat(self) -> None:
        """The client was away: it may have missed a handle."""
        self._tell(list(self._subscriptions.values()))

    def _end(self, track: DataTrack) -> None:
        self._subscriptions.pop(track.info.track_id, None)
        track.remove(self._member.info.participant_id)

    def forget(self, track: DataTrack) -> None:
        """There is no such track any more."""
        self._end(track)
        for memory in (self._chosen, self._target_fps, self._handles):
            memory.pop(track.info.track_id, None)

    def close(self) -> None:
        """Nothing of what was received counts any more."""
        for subscription in list(self._subscriptions.values()):
            self.forget(subscription.track)
