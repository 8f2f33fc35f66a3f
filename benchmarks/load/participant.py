"""What every simulated participant has, whatever protocol it signals with."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load.media import Clip
from benchmarks.load.sdp import (
    AUDIO_EXTENSIONS,
    PAYLOAD_TYPES,
    VIDEO_EXTENSIONS,
    IncomingStream,
    OutgoingTrack,
)
from benchmarks.load.transport import Generator, MediaTransport
from sfu.engine.api import Extension

SPOKEN_LEVEL = bytes((0x80 | 30,))
"""RFC 6464: voice at -30 dBov."""


@dataclass(slots=True)
class Timings:
    """On the monotonic clock, in seconds; 0 when it did not happen."""

    started_s: float = 0.0
    signalled_s: float = 0.0
    """The server has answered the join."""
    connected_s: float = 0.0
    """Media can flow: keys are there on the transport that receives (or sends, for who only publishes)."""

    @property
    def join_s(self) -> float | None:
        return self.connected_s - self.started_s if self.connected_s else None


@dataclass(slots=True)
class Figures:
    """Sums over the streams of one participant, taken before its transports close."""

    receivers: list[dict[str, Any]] = field(default_factory=list)
    senders: list[dict[str, Any]] = field(default_factory=list)
    auth_failures: int = 0
    unknown_ssrc: int = 0
    link_drops: int = 0


@dataclass(frozen=True, slots=True)
class Seat:
    """Who joins. `room` and `number` count from 0."""

    room: int
    number: int
    publish: Sequence[Sequence[Clip]]
    """Tracks, each the clips of its layers."""
    subscribe: bool
    sample: bool
    """Whether a video that it receives is kept, to be decoded."""
    start_in_s: float
    """From the connection to the first packet."""
    heeds_wishes: bool = False
    """Whether layers that nobody wants are not sent (dynacast)."""


class MediaParticipant(ABC):
    """Transports, streams and figures; a subclass signals."""

    def __init__(self, generator: Generator, *, nack: bool, sample: bool) -> None:
        self.generator = generator
        self.timings = Timings()
        self.transports: list[MediaTransport] = []
        self.sampled: tuple[int, int] | None = None
        """(peer, receiver) whose frames are kept for a decoder."""
        self._nack, self._sample = nack, sample
        self._receivers: dict[tuple[int, int], int] = {}
        self._senders: dict[str, list[int]] = {}
        """By cid, those of the layers, lowest first."""

    @abstractmethod
    async def join(self) -> None:
        """Raises `LoadError`."""

    @abstractmethod
    async def leave(self) -> None:
        """Idempotent; also after a join that failed."""

    def mark_started(self) -> None:
        self.timings.started_s = time.monotonic()

    def send_tracks(self, transport: MediaTransport, tracks: Sequence[OutgoingTrack], start_in_s: float) -> None:
        """Begin to send on a connected transport, `start_in_s` from now."""
        for track in tracks:
            payload_type, rtx_type = PAYLOAD_TYPES[track.codec]
            extensions = VIDEO_EXTENSIONS if track.is_video else AUDIO_EXTENSIONS
            for clip, ssrc, rtx_ssrc in zip(track.clips, track.ssrcs, track.rtx_ssrcs, strict=True):
                elements = [(extensions[Extension.MID], track.mid.encode())]
                if not track.is_video:
                    elements.append((extensions[Extension.AUDIO_LEVEL], SPOKEN_LEVEL))
                if clip.layer is not None and clip.layer.rid:
                    elements.append((extensions[Extension.RID], clip.layer.rid.encode()))
                sender = self.generator.native.add_sender(
                    transport.peer,
                    self.generator.clip_number(clip),
                    round(start_in_s * 1e9),
                    ssrc=ssrc,
                    payload_type=payload_type,
                    # Simulcast streams name themselves by RID only, which their RTX would have to repeat.
                    rtx=None if rtx_type is None or len(track.clips) > 1 else (rtx_ssrc, rtx_type),
                    extensions=elements,
                    abs_send_time_id=extensions.get(Extension.ABS_SEND_TIME, 0),
                    twcc_id=extensions[Extension.TRANSPORT_CC],
                )
                self._senders.setdefault(track.cid, []).append(sender)

    def expect(self, transport: MediaTransport, streams: Sequence[IncomingStream]) -> None:
        """From now on these streams, and no others, come on the transport."""
        wanted = {(transport.peer, stream.ssrc): stream for stream in streams}
        for key, number in list(self._receivers.items()):
            if key[0] == transport.peer and key not in wanted:
                self.generator.native.end_receiver(transport.peer, number)
                del self._receivers[key]
        for key, stream in wanted.items():
            if key in self._receivers:
                continue
            sample = self._sample and stream.is_video and self.sampled is None
            number = self.generator.native.add_receiver(
                transport.peer,
                ssrc=stream.ssrc,
                rtx_ssrc=stream.rtx_ssrc,
                payloads=list(stream.payloads),
                clock_rate=stream.clock_rate,
                nack=self._nack,
                sample=sample,
            )
            self._receivers[key] = number
            if sample:
                self.sampled = transport.peer, number

    def figures(self) -> Figures:
        total = Figures()
        for transport in self.transports:
            if not transport.peer:
                continue
            stats = self.generator.native.peer_stats(transport.peer)
            total.receivers += stats["receivers"]
            total.senders += stats["senders"]
            total.auth_failures += stats["auth_failures"]
            total.unknown_ssrc += stats["unknown_ssrc"]
            total.link_drops += stats["link_drops"]
        return total
