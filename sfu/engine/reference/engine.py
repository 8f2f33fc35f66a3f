"""The reference engine: the contract of `sfu.engine.api` in pure Python."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from sfu.engine.api import (
    MAX_DATAGRAM_BYTES,
    TICK_NS,
    AudioLevel,
    DtlsReceived,
    EngineStats,
    Event,
    Path,
    SrtpKeys,
    StunReceived,
    SubscriptionConfig,
    TrackConfig,
    Transmit,
    TransportConfig,
    TransportFailed,
)
from sfu.engine.reference import routing
from sfu.engine.reference.consent import Ice
from sfu.engine.reference.core import Core
from sfu.engine.reference.demux import DatagramKind, classify
from sfu.engine.reference.feedback import handle_rtcp
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.inbound import handle_rtp, send_nack
from sfu.engine.reference.replay import run_replays
from sfu.engine.reference.reports import run_reports
from sfu.engine.reference.statistics import subscription_stats, track_stats, transport_stats
from sfu.engine.reference.stream import InboundStream
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Transport
from sfu.engine.reference.validation import check_subscription, check_track, check_transport
from sfu.errors import EngineError
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle

_State = TypeVar("_State")


def _find(table: dict[int, _State], handle: int, what: str) -> _State:
    try:
        return table[handle]
    except (KeyError, TypeError):
        raise EngineError(f"unknown {what} {handle!r}", code=f"unknown_{what}") from None


class ReferenceEngine:
    """A `PacketEngine`. See `sfu.engine.api` for what every method does."""

    def __init__(self, *, seed: int) -> None:
        self._core = Core(seed)
        self._transports: dict[int, Transport] = {}
        self._tracks: dict[int, Track] = {}
        self._forwarders: dict[int, Forwarder] = {}
        self._paths: dict[Path, Transport] = {}
        self._last_transport = 0
        self._last_track = 0
        self._last_subscription = 0
        """The transport that `handle_datagram` or `handle_timeout` works for."""
        self._faults = 0
        self.last_fault: Exception | None = None
        """What was contained last: for whoever logs it."""
        self._last_timeout_ns: int | None = None
        self._removed_counters = [0, 0, 0, 0]

    # --- transports -------------------------------------------------------------------------------------------

    def add_transport(self, config: TransportConfig) -> TransportHandle:
        check_transport(config)
        self._last_transport += 1
        handle = TransportHandle(self._last_transport)
        self._transports[handle] = Transport(self._core, handle, config)
        return handle

    def set_srtp(self, transport: TransportHandle, keys: SrtpKeys) -> None:
        state = self._transport(transport)
        if keys == state.keys:
            # The same keys again must not start the numbers again: that would repeat nonces.
            return
        is_first = state.keys is None
        state.install(keys)
        if not is_first:
            for track in state.tracks.values():
                for stream in track.streams:
                    routing.restart(self._core, stream)
            for forwarder in state.forwarders.values():
                forwarder.rekey()
        self._refresh_transport(state)

    def allow_path(self, transport: TransportHandle, path: Path) -> None:
        state = self._transport(transport)
        owner = self._paths.get(path)
        if owner is state or state.is_failed:
            return
        if owner is not None:
            self.forget_path(path)
        forgotten = state.add_path(path)
        if forgotten is not None:
            del self._paths[forgotten]
        self._paths[path] = state

    def set_path(self, transport: TransportHandle, path: Path) -> None:
        state = self._transport(transport)
        self.allow_path(transport, path)
        if state.is_failed:
            return
        was_ready = state.is_ready
        state.path = path
        if not was_ready:
            self._refresh_transport(state)

    def forget_path(self, path: Path) -> None:
        state = self._paths.pop(path, None)
        if state is not None:
            was_ready = state.is_ready
            state.drop_path(path)
            if was_ready and not state.is_ready:
                self._refresh_transport(state)

    def set_ice(self, transport: TransportHandle, local_ufrag: str, local_pwd: str, remote_ufrag: str) -> None:
        state = self._transport(transport)
        state.ice = Ice(local_ufrag, local_pwd, remote_ufrag, state.ice)

    def last_check_ns(self, transport: TransportHandle) -> int | None:
        ice = self._transport(transport).ice
        return None if ice is None else ice.checked_at_ns

    def has_answered(self, transport: TransportHandle, transaction_id: bytes) -> bool:
        ice = self._transport(transport).ice
        return ice is not None and transaction_id in ice.answered

    def inject_fault(self, transport: TransportHandle) -> None:
        """Work for this transport fails from now on, as by a defect. For tests of what happens then."""
        self._transport(transport).is_faulty = True

    def remove_transport(self, transport: TransportHandle) -> None:
        state = self._transport(transport)
        for track in list(state.tracks):
            self.remove_track(track)
        for subscription in list(state.forwarders):
            self.remove_subscription(subscription)
        for path in state.paths:
            # That of a failed transport may be another one's by now.
            if self._paths.get(path) is state:
                del self._paths[path]
        self._removed_counters = [before + more for before, more in zip(
            self._removed_counters, state.counters(), strict=True)]  # fmt: skip
        del self._transports[transport]

    # --- groups -----------------------------------------------------------------------------------------------

    def set_group(self, transports: Sequence[TransportHandle], group: int) -> None:
        self._check_group(group)
        self._regroup([self._transport(handle) for handle in transports], group)

    def join_groups(self, group: int, into: int) -> None:
        self._check_group(group)
        self._check_group(into)
        self._regroup([state for state in self._transports.values() if state.config.group == group], into)

    def _check_group(self, group: int) -> None:
        if group < 0:
            raise EngineError("a group is not negative", code="invalid_config")

    def _regroup(self, states: list[Transport], group: int) -> None:
        if len({state.config.group for state in states}) > 1:
            raise EngineError("transports that move together are of one group", code="invalid_config")
        for state in states:
            takers = (forwarder.transport for track in state.tracks.values() for forwarder in track.forwarders.values())
            givers = (forwarder.track.transport for forwarder in state.forwarders.values())
            if any(other not in states for other in itertools.chain(takers, givers)):
                words = f"transport {state.handle} shares a subscription with one that stays behind"
                raise EngineError(words, code="still_subscribed")
        for state in states:
            state.config = replace(state.config, group=group)

    # --- tracks -----------------------------------------------------------------------------------------------

    def add_track(self, transport: TransportHandle, config: TrackConfig) -> TrackHandle:
        state = self._transport(transport)
        check_track(config)
        self._last_track += 1
        handle = TrackHandle(self._last_track)
        self._tracks[handle] = state.tracks[handle] = Track(state, handle, config)
        state.refresh_declared()
        return handle

    def set_track_config(self, track: TrackHandle, config: TrackConfig) -> None:
        state = self._track(track)
        check_track(config)
        for stream in state.configure(config):
            self._forget_stream(stream)
        state.transport.refresh_declared()
        for forwarder in state.forwarders.values():
            forwarder.refresh_plan()
        routing.refresh_track(self._core, state)

    def set_track_muted(self, track: TrackHandle, muted: bool) -> None:
        state = self._track(track)
        if state.muted == muted:
            return
        state.muted = muted
        for stream in state.streams:
            stream.nack.clear()
            stream.cache.clear()
        routing.refresh_track(self._core, state)

    def remove_track(self, track: TrackHandle) -> None:
        state = self._track(track)
        for subscription in list(state.forwarders):
            self.remove_subscription(subscription)
        for stream in state.streams:
            self._forget_stream(stream)
        del state.transport.tracks[track]
        del self._tracks[track]
        state.transport.refresh_declared()

    def request_keyframe(self, track: TrackHandle, layer: int) -> None:
        state = self._track(track)
        if not 0 <= layer < len(state.streams):
            raise EngineError(f"track {track} has no layer {layer}", code="unknown_layer")
        routing.want_keyframe(self._core, state.streams[layer], is_asked=True)

    # --- subscriptions ----------------------------------------------------------------------------------------

    def add_subscription(
        self, transport: TransportHandle, track: TrackHandle, config: SubscriptionConfig
    ) -> SubscriptionHandle:
        to = self._transport(transport)
        source = self._track(track)
        if to.config.group != source.transport.config.group:
            raise EngineError(f"transport {transport} is of another group than track {track}", code="other_group")
        check_subscription(to, config)
        self._last_subscription += 1
        handle = SubscriptionHandle(self._last_subscription)
        forwarder = Forwarder(self._core, handle, to, source, config)
        self._forwarders[handle] = to.forwarders[handle] = source.forwarders[handle] = forwarder
        to.forwarders_by_ssrc[config.ssrc] = forwarder
        return handle

    def set_target_layer(self, subscription: SubscriptionHandle, spatial: int, temporal: int) -> None:
        forwarder = self._forwarder(subscription)
        if spatial < 0 or temporal < 0:
            raise EngineError("layers count from 0", code="invalid_layer")
        forwarder.target_spatial = spatial
        forwarder.target_temporal = temporal
        self._refresh(forwarder)

    def set_subscription_paused(self, subscription: SubscriptionHandle, paused: bool) -> None:
        forwarder = self._forwarder(subscription)
        if forwarder.paused != paused:
            forwarder.paused = paused
            self._refresh(forwarder)

    def remove_subscription(self, subscription: SubscriptionHandle) -> None:
        forwarder = self._forwarder(subscription)
        forwarder.retire()
        self._core.replays.pop(forwarder, None)
        del self._forwarders[subscription]
        del forwarder.track.forwarders[subscription]
        del forwarder.transport.forwarders[subscription]
        del forwarder.transport.forwarders_by_ssrc[forwarder.ssrc]
        forwarder.track.refresh_routes()

    # --- figures ----------------------------------------------------------------------------------------------

    def audio_levels(self) -> list[AudioLevel]:
        return [AudioLevel(track.handle, *track.levels.take()) for track in self._tracks.values() if track.levels.heard]

    def stats(self) -> EngineStats:
        totals = list(self._removed_counters)
        for transport in self._transports.values():
            totals = [before + more for before, more in zip(totals, transport.counters(), strict=True)]
        return EngineStats(
            transports=[transport_stats(transport) for transport in self._transports.values()],
            tracks=[track_stats(track) for track in self._tracks.values()],
            subscriptions=subscription_stats(self._forwarders.values()),
            drops=dict(self._core.drops),
            checks_answered=self._core.checks_answered,
            faults=self._faults,
            packets_received=totals[0],
            packets_sent=totals[1],
            bytes_received=totals[2],
            bytes_sent=totals[3],
        )

    # --- packets and time -------------------------------------------------------------------------------------

    def handle_datagram(self, now_ns: int, path: Path, data: bytes) -> None:
        self._core.working_for = None
        try:
            self._work_on_datagram(now_ns, path, data)
        except Exception as error:
            self._contain(error)

    def handle_timeout(self, now_ns: int) -> None:
        self._core.working_for = None
        try:
            self._work_on_time(now_ns)
        except Exception as error:
            self._contain(error)

    def _contain(self, error: Exception) -> None:
        """A fault of ours ends the transport that it happened for, and nothing else."""
        self._faults += 1
        self.last_fault = error
        transport = self._core.working_for
        if transport is None:
            return
        transport.is_failed = True
        transport.path = None
        for path in transport.paths:
            if self._paths.get(path) is transport:
                del self._paths[path]
        self._core.events.append(TransportFailed(transport.handle))
        # What the fault left may be such that this fails too; then the subscriptions stop with their transport.
        with contextlib.suppress(Exception):
            self._refresh_transport(transport)

    def _work_on_datagram(self, now_ns: int, path: Path, data: bytes) -> None:
        core = self._core
        size = len(data)
        if size > MAX_DATAGRAM_BYTES:
            core.drops["too_long"] += 1
            return
        kind = classify(data)
        if kind is DatagramKind.STUN:
            core.working_for = transport = self._paths.get(path)
            if transport is not None and transport.answer_check(now_ns, path, data):
                return
            core.events.append(StunReceived(path, data))
            return
        if kind is DatagramKind.NOT_RTC:
            core.drops["not_rtc"] += 1
            return
        transport = self._paths.get(path)
        if transport is None:
            core.drops["unknown_path"] += 1
            return
        core.working_for = transport
        if kind is DatagramKind.DTLS:
            core.events.append(DtlsReceived(transport.handle, path, data))
            return
        transport.packets_received += 1
        transport.bytes_received += size
        transport.work()
        if kind is DatagramKind.RTP:
            handle_rtp(core, now_ns, transport, data)
        else:
            handle_rtcp(core, now_ns, transport, data)
        if core.keyframes_wanted:
            routing.send_keyframe_requests(core, now_ns)

    def _work_on_time(self, now_ns: int) -> None:
        self._last_timeout_ns = now_ns
        core = self._core
        for track in self._tracks.values():
            if track.transport.is_failed:
                continue
            core.working_for = track.transport
            if len(track.streams) > 1:
                routing.refresh_activity(core, now_ns, track)
            for stream in track.streams:
                if stream.nack:
                    send_nack(stream, stream.nack.due(now_ns, packet_followed=False))
        run_replays(core, now_ns)
        for transport in self._transports.values():
            if transport.is_failed:
                continue
            core.working_for = transport
            transport.work()
            if transport.arrivals.is_due(now_ns):
                for feedback in transport.arrivals.build(now_ns, transport.local_ssrc, transport.last_media_ssrc):
                    transport.send_rtcp(feedback)
            run_reports(now_ns, transport)
        routing.send_keyframe_requests(core, now_ns)

    def next_timeout_ns(self) -> int | None:
        if not self._transports:
            return None
        return 0 if self._last_timeout_ns is None else self._last_timeout_ns + TICK_NS

    def poll_transmit(self) -> Transmit | None:
        return self._core.pacer.poll()

    def poll_event(self) -> Event | None:
        events = self._core.events
        return events.popleft() if events else None

    # --- inside -----------------------------------------------------------------------------------------------

    def _transport(self, handle: TransportHandle) -> Transport:
        return _find(self._transports, handle, "transport")

    def _track(self, handle: TrackHandle) -> Track:
        return _find(self._tracks, handle, "track")

    def _forwarder(self, handle: SubscriptionHandle) -> Forwarder:
        return _find(self._forwarders, handle, "subscription")

    def _refresh(self, forwarder: Forwarder) -> None:
        routing.refresh(self._core, forwarder)
        forwarder.track.refresh_routes()

    def _refresh_transport(self, transport: Transport) -> None:
        """The transport became able to send, or unable: its subscriptions start or stop."""
        for forwarder in transport.forwarders.values():
            self._refresh(forwarder)

    def _forget_stream(self, stream: InboundStream) -> None:
        self._core.keyframes_wanted.pop(stream, None)
        stream.track.transport.unbind(stream)
        for forwarder in stream.track.forwarders.values():
            forwarder.timeline.forget_source(stream)
            if forwarder.current is stream:
                routing.stop(self._core, forwarder)
