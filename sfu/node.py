"""The composition root: engine, transports and rooms of one process. The only file that wires things."""

from __future__ import annotations

import asyncio
import logging
import resource
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sfu.api import (
    DataKind,
    JoinRequest,
    LeaveReason,
    NodeEvent,
    NodeListener,
    ParticipantInfo,
    ParticipantSession,
    PlaybackWish,
    RoomInfo,
    RoomOptions,
    SessionSink,
    TrackSource,
)
from sfu.config import SfuConfig
from sfu.control import http_clients
from sfu.control.adaptation import INTERVAL_S as ADAPTATION_INTERVAL_S
from sfu.control.adaptation import Adaptation
from sfu.control.context import ControlContext
from sfu.control.participant import Participant
from sfu.control.room import Room
from sfu.engine import create_runtime
from sfu.engine.api import (
    DtlsReceived,
    Event,
    Kind,
    ListenConfig,
    RembReceived,
    StreamStarted,
    StunReceived,
    TransportConfig,
    TransportFailed,
)
from sfu.errors import RequestError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId, TransportHandle, random_id
from sfu.sdp.ingest import read_ingest
from sfu.sdp.model import LocalCandidate
from sfu.sdp.parse import parse_description
from sfu.sdp.playback import as_receiver, read_playback
from sfu.transport.candidates import local_addresses, local_candidates
from sfu.transport.certificate import Certificate
from sfu.transport.ice_lite import IceRegistry
from sfu.transport.transport import Transport, TransportEvents, TransportRole

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 1.0
CLOSE_TIMEOUT_S = 3.0
"""How long the goodbyes of all transports may take when the node closes."""


