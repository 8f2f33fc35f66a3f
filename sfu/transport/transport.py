"""One transport: the ICE, DTLS and SCTP of one association with a peer, around one engine transport."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from pyee.base import EventEmitter

from sfu.api import DataKind
from sfu.engine.api import DataLink, EngineRuntime, Path, SrtpKeys, TransportConfig
from sfu.errors import SdpError
from sfu.sdp.model import IceCredentials, LocalCandidate, LocalTransport, RemoteTransport, Setup
from sfu.transport.certificate import SUPPORTED_DIGESTS, Certificate
from sfu.transport.channels import Channels, ChannelsConfig
from sfu.transport.ice_lite import IceRegistry
from sfu.transport.settings import TransportSettings

if TYPE_CHECKING:
    from sfu.transport.dtls import DtlsAssociation

logger = logging.getLogger(__name__)

MAX_EARLY_DATAGRAMS = 8
"""DTLS datagrams kept that overtook the description which says how to read them."""


class TransportRole(StrEnum):
    """What the participant does on it."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


class TransportEvents(StrEnum):
    """Names of the events on `Transport.events`, with the arguments of their handlers."""

    CONNECTED = "connected"
    """(): DTLS finished and the SRTP keys are in the engine; again after a new DTLS association."""
    CLOSED = "closed"
    """(reason: str), exactly once, the last event: closed (by us), peer_closed, setup_timeout, consent_lost,
    fingerprint_mismatch, dtls_failed, engine_fault."""
    DATA = "data"
    """(kind: DataKind, payload: bytes): a message of the peer."""
    DATA_READY = "data_ready"
    """(): the reliable and the lossy data channel are open; again when another reliable one has taken the place of the
    first."""


