"""The reference engine: the contract of `sfu.engine.api` in pure Python."""

from __future__ import annotations

import contextlib

from sfu.engine.api import (
    MAX_DATAGRAM_BYTES,
    AudioLevel,
    DtlsReceived,
    EngineStats,
    Event,
    Path,
    StunReceived,
    Transmit,
    TransportFailed,
)
from sfu.engine.reference import clock, routing
from sfu.engine.reference.commands import Commands
from sfu.engine.reference.demux import DatagramKind, classify
from sfu.engine.reference.feedback import handle_rtcp
from sfu.engine.reference.inbound import handle_rtp
from sfu.engine.reference.statistics import subscription_stats, track_stats, transport_stats


class ReferenceEngine(Commands):
    """A `PacketEngine`. See `sfu.engine.api` for what every method does."""

    def __init__(self, *, seed: int) -> None:
        super().__init__(seed=seed)
        self._faults = 0
        self.last_fault: Exception | None = None
        """What was contained last: for whoever logs it."""

    # --- figures ----------------------------------------------------------------------------------------------

    def audio_levels(self) -> list[AudioLevel]:
        tracks = self._state.tracks.values()
        return [AudioLevel(track.handle, *track.levels.take()) for track in tracks if track.levels.heard]

    def stats(self) -> EngineStats:
        state = self._state
        totals = list(self._removed_counters)
        for transport in state.transports.values():
            totals = [before + more for before, more in zip(totals, transport.counters(), strict=True)]
        return EngineStats(
            transports=[transport_stats(transport) for transport in state.transports.values()],
            tracks=[track_stats(state, track) for track in state.tracks.values()],
            subscriptions=subscription_stats(state.forwarders.values()),
            drops=dict(state.core.drops),
            checks_answered=state.core.checks_answered,
            faults=self._faults,
            packets_received=totals[0],
            packets_sent=totals[1],
            bytes_received=totals[2],
            bytes_sent=totals[3],
        )

    # --- packets and time -------------------------------------------------------------------------------------

    def handle_datagram(self, now_ns: int, path: Path, data: bytes) -> None:
        self._state.core.working_for = None
        try:
            self._work_on_datagram(now_ns, path, data)
        except Exception as error:
            self._contain(error)

    def handle_timeout(self, now_ns: int) -> None:
        self._state.core.working_for = None
        self._state.core.tick(now_ns)
        try:
            clock.run(self._state, now_ns)
        except Exception as error:
            self._contain(error)

    def _contain(self, error: Exception) -> None:
        """A fault of ours ends the transport that it happened for, and nothing else."""
        self._faults += 1
        self.last_fault = error
        handle = self._state.core.working_for
        if handle is None:
            return
        transport = self._state.transports[handle]
        transport.is_failed = True
        transport.path = None
        for path in transport.paths:
            if self._paths.get(path) == handle:
                del self._paths[path]
        self._state.core.events.append(TransportFailed(handle))
        # What the fault left may be such that this fails too; then the subscriptions stop with their transport.
        with contextlib.suppress(Exception):
            routing.refresh_transport(self._state, transport)

    def _work_on_datagram(self, now_ns: int, path: Path, data: bytes) -> None:
        state = self._state
        core = state.core
        size = len(data)
        if size > MAX_DATAGRAM_BYTES:
            core.drops["too_long"] += 1
            return
        kind = classify(data)
        if kind is DatagramKind.STUN:
            self._work_on_stun(now_ns, path, data)
            return
        if kind is DatagramKind.NOT_RTC:
            core.drops["not_rtc"] += 1
            return
        handle = self._paths.get(path)
        if handle is None:
            core.drops["unknown_path"] += 1
            return
        core.working_for = handle
        if kind is DatagramKind.DTLS:
            core.events.append(DtlsReceived(handle, path, data))
            return
        transport = state.transports[handle]
        transport.packets_received += 1
        transport.bytes_received += size
        transport.work()
        if kind is DatagramKind.RTP:
            handle_rtp(state, now_ns, transport, data)
        else:
            handle_rtcp(state, now_ns, transport, data)
        if core.keyframes_wanted:
            routing.send_keyframe_requests(state, now_ns)

    def _work_on_stun(self, now_ns: int, path: Path, data: bytes) -> None:
        """Consent checks are answered here, the rest goes up."""
        core = self._state.core
        core.working_for = handle = self._paths.get(path)
        transport = None if handle is None else self._state.transports[handle]
        if transport is None or not transport.answer_check(core, now_ns, path, data):
            core.events.append(StunReceived(path, data))

    def next_timeout_ns(self) -> int | None:
        return self._state.core.latest_tick_ns() if self._state.transports else None

    def poll_transmit(self) -> Transmit | None:
        return self._state.core.outgoing.poll()

    def poll_event(self) -> Event | None:
        events = self._state.core.events
        return events.popleft() if events else None
