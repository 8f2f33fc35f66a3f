"""The methods of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sfu.engine.api.config import OutboundPayload, Path, SrtpKeys, SubscriptionConfig, TrackConfig, TransportConfig
from sfu.engine.api.events import Event, Transmit
from sfu.engine.api.stats import AudioLevel, EngineStats
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle


class EngineCommands(Protocol):
    """What the control plane asks of an engine. Handles are per engine, from 1, never reused."""

    def add_transport(self, config: TransportConfig) -> TransportHandle: ...

    def set_srtp(self, transport: TransportHandle, keys: SrtpKeys) -> None:
        """Install keys. Calling it again (DTLS restarted) replaces them and starts fresh replay windows."""
        ...

    def allow_path(self, transport: TransportHandle, path: Path) -> None:
        """Bind `path` to the transport. A path bound elsewhere moves here."""
        ...

    def set_path(self, transport: TransportHandle, path: Path) -> None:
        """Send to `path` from now on (allowing it if it was not)."""
        ...

    def forget_path(self, path: Path) -> None:
        """A TCP connection closed. Unknown paths are ignored."""
        ...

    def set_ice(self, transport: TransportHandle, local_ufrag: str, local_pwd: str, remote_ufrag: str) -> None:
        """Answer consent checks with these credentials from now on."""
        ...

    def last_check_ns(self, transport: TransportHandle) -> int | None:
        """When the last consent check was answered here, in the time of `handle_datagram`; None before the first."""
        ...

    def has_answered(self, transport: TransportHandle, transaction_id: bytes) -> bool:
        """Whether a consent check with this transaction id was answered here: on another path it is a replay."""
        ...

    def remove_transport(self, transport: TransportHandle) -> None:
        """Forget it with its tracks and subscriptions, and the subscriptions of those tracks."""
        ...

    def set_wanted_bitrate(self, transport: TransportHandle, bitrate_bps: int) -> None:
        """What there is use for, in the measure of `EstimateChanged`; 0 (as at the beginning): no more than there is.
        As long as the estimate is below it, the line is probed. `invalid_bitrate` above `MAX_WANTED_BPS`."""
        ...

    def set_group(self, transports: Sequence[TransportHandle], group: int) -> None:
        """These transports, which are of one group, go on in another with their tracks and subscriptions. Media flows
        on, handles stay. Nothing has changed after an error: `still_subscribed` (one of them shares a subscription with
        a transport that would stay behind), `invalid_config` (not of one group, or a negative number)."""
        ...

    def join_groups(self, group: int, into: int) -> None:
        """The same for all transports of `group`; one without transports is no error."""
        ...

    def add_track(self, transport: TransportHandle, config: TrackConfig) -> TrackHandle: ...

    def set_track_config(self, track: TrackHandle, config: TrackConfig) -> None:
        """New payloads, SSRCs or extensions after renegotiation; streams whose SSRC or RID stays keep their state."""
        ...

    def set_track_muted(self, track: TrackHandle, muted: bool) -> None: ...

    def remove_track(self, track: TrackHandle) -> None: ...

    def request_keyframe(self, track: TrackHandle, layer: int) -> None: ...

    def add_subscription(
        self, transport: TransportHandle, track: TrackHandle, config: SubscriptionConfig
    ) -> SubscriptionHandle:
        """Starts paused: nothing is sent until `set_subscription_paused(…, False)`."""
        ...

    def set_target_layer(self, subscription: SubscriptionHandle, spatial: int, temporal: int) -> None: ...

    def set_payloads(self, subscription: SubscriptionHandle, payloads: Mapping[int, OutboundPayload]) -> None:
        """As in its `SubscriptionConfig`, from now on."""
        ...

    def set_fec(self, subscription: SubscriptionHandle, packets: int) -> None:
        """Of video whose subscription has a `fec_ssrc`: so many packets of a picture share a repair packet from now on,
        2 to `MAX_FEC_PACKETS`; 0, as at the beginning: there are none."""
        ...

    def set_subscription_paused(self, subscription: SubscriptionHandle, paused: bool) -> None: ...

    def remove_subscription(self, subscription: SubscriptionHandle) -> None: ...

    def audio_levels(self) -> list[AudioLevel]:
        """Levels of the audio tracks that were heard since the last call; resets them."""
        ...

    def stats(self) -> EngineStats: ...


class PacketEngine(EngineCommands, Protocol):
    """A sans-IO engine. `now_ns` is monotonic, never goes back, and any origin will do."""

    def handle_datagram(self, now_ns: int, path: Path, data: bytes) -> None: ...

    def handle_timeout(self, now_ns: int) -> None: ...

    def next_timeout_ns(self) -> int | None:
        """When `handle_timeout` is due at the latest; None when nothing is pending."""
        ...

    def poll_transmit(self) -> Transmit | None: ...

    def poll_event(self) -> Event | None: ...