class Transport:
    """Owns its engine transport, ICE agent, DTLS association and data channels; its owner calls `close`.

    The peer's first authenticated nomination plus its description (`set_remote`), in either order, start DTLS.
    Used from the event loop's thread only.
    """

    def __init__(
        self,
        *,
        role: TransportRole,
        runtime: EngineRuntime,
        registry: IceRegistry,
        certificate: Certificate,
        candidates: Sequence[LocalCandidate],
        config: TransportSettings,
        engine_config: TransportConfig,
    ) -> None:
        self.role = role
        self.events = EventEmitter()
        self.connected = False
        self.counters: Counter[str] = Counter()
        """Faults and drops of this transport by reason."""
        self._runtime = runtime
        self._registry = registry
        self._certificate = certificate
        self._candidates = tuple(candidates)
        self._config = config
        self.handle = runtime.commands.add_transport(engine_config)
        self._agent = registry.add(self.handle, self._handle_nominated)
        self._remote: RemoteTransport | None = None
        self._we_are = Setup.PASSIVE
        self._dtls: DtlsAssociation | None = None
        self._early: deque[bytes] = deque(maxlen=MAX_EARLY_DATAGRAMS)
        self._channels: Channels | None = None
        self._data_options: tuple[bool, int] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        """Associations that an ICE restart replaced."""
        self._setup_began_ns = runtime.now_ns()
        self._closed = False
        self._released = False

    # --- descriptions -------------------------------------------------------------------------------------------

    def local(self) -> LocalTransport:
        """What our next description says of this transport."""
        return LocalTransport(self._agent.local, self._certificate.fingerprints, self._candidates)

    def set_remote(self, remote: RemoteTransport, *, we_are: Setup) -> None:
        """Take the peer's description. `we_are` is our DTLS role: PASSIVE server, ACTIVE client (RFC 8842).

        The same again changes nothing. New ICE credentials are an ICE restart (RFC 8839 §4.4.1.1.1), with which
        fingerprints and role may change too: then a new DTLS association begins. Raises `SdpError` for a change of
        those without ICE restart, and for a description without a fingerprint that we can check.
        """
        if not any(fingerprint.algorithm in SUPPORTED_DIGESTS for fingerprint in remote.fingerprints):
            raise SdpError("no certificate fingerprint with a supported digest")
        before = self._remote
        if before is None:
            self._remote, self._we_are = remote, we_are
            self._agent.set_remote_ufrag(remote.ice.ufrag)
            self._start_dtls()
            return
        new_ice = (remote.ice.ufrag, remote.ice.pwd) != (before.ice.ufrag, before.ice.pwd)
        new_dtls = set(remote.fingerprints) != set(before.fingerprints) or we_are is not self._we_are
        if new_dtls and not new_ice:
            raise SdpError("certificate or DTLS role changed without an ICE restart")
        if not new_ice:
            return
        if self._agent.remote_ufrag is not None:
            self._registry.restart(self._agent)
        self._agent.set_remote_ufrag(remote.ice.ufrag)
        self._remote, self._we_are = remote, we_are
        if new_dtls:
            self._restart_dtls()

    @property
    def remote_ice(self) -> IceCredentials | None:
        """The peer's, as its newest description has them; None before the first."""
        return None if self._remote is None else self._remote.ice

    def restart_by_peer(self, ice: IceCredentials) -> None:
        """An ICE restart that changes nothing but the peer's credentials; `local()` has new ones of ours from now on.
        Raises `SdpError` not_acceptable when these are the credentials in use, or there is no description yet."""
        if self._remote is None or ice == self._remote.ice:
            raise SdpError("an ICE restart needs new credentials", code="not_acceptable")
        self.set_remote(replace(self._remote, ice=ice), we_are=self._we_are)

    def silent_for_s(self, now_s: float) -> float:
        """How long ago the peer last checked its path; `now_s` is monotonic. 0 before its first check."""
        heard_at_ns = self._registry.heard_at_ns(self._agent)
        return 0.0 if heard_at_ns is None else max(0.0, now_s - heard_at_ns / 1e9)

    def restart_ice(self) -> None:
        """New local credentials, in `local()` from now on. The old ones end when the peer nominates with the new."""
        self._registry.restart(self._agent)

    # --- DTLS ---------------------------------------------------------------------------------------------------

    def handle_dtls(self, now_ns: int, path: Path, data: bytes) -> None:
        """One DTLS datagram from a path of this transport. Never raises for what `data` holds."""
        if self._closed:
            return
        if self._dtls is None:
            self._early.append(data)
        else:
            self._dtls.feed(data)

    def _handle_nominated(self, path: Path) -> None:
        if self._channels is not None:
            self._channels.set_path(path)
        self._start_dtls()

    def _start_dtls(self) -> None:
        """Once there is a path to answer on and a description to check the peer against."""
        if self._closed or self._dtls is not None or self._remote is None or self._agent.path is None:
            return
        from sfu.transport.dtls import DtlsAssociation, DtlsRole  # see `loading`

        role = DtlsRole.SERVER if self._we_are is Setup.PASSIVE else DtlsRole.CLIENT
        self._dtls = DtlsAssociation(
            role=role,
            certificate=self._certificate,
            fingerprints=self._remote.fingerprints,
            send=self._send,
            on_connected=self._handle_keys,
            on_closed=self._handle_dtls_closed,
            max_queue_datagrams=self._config.max_dtls_queue_datagrams,
            counters=self.counters,
        )
        self._dtls.start()
        while self._early:
            self._dtls.feed(self._early.popleft())

    def _restart_dtls(self) -> None:
        old, self._dtls = self._dtls, None
        channels, self._channels = self._channels, None
        if channels is not None and channels.link is not None:
            # At once: what it still took would be lost, and not wait for the new association.
            channels.link.close()
        self._early.clear()
        self.connected = False
        self._setup_began_ns = self._runtime.now_ns()
        self._registry.mark_established(self._agent, False)
        task = asyncio.get_running_loop().create_task(_end(channels, old))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        self._start_dtls()

    def _send(self, data: bytes) -> None:
        if self._agent.path is not None:
            self._runtime.send(self._agent.path, data)

    def _handle_dtls_closed(self, dtls: DtlsAssociation, reason: str) -> None:
        if dtls is self._dtls:
            self._fail(reason)

    def _handle_keys(self, dtls: DtlsAssociation, keys: SrtpKeys) -> None:
        if self._closed or dtls is not self._dtls:
            return
        self._runtime.commands.set_srtp(self.handle, keys)
        self._registry.mark_established(self._agent)
        self.connected = True
        self._start_data()
        self._emit(TransportEvents.CONNECTED)

    # --- data ---------------------------------------------------------------------------------------------------

    @property
    def data_open(self) -> bool:
        """Whether the channels are ready and the reliable one is still open."""
        return self._channels is not None and self._channels.ready

    def enable_data(self, *, initiate: bool, remote_max_message_size: int) -> None:
        """Bring SCTP up once DTLS is. `initiate`: we open both channels, else the peer does. Later calls are ignored.

        `remote_max_message_size` in bytes is the peer's a=max-message-size; 0 means any (RFC 8841 §6.1).
        """
        if self._data_options is None:
            self._data_options = (initiate, remote_max_message_size)
            self._start_data()

    @property
    def data_link(self) -> DataLink | None:
        """See `Channels.link`."""
        return None if self._channels is None else self._channels.link

    def send_data(self, kind: DataKind, payload: bytes) -> bool:
        """Queue one message; False when there is no channel yet, the message is too large, or the buffer is full."""
        return self._channels is not None and self._channels.send(kind, payload)

    def unsent_data_bytes(self, kind: DataKind) -> int:
        """What waits for the peer's acknowledgement, or to be sent."""
        return 0 if self._channels is None else self._channels.unsent_bytes(kind)

    def set_data_reading(self, is_reading: bool) -> None:
        """Take reliable messages of the peer, or leave them where they make the peer wait."""
        if self._channels is not None:
            self._channels.set_reading(is_reading)

    def _start_data(self) -> None:
        session = self._dtls.session if self._dtls is not None and self.connected else None
        path = self._agent.path
        if session is None or path is None or self._data_options is None or self._channels is not None:
            return
        from sfu.transport.making import make_channels  # see `loading`

        initiate, remote_max_message_size = self._data_options
        self._channels = make_channels(
            self._runtime,
            self.handle,
            path,
            session,
            ChannelsConfig(
                initiate=initiate,
                remote_max_message_size=remote_max_message_size,
                max_message_bytes=self._config.max_data_message_bytes,
                max_buffered_bytes=self._config.max_data_buffered_bytes,
                max_track_buffered_bytes=self._config.max_data_track_buffered_bytes,
            ),
            on_message=self._handle_data,
            on_ready=self._handle_data_ready,
            counters=self.counters,
        )
        self._channels.start()

    def _handle_data(self, kind: DataKind, payload: bytes) -> None:
        self._emit(TransportEvents.DATA, kind, payload)

    def _handle_data_ready(self) -> None:
        # Else it is late news of channels that a new association replaces: what waits would go nowhere.
        if self._channels is not None:
            self._emit(TransportEvents.DATA_READY)

    def handle_fault(self) -> None:
        """The engine failed while it worked for this transport: its media has ended."""
        self.counters["engine_faults"] += 1
        self._fail("engine_fault")

    # --- end ----------------------------------------------------------------------------------------------------

    def poll(self, now_ns: int) -> None:
        """Once a second: notice a setup that takes too long and consent that is lost (RFC 7675)."""
        if self._closed:
            return
        if not self.connected and now_ns - self._setup_began_ns >= self._config.transport_setup_timeout_s * 1e9:
            self._fail("setup_timeout")
        elif self._registry.consent_expired(self._agent, now_ns, int(self._config.consent_timeout_s * 1e9)):
            self._fail("consent_lost")

    async def close(self) -> None:
        """Say goodbye (close_notify), leave registry and engine, wait for own tasks. Further calls do nothing."""
        self._fail("closed")
        if self._released:
            return
        self._released = True
        self._runtime.commands.remove_transport(self.handle)
        await _end(self._channels, self._dtls)
        if self._ending:
            await asyncio.wait(self._ending)
        self._registry.transport_counters.update(self.counters)

    def _fail(self, reason: str) -> None:
        """The end for everyone outside. The engine transport stays until `close`: its tracks belong to the owner."""
        if self._closed:
            return
        self._closed = True
        self.connected = False
        self._registry.remove(self._agent)
        self._emit(TransportEvents.CLOSED, reason)
        self.events.remove_all_listeners()

    def _emit(self, event: TransportEvents, *args: object) -> None:
        try:
            self.events.emit(event, *args)
        except Exception:
            # A listener's fault must not end the task that reads this peer's datagrams.
            self.counters["listener_faults"] += 1
            logger.exception("a listener of transport %d failed on %s", self.handle, event)


async def _end(channels: Channels | None, dtls: DtlsAssociation | None) -> None:
    if channels is not None:
        await channels.stop()
    if dtls is not None:
        dtls.close()
