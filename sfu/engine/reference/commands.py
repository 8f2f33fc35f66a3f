"""The commands of the engine: what the control plane asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sfu.engine.api import (
    MAX_WANTED_BPS,
    OutboundPayload,
    Path,
    SrtpKeys,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.reference import migration, routing
from sfu.engine.reference.bindings import refresh_declared
from sfu.engine.reference.consent import Ice
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.state import State
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Transport
from sfu.engine.reference.validation import (
    check_fec,
    check_payloads,
    check_subscription,
    check_track,
    check_transport,
)
from sfu.errors import EngineError
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle

_Handle = TypeVar("_Handle")
_Entry = TypeVar("_Entry")


def _find(table: Mapping[_Handle, _Entry], handle: _Handle, what: str) -> _Entry:
    try:
        return table[handle]
    except (KeyError, TypeError):
        raise EngineError(f"unknown {what} {handle!r}", code=f"unknown_{what}") from None


class Commands:
    """`EngineCommands` but for the figures. See `sfu.engine.api` for what every method does."""

    def __init__(self, *, seed: int) -> None:
        self._state = State(seed)
        self._paths: dict[Path, TransportHandle] = {}
        """The transport that each path leads to."""
        self._last_transport = 0
        self._last_track = 0
        self._last_subscription = 0
        self._removed_counters = [0, 0, 0, 0]
        """Those of the transports that are no more."""

    def _transport(self, handle: TransportHandle) -> Transport:
        return _find(self._state.transports, handle, "transport")

    def _track(self, handle: TrackHandle) -> Track:
        return _find(self._state.tracks, handle, "track")

    def _forwarder(self, handle: SubscriptionHandle) -> Forwarder:
        return _find(self._state.forwarders, handle, "subscription")

    # --- transports -------------------------------------------------------------------------------------------

    def add_transport(self, config: TransportConfig) -> TransportHandle:
        check_transport(config)
        self._last_transport += 1
        handle = TransportHandle(self._last_transport)
        self._state.transports[handle] = Transport(handle, config, self._state.core.random.next_bits(32))
        return handle

    def set_srtp(self, transport: TransportHandle, keys: SrtpKeys) -> None:
        state = self._transport(transport)
        if keys == state.keys:
            # The same keys again must not start the numbers again: that would repeat nonces.
            return
        is_first = state.keys is None
        state.install(keys)
        if not is_first:
            for track in [self._state.tracks[one] for one in state.tracks]:
                for stream in self._state.streams_of(track):
                    routing.restart(self._state, stream)
            for subscription in state.forwarders:
                self._state.forwarders[subscription].rekey()
        routing.refresh_transport(self._state, state)

    def allow_path(self, transport: TransportHandle, path: Path) -> None:
        state = self._transport(transport)
        owner = self._paths.get(path)
        if owner == state.handle or state.is_failed:
            return
        if owner is not None:
            self.forget_path(path)
        forgotten = state.add_path(path)
        if forgotten is not None:
            del self._paths[forgotten]
        self._paths[path] = state.handle

    def set_path(self, transport: TransportHandle, path: Path) -> None:
        state = self._transport(transport)
        self.allow_path(transport, path)
        if state.is_failed:
            return
        was_ready = state.is_ready
        state.path = path
        if not was_ready:
            routing.refresh_transport(self._state, state)

    def forget_path(self, path: Path) -> None:
        owner = self._paths.pop(path, None)
        if owner is not None:
            state = self._transport(owner)
            was_ready = state.is_ready
            state.drop_path(path)
            if was_ready and not state.is_ready:
                routing.refresh_transport(self._state, state)

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
            if self._paths.get(path) == state.handle:
                del self._paths[path]
        self._removed_counters = [before + more for before, more in zip(
            self._removed_counters, state.counters(), strict=True)]  # fmt: skip
        del self._state.transports[transport]

    def set_wanted_bitrate(self, transport: TransportHandle, bitrate_bps: int) -> None:
        state = self._transport(transport)
        if not 0 <= bitrate_bps <= MAX_WANTED_BPS:
            raise EngineError(f"nobody wants {bitrate_bps} bits per second", code="invalid_bitrate")
        state.wanted_bps = bitrate_bps
        if state.estimator is not None:
            state.estimator.probe.wanted_bps = bitrate_bps

    # --- groups -----------------------------------------------------------------------------------------------

    def set_group(self, transports: Sequence[TransportHandle], group: int) -> None:
        migration.check_group(group)
        migration.set_group(self._state, [self._transport(handle) for handle in transports], group)

    def join_groups(self, group: int, into: int) -> None:
        migration.check_group(group)
        migration.check_group(into)
        members = [state for state in self._state.transports.values() if state.config.group == group]
        migration.set_group(self._state, members, into)

    # --- tracks -----------------------------------------------------------------------------------------------

    def add_track(self, transport: TransportHandle, config: TrackConfig) -> TrackHandle:
        state = self._transport(transport)
        check_track(config)
        self._last_track += 1
        handle = TrackHandle(self._last_track)
        self._state.tracks[handle] = track = Track(state.handle, handle, config)
        state.tracks.append(handle)
        routing.configure(self._state, track, config)
        refresh_declared(self._state, state)
        return handle

    def set_track_config(self, track: TrackHandle, config: TrackConfig) -> None:
        state = self._track(track)
        check_track(config)
        for stream in routing.configure(self._state, state, config):
            routing.forget_stream(self._state, stream)
        refresh_declared(self._state, self._transport(state.transport))
        for forwarder in self._state.forwarders_of(state):
            forwarder.plan = state.plan(forwarder.config.extensions)
        routing.refresh_track(self._state, state)

    def set_track_muted(self, track: TrackHandle, muted: bool) -> None:
        state = self._track(track)
        if state.muted == muted:
            return
        state.muted = muted
        for stream in self._state.streams_of(state):
            stream.nack.clear()
            stream.cache.clear()
        routing.refresh_track(self._state, state)

    def remove_track(self, track: TrackHandle) -> None:
        state = self._track(track)
        for subscription in list(state.forwarders):
            self.remove_subscription(subscription)
        for stream in self._state.streams_of(state):
            routing.forget_stream(self._state, stream)
        transport = self._transport(state.transport)
        transport.tracks.remove(track)
        del self._state.tracks[track]
        refresh_declared(self._state, transport)

    def request_keyframe(self, track: TrackHandle, layer: int) -> None:
        state = self._track(track)
        if not 0 <= layer < len(state.streams):
            raise EngineError(f"track {track} has no layer {layer}", code="unknown_layer")
        routing.want_keyframe(self._state, self._state.streams[state.streams[layer]], is_asked=True)

    # --- subscriptions ----------------------------------------------------------------------------------------

    def add_subscription(
        self, transport: TransportHandle, track: TrackHandle, config: SubscriptionConfig
    ) -> SubscriptionHandle:
        to = self._transport(transport)
        source = self._track(track)
        if to.config.group != self._transport(source.transport).config.group:
            raise EngineError(f"transport {transport} is of another group than track {track}", code="other_group")
        others = [self._state.forwarders[one].config for one in to.forwarders]
        check_subscription(config, {ssrc for other in others for ssrc in (other.ssrc, other.rtx_ssrc, other.fec_ssrc)})
        self._last_subscription += 1
        handle = SubscriptionHandle(self._last_subscription)
        plan = source.plan(config.extensions)
        self._state.forwarders[handle] = Forwarder(self._state.core, handle, to, source.handle, config, plan)
        to.forwarders.append(handle)
        to.forwarders_by_ssrc[config.ssrc] = handle
        source.forwarders.append(handle)
        self._remember_frames(self._state.forwarders[handle])
        return handle

    def set_target_layer(self, subscription: SubscriptionHandle, spatial: int, temporal: int) -> None:
        forwarder = self._forwarder(subscription)
        if spatial < 0 or temporal < 0:
            raise EngineError("layers count from 0", code="invalid_layer")
        forwarder.target_spatial = spatial
        forwarder.target_temporal = temporal
        routing.refresh_one(self._state, forwarder)

    def set_payloads(self, subscription: SubscriptionHandle, payloads: Mapping[int, OutboundPayload]) -> None:
        forwarder = self._forwarder(subscription)
        check_payloads(payloads.values())
        forwarder.payloads = dict(payloads)
        self._remember_frames(forwarder)

    def set_fec(self, subscription: SubscriptionHandle, packets: int) -> None:
        forwarder = self._forwarder(subscription)
        check_fec(packets)
        forwarder.fec.set(packets)

    def _remember_frames(self, forwarder: Forwarder) -> None:
        """Of the track, from now on, if the subscription wants redundancy."""
        if any(one.redundancy for one in forwarder.payloads.values()):
            self._track(forwarder.track).makes_red = True

    def set_subscription_paused(self, subscription: SubscriptionHandle, paused: bool) -> None:
        forwarder = self._forwarder(subscription)
        if forwarder.paused != paused:
            forwarder.paused = paused
            routing.refresh_one(self._state, forwarder)

    def remove_subscription(self, subscription: SubscriptionHandle) -> None:
        forwarder = self._forwarder(subscription)
        transport, track = self._transport(forwarder.transport), self._track(forwarder.track)
        forwarder.retire(transport)
        self._state.core.replays.pop(subscription, None)
        del self._state.forwarders[subscription]
        transport.forwarders.remove(subscription)
        del transport.forwarders_by_ssrc[forwarder.ssrc]
        track.forwarders.remove(subscription)
        routing.refresh_routes(self._state, track)