class Node:
    """An SFU. Everything runs in the thread of the loop that `start` was called in."""

    def __init__(self, config: SfuConfig) -> None:
        self._config = config
        self._node_id = random_id("ND_")
        self._runtime = create_runtime(config.engine, seed=secrets.randbits(64), threads=config.engine_threads)
        self._registry = IceRegistry(self._runtime)
        self._certificate = Certificate.generate()
        self._candidates: list[LocalCandidate] = []
        self._transports: dict[TransportHandle, Transport] = {}
        self._rooms: dict[RoomName, Room] = {}
        self._context: ControlContext | None = None
        self._adaptation: Adaptation | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._listeners: list[NodeListener] = []
        self._closing = False

    @property
    def node_id(self) -> str:
        return self._node_id

    @property
    def _control(self) -> ControlContext:
        if self._context is None:
            raise RuntimeError("the node has not been started")
        return self._context

    # --- life -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        config = self._config
        loop = asyncio.get_running_loop()
        addresses = local_addresses(config)
        listen = ListenConfig(
            addresses=addresses,
            udp_port=config.rtc_udp_port,
            tcp_port=config.rtc_tcp_port,
            max_queued_packets=config.max_queued_packets,
            max_hold_ns=int(config.max_hold_ms * 1e6),
        )
        await self._runtime.open(listen, self._handle_event)
        self._candidates = local_candidates(config, addresses)
        self._context = ControlContext(
            config=config,
            engine=self._runtime.commands,
            loop=loop,
            make_transport=self._make_transport,
            notify=self._notify,
        )
        self._adaptation = Adaptation(self._context, self._rooms.values)
        self._every(POLL_INTERVAL_S, self._poll)
        self._every(ADAPTATION_INTERVAL_S, self._adaptation.run)
        self._every(config.speaker_interval_s, self._update_speakers)
        logger.info("media on UDP port %d, TCP port %d, engine %s", config.rtc_udp_port, config.rtc_tcp_port,
                    self._runtime.name)  # fmt: skip

    async def close(self) -> None:
        self._closing = True
        for timer in self._timers.values():
            timer.cancel()
        if self._context is None:
            return
        rooms = list(self._rooms.values())
        self._rooms.clear()
        for room in rooms:
            room.close(LeaveReason.SERVER_SHUTDOWN)
        if self._context.closing:
            _, late = await asyncio.wait(self._context.closing, timeout=CLOSE_TIMEOUT_S)
            if late:
                logger.warning("%d transports did not end within %g s", len(late), CLOSE_TIMEOUT_S)
        await self._runtime.close()

    def _every(self, interval_s: float, callback: Callable[[], None]) -> None:
        name = callback.__name__

        def run() -> None:
            try:
                callback()
            except Exception:
                logger.exception("periodic work failed: %s", name)
            if not self._closing:
                self._timers[name] = asyncio.get_running_loop().call_later(interval_s, run)

        self._timers[name] = asyncio.get_running_loop().call_later(interval_s, run)

    # --- listeners --------------------------------------------------------------------------------------------

    def add_listener(self, listener: NodeListener) -> None:
        self._listeners.append(listener)

    def _notify(self, event: NodeEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("a listener failed on %s", type(event).__name__)

    # --- rooms ------------------------------------------------------------------------------------------------

    def rooms(self) -> list[RoomInfo]:
        return [room.info for room in self._rooms.values()]

    def find_room(self, name: RoomName) -> RoomInfo | None:
        room = self._rooms.get(name)
        return None if room is None else room.info

    def participants(self, room: RoomName) -> list[ParticipantInfo]:
        found = self._rooms.get(room)
        return [] if found is None else found.infos()

    async def join(self, request: JoinRequest, sink: SessionSink) -> ParticipantSession:
        return self._enter(request, sink)

    async def publish(
        self, request: JoinRequest, offer: str, sources: Mapping[Kind, TrackSource], sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        config = self._config
        description = parse_description(
            offer, "offer", max_bytes=config.max_sdp_bytes, max_sections=config.max_media_sections
        )
        received = read_ingest(description, video_codecs=config.video_codecs, audio_codecs=config.audio_codecs)
        for media in received:
            if not request.permissions.may_publish(sources[media.kind]):
                raise RequestError(f"not allowed to publish {sources[media.kind]}", code="not_allowed")
        participant = self._enter(request, sink)
        return participant, http_clients.publish_all(participant, description, received, sources)

    async def play(
        self, request: JoinRequest, wish: PlaybackWish, offer: str, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        config = self._config
        description = parse_description(
            offer, "offer", max_bytes=config.max_sdp_bytes, max_sections=config.max_media_sections
        )
        description = as_receiver(description)
        read_playback(description, video_codecs=config.video_codecs, audio_codecs=config.audio_codecs)
        participant = self._enter(replace(request, playback=wish), sink)
        return participant, http_clients.play(participant, description)

    async def offer_playback(
        self, request: JoinRequest, wish: PlaybackWish, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        participant = self._enter(replace(request, playback=wish), sink)
        return participant, http_clients.offer_playback(participant)

    def _enter(self, request: JoinRequest, sink: SessionSink) -> Participant:
        if self._closing:
            raise RequestError("the server is shutting down", code="unavailable")
        room = self._rooms.get(request.room)
        if room is None:
            if not request.create_room:
                raise RequestError("no such room", code="unknown_room")
            room = self._add_room(request.room, request.room_options)
        return room.join(request, sink)

    def create_room(self, name: RoomName, options: RoomOptions) -> RoomInfo:
        room = self._rooms.get(name)
        if room is None:
            room = self._add_room(name, options)
        else:
            room.configure(options)
        return room.info

    def _add_room(self, name: RoomName, options: RoomOptions) -> Room:
        if len(self._rooms) >= self._config.max_rooms:
            raise RequestError("too many rooms", code="limit_exceeded")
        room = self._rooms[name] = Room(name, self._control, options)
        return room

    def _require_room(self, name: RoomName) -> Room:
        room = self._rooms.get(name)
        if room is None:
            raise RequestError("no such room", code="unknown_room")
        return room

    def update_room_metadata(self, room: RoomName, metadata: str) -> RoomInfo:
        found = self._require_room(room)
        found.set_metadata(metadata)
        return found.info

    def send_data(self, room: RoomName, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = ()) -> None:
        self._require_room(room).send_data(kind, payload, destinations)

    def find_session(self, room: RoomName, participant_id: ParticipantId) -> ParticipantSession | None:
        found = self._rooms.get(room)
        return None if found is None else found.find(participant_id)

    def find_participant(self, room: RoomName, identity: Identity) -> Participant | None:
        found = self._rooms.get(room)
        return None if found is None else found.find_identity(identity)

    def _require_participant(self, room: RoomName, identity: Identity) -> Participant:
        participant = self.find_participant(room, identity)
        if participant is None:
            raise RequestError("no such participant", code="unknown_participant")
        return participant

    def remove_participant(self, room: RoomName, identity: Identity) -> None:
        found = self._rooms.get(room)
        if found is not None and identity in found.forwarded:
            found.forwarded.remove(identity)
        else:
            self._require_participant(room, identity).leave(LeaveReason.PARTICIPANT_REMOVED)

    def move_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        participant = self._require_participant(room, identity)
        participant.move_to(self._destination(room, destination, create))

    def forward_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        participant = self._require_participant(room, identity)
        found = self._destination(room, destination, create)
        found.check_forward(participant)
        self._join_groups(self._require_room(room), found)
        found.forward(participant)

    def _join_groups(self, room: Room, other: Room) -> None:
        """Subscriptions can go from one to the other from now on; the engine moves what is less."""
        if room.group == other.group:
            return
        sizes = Counter[int]()
        for one in self._rooms.values():
            sizes[one.group] += len(one.participants())
        group, into = sorted((room.group, other.group), key=lambda number: sizes[number])
        self._control.engine.join_groups(group, into)
        for one in self._rooms.values():
            if one.group == group:
                one.group = into

    def _destination(self, room: RoomName, destination: RoomName, create: bool) -> Room:
        self._require_room(room)
        if destination == room:
            raise RequestError("destination room cannot be the same as source room")
        found = self._rooms.get(destination)
        if found is None and create:
            found = self._add_room(destination, RoomOptions())
        return found or self._require_room(destination)

    def mute_track(self, room: RoomName, identity: Identity, track_id: TrackId, muted: bool) -> None:
        self._require_participant(room, identity).mute_by_server(track_id, muted)

    def end_room(self, room: RoomName) -> bool:
        found = self._rooms.pop(room, None)
        if found is None:
            return False
        found.close(LeaveReason.ROOM_DELETED)
        return True

    # --- transports and engine events -------------------------------------------------------------------------

    def _make_transport(self, role: TransportRole, group: int, tcp_only: bool) -> Transport:
        half_open = sum(1 for transport in self._transports.values() if not transport.connected)
        if half_open >= self._config.max_half_open_transports:
            raise RequestError("too many calls are being set up", code="limit_exceeded")
        publishing = role is TransportRole.PUBLISH
        limits = TransportConfig(
            group=group,
            max_ssrcs=self._config.max_ssrcs_per_transport,
            max_packets_per_s=self._config.max_packets_per_s,
            max_bitrate_bps=self._config.max_bitrate_bps if publishing else 0,
        )
        transport = Transport(
            role=role,
            runtime=self._runtime,
            registry=self._registry,
            certificate=self._certificate,
            candidates=[one for one in self._candidates if not tcp_only or one.protocol == "tcp"],
            config=self._config,
            engine_config=limits,
        )
        self._transports[transport.handle] = transport
        transport.events.on(TransportEvents.CLOSED, lambda _reason: self._transports.pop(transport.handle, None))
        return transport

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, StunReceived):
            self._registry.handle_stun(self._runtime.now_ns(), event.path, event.data)
        elif isinstance(event, DtlsReceived):
            transport = self._transports.get(event.transport)
            if transport is not None:
                transport.handle_dtls(self._runtime.now_ns(), event.path, event.data)
        elif isinstance(event, RembReceived):
            if self._adaptation is not None:
                self._adaptation.handle_estimate(event.transport, event.bitrate_bps)
        elif isinstance(event, TransportFailed):
            failed = self._transports.get(event.transport)
            if failed is not None:
                failed.handle_fault()
        elif isinstance(event, StreamStarted):
            publication = self._control.publications.get(event.track)
            encoding = publication and next((one for one in publication.encodings if one.track == event.track), None)
            if publication and encoding and encoding.handle_stream_started(event.payload_type):
                for subscription in list(publication.subscriptions.values()):
                    subscription.subscriber.subscriber.negotiator.mark_changed()

    # --- periodic work --------------------------------------------------------------------------------------

    def _poll(self) -> None:
        now_ns = self._runtime.now_ns()
        for transport in list(self._transports.values()):
            transport.poll(now_ns)
        now_s = self._control.loop.time()
        for name, room in list(self._rooms.items()):
            if room.expired(now_s):
                del self._rooms[name]
                room.close(LeaveReason.ROOM_CLOSED)
            else:
                room.tell_head_count(now_s)

    def _update_speakers(self) -> None:
        heard: dict[RoomName, dict[ParticipantId, tuple[int, int]]] = {name: {} for name in self._rooms}
        for level in self._runtime.commands.audio_levels():
            publication = self._control.publications.get(level.track)
            if publication is None:
                continue
            publisher = publication.publisher
            speaker = publisher.info.participant_id
            for room_name in (publisher.room_name, *(elsewhere.room_name for elsewhere in publisher.shown_in)):
                of_room = heard.get(room_name)
                if of_room is not None:
                    before = of_room.get(speaker, (127, 0))
                    of_room[speaker] = min(before, (level.level_dbov, level.active_ms))
        for name, levels in heard.items():
            self._rooms[name].update_speakers(levels)

    # --- figures ----------------------------------------------------------------------------------------------

    def metrics(self) -> Mapping[str, float]:
        stats = self._runtime.commands.stats()
        rooms = list(self._rooms.values())
        values: dict[str, float] = {
            "ting_rooms": len(rooms),
            "ting_participants": sum(len(room.participants()) for room in rooms),
            "ting_publications": len(self._control.publications),
            "ting_subscriptions": len(self._control.subscriptions),
            "ting_transports": len(self._transports),
            "ting_consent_checks_answered_total": stats.checks_answered,
            "ting_engine_faults_total": stats.faults,
            "ting_rtp_packets_received_total": stats.packets_received,
            "ting_rtp_packets_sent_total": stats.packets_sent,
            "ting_rtp_bytes_received_total": stats.bytes_received,
            "ting_rtp_bytes_sent_total": stats.bytes_sent,
            "ting_process_max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        for reason, count in stats.drops.items():
            values[f'ting_engine_drops_total{{reason="{reason}"}}'] = count
        for reason, count in self._registry.drops.items():
            values[f'ting_ice_drops_total{{reason="{reason}"}}'] = count
        for reason, count in self._transport_counters().items():
            values[f'ting_transport_events_total{{event="{reason}"}}'] = count
        for name, count in self._runtime.io_stats().items():
            values[f'ting_io_total{{counter="{name}"}}'] = count
        for name, count in self._control.counters.items():
            values[f'ting_control_events_total{{event="{name}"}}'] = count
        return values

    def _transport_counters(self) -> Counter[str]:
        """Faults and drops of the transports that are there and of those that were."""
        total = Counter(self._registry.transport_counters)
        for transport in self._transports.values():
            total.update(transport.counters)
        return total
