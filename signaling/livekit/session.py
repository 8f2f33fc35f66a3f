"""One signal connection: a WebSocket, the session behind it, and the LiveKit protocol between them.

A connection joins or resumes a `ParticipantSession`, hands messages to `dispatch`, and writes each event of the
session to the client. When the WebSocket breaks, the session lives on until it is resumed or times out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from livekit.protocol import models, rtc

from sfu.api import (
    DataReceived,
    LeaveReason,
    ParticipantSession,
    ParticipantsUpdated,
    RequestError,
    RoomMoved,
    SessionEnded,
    SessionEvent,
    SfuError,
)
from sfu.ids import Identity, RoomName
from signaling.grants import Grants
from signaling.livekit import convert, data, pings
from signaling.livekit.dispatch import dispatch
from signaling.livekit.frames import Frame, parse_request, serialize
from signaling.livekit.incoming import Incoming
from signaling.livekit.join_request import Opening
from signaling.livekit.offers import WaitingOffer
from signaling.livekit.outbox import Outbox
from signaling.livekit.parts import SignalParts
from signaling.livekit.refresh import TokenRefresher
from signaling.livekit.responses import response
from signaling.livekit.waiting_tracks import WaitingTracks
from signaling.livekit.wire import Wire

_log = logging.getLogger("ting.signal")


class SignalConnection:
    def __init__(
        self,
        parts: SignalParts,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        wire: Wire,
        grants: Grants,
        opening: Opening,
    ) -> None:
        settings = parts.settings
        self._parts = parts
        self._metrics = parts.metrics
        self._ws = ws
        self._grants = grants
        self._options = opening.options
        self._opening = opening
        self._wire = wire
        self._outbox = Outbox(ws, transport, settings.max_outbound_messages, settings.max_outbound_bytes)
        self._incoming = Incoming(wire, settings)
        self._session: ParticipantSession | None = None
        self._refresher = TokenRefresher(parts.tokens, grants, settings.token_refresh_s, self._send_token)
        self._offer = WaitingOffer(self._dispatch, self._offer_delay_s, settings.max_replaced_offers)
        self._tracks = WaitingTracks(self._dispatch, parts.max_tracks)
        self._violations = 0
        self._text = False
        self._receiving = False
        self._done = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection to its end."""
        self._parts.connections.add(self)
        self._parts.silence.add(self._wire, self._outbox.ping, self._lose)
        self._metrics.connections.inc()
        serving = asyncio.create_task(self._serve())
        try:
            await self._outbox.run()
            # Only one may read a WebSocket, and the closing handshake wants to. A message that is being handled is
            # handled to its end.
            if self._receiving:
                serving.cancel()
            await asyncio.wait({serving})
            await self._outbox.finish()
        finally:
            serving.cancel()
            self._refresher.stop()
            self._outbox.stop()
            self._wire.on_ping = None
            self._parts.silence.discard(self._wire)
            self._metrics.connections.dec()
            self._parts.connections.discard(self)
            self._done.set()

    async def _serve(self) -> None:
        try:
            if await self._open():
                for request in self._opening.requests:
                    await self._handle(request)
                await self._read()
        except Exception:
            _log.exception("a connection failed")
            self.close(WSCloseCode.INTERNAL_ERROR, "internal")
        finally:
            self._detach()
            self._outbox.close(WSCloseCode.OK)

    async def wait_done(self) -> None:
        """Returns when the connection is closed and forgotten."""
        await self._done.wait()

    def close(self, code: int, reason: str) -> None:
        """Close the socket; the session lives on until it is resumed or times out. `reason` is a metrics label."""
        if not self._outbox.is_closing:
            self._metrics.closures.labels(reason).inc()
        self._outbox.close(code, reason.encode())

    def abort(self) -> None:
        self._outbox.abort()

    def supersede(self) -> None:
        """Another connection has taken over the session."""
        self._session = None
        self.close(WSCloseCode.OK, "resumed elsewhere")

    async def _open(self) -> bool:
        try:
            if self._opening.resume_id:
                return self._resume()
            await self._join()
        except RequestError as error:
            self._metrics.joins.labels("refused").inc()
            _log.info("join refused: %s", error.code)
            self._say_goodbye(
                rtc.LeaveRequest(reason=models.DisconnectReason.JOIN_FAILURE, action=rtc.LeaveRequest.DISCONNECT)
            )
            return False
        return True

    async def _join(self) -> None:
        protocol = self._parts.simulations.protocol_of(RoomName(self._grants.room), Identity(self._grants.identity))
        options = dataclasses.replace(self._options, tcp_only=True) if protocol == rtc.TCP else self._options
        session = await self._parts.rooms.join(self._grants, options, self.handle_event)
        self._attach(session)
        if not self._outbox.is_closing:
            self._put(self._parts.welcome.join(session, self._options, protocol, sealed=self._grants.sealed))
        session.start()
        self._metrics.joins.labels("joined").inc()
        _log.info("%s joined", session.info.participant_id)

    def _resume(self) -> bool:
        session = self._parts.rooms.find_resumable(self._grants, self._opening.resume_id)
        if session is None or session.single_connection is not self._options.single_connection:
            return self._refuse_resume()
        fault = self._parts.simulations.resume_faults.take(session.info.participant_id)
        if fault is True:
            self.close(WSCloseCode.OK, "simulated")
            return False
        previous = self._parts.connections.of(session.info.participant_id)
        self._attach(session)
        self.send(self._parts.welcome.resume(session))
        if previous is not None:
            previous.supersede()
        try:
            session.resume(self.handle_event)
        except RequestError:
            self._end()
            return self._refuse_resume()
        self._metrics.joins.labels("resumed").inc()
        _log.info("%s resumed", session.info.participant_id)
        if fault is not None:
            self.close(WSCloseCode.OK, "simulated")
        return True

    def _refuse_resume(self) -> bool:
        """There is nothing to resume: the client is to join anew."""
        self._metrics.joins.labels("not_resumable").inc()
        self._say_goodbye(convert.leave(LeaveReason.STATE_MISMATCH, self._options.client.protocol))
        return False

    def _attach(self, session: ParticipantSession) -> None:
        self._session = session
        self._refresher.start()
        self._parts.connections.attach(session.info.participant_id, self)

    def _detach(self) -> None:
        """The socket is gone. A session that did not end waits for its client to come back."""
        self._forget_waiting()
        session = self._session
        if session is None:
            return
        self._parts.connections.detach(session.info.participant_id, self)
        try:
            session.signal_lost()
        except SfuError:
            self._session = None

    def _end(self) -> None:
        """The session is over: forget it."""
        self._forget_waiting()
        self._refresher.stop()
        session, self._session = self._session, None
        if session is not None:
            self._parts.rpc.handle_left(session.info.participant_id)
            self._parts.connections.detach(session.info.participant_id, self)

    def _say_goodbye(self, message: rtc.LeaveRequest) -> None:
        self.send(rtc.SignalResponse(leave=message))
        self._outbox.close(WSCloseCode.OK)

    # --- from the client --------------------------------------------------------------------------------

    async def _read(self) -> None:
        self._wire.on_ping = self._answer_ping
        while not self._outbox.is_closing:
            self._receiving = True
            try:
                message = await self._ws.receive()
            finally:
                self._receiving = False
            if message.type is WSMsgType.ERROR:
                self._metrics.violations.labels("websocket").inc()
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                return
            await self._handle_message(message)
            self._incoming.handled()

    def _answer_ping(self, payload: bytes) -> bool:
        """A ping that nothing is in front of is answered at once. False: it is something else, or has to wait."""
        if not self._incoming.is_done or self._session is None or self._outbox.is_closing:
            return False
        found = pings.answer(payload)
        if found is None:
            return False
        if self._allows(payload):
            self._metrics.pings[found[0]].inc()
            self._text = False
            self._put(found[1])
        return True

    def _allows(self, data: bytes | str) -> bool:
        if not (allowed := self._incoming.allows(len(data))):
            self.close(WSCloseCode.POLICY_VIOLATION, "rate_limited")
        return allowed

    def _lose(self) -> None:
        self.close(WSCloseCode.GOING_AWAY, "ping_timeout")

    async def _handle_message(self, message: WSMessage) -> None:
        if not self._allows(message.data):
            return
        self._text = message.type is WSMsgType.TEXT
        request = parse_request(message.data)
        if request is None:
            self.count_violation("malformed")
            return
        await self._handle(request)

    async def _handle(self, request: rtc.SignalRequest) -> None:
        self._metrics.messages.labels(request.WhichOneof("message") or "unknown").inc()
        if request.HasField("offer") and self._session is not None and self._offer.must_wait:
            if not self._offer.wait(request):
                self._metrics.closures.labels("too_many_offers").inc()
                self.leave(LeaveReason.LIMIT_EXCEEDED, tell=True)
            return
        await self._dispatch(request)

    def _forget_waiting(self) -> None:
        self._offer.close()
        self._tracks.close()

    def add_track_later(self, message: rtc.AddTrackRequest) -> bool:
        return self._tracks.wait(message)

    def _offer_delay_s(self) -> float:
        return 0.0 if self._session is None or self._outbox.is_closing else self.session.offer_delay_s()

    async def _dispatch(self, request: rtc.SignalRequest) -> None:
        if self._session is None:
            return  # it ended, and the goodbye is on its way
        try:
            await dispatch(self, request)
        except Exception:
            _log.exception("a message could not be handled")
            self.close(WSCloseCode.INTERNAL_ERROR, "internal")

    @property
    def session(self) -> ParticipantSession:
        if self._session is None:
            raise RequestError("the session has ended", code="left")
        return self._session

    @property
    def sealed(self) -> bool:
        return self.session.room_name in self._parts.sealed_rooms

    @property
    def max_metadata_bytes(self) -> int:
        return self._parts.max_metadata_bytes

    def count_violation(self, reason: str) -> None:
        self._metrics.violations.labels(reason).inc()
        self._violations += 1
        if self._violations >= self._parts.settings.max_violations:
            self.close(WSCloseCode.POLICY_VIOLATION, "violations")

    def count_refusal(self, reason: str) -> None:
        self._metrics.refusals.labels(reason).inc()

    def leave(self, reason: LeaveReason, *, tell: bool) -> None:
        session = self.session
        self._end()
        if tell:
            self._say_goodbye(convert.leave(reason, self._options.client.protocol))
        else:
            self._outbox.close(WSCloseCode.OK)
        session.leave(reason)

    def break_next_resume(self, *, silent: bool) -> None:
        self._parts.simulations.resume_faults.add(self.session.info.participant_id, silent=silent)

    def prefer_protocol(self, protocol: rtc.CandidateProtocol) -> None:
        session = self.session
        self._parts.simulations.prefer(session.room_name, session.info.identity, protocol)

    # --- to the client ----------------------------------------------------------------------------------

    def send(self, response: rtc.SignalResponse) -> None:
        """Queue a message in the encoding that the client used last."""
        if not self._outbox.is_closing:
            self._put(serialize(response, text=self._text))

    def _put(self, frame: Frame) -> None:
        if not self._outbox.put(frame):
            self._metrics.closures.labels("too_slow").inc()

    def handle_event(self, event: SessionEvent) -> None:
        """The session's sink. Never blocks, never raises."""
        session = self._session
        if session is None:
            return
        try:
            if isinstance(event, SessionEnded):
                self._end()
                self._say_goodbye(convert.leave(event.reason, self._options.client.protocol))
            elif isinstance(event, DataReceived):
                self._route(session, event)
            elif isinstance(event, RoomMoved):
                self._move(event)
            elif not self._outbox.is_closing:
                self._put(self._frame(event))
                if isinstance(event, ParticipantsUpdated):
                    self._note_own_state(session, event)
        except Exception:
            _log.exception("an event could not be sent")
            self.close(WSCloseCode.INTERNAL_ERROR, "internal")

    def _frame(self, event: SessionEvent) -> Frame:
        frames, config = self._parts.frames, self._parts.config
        return frames.frame(event, lambda: response(event, frames, config), text=self._text)

    def _move(self, event: RoomMoved) -> None:
        """The client gets a token for the new room with the news, so that it can come back there."""
        connections = self._parts.connections
        if connections.detach(event.former_id, self):
            connections.attach(event.participant.participant_id, self)
        self._parts.rpc.handle_left(event.former_id)
        self._grants = dataclasses.replace(self._grants, room=event.room.name)
        moved = rtc.RoomMovedResponse(
            room=convert.room(event.room, self._parts.config),
            token=self._refresher.move_to(event.room.name),
            participant=convert.participant(event.participant),
            other_participants=[convert.participant(info) for info in event.others],
        )
        self.send(rtc.SignalResponse(room_moved=moved))
        # The Rust SDK takes its next token only from this message.
        self._send_token(moved.token)

    def _note_own_state(self, session: ParticipantSession, event: ParticipantsUpdated) -> None:
        own = session.info
        if any(info.participant_id == own.participant_id for info in event.participants):
            self._refresher.handle_info(own)

    def _send_token(self, token: str) -> None:
        self.send(rtc.SignalResponse(refresh_token=token))

    def _route(self, session: ParticipantSession, event: DataReceived) -> None:
        if self._parts.rpc.handle_data(session.info.participant_id, event.payload):
            return
        rooms, room = self._parts.rooms, session.room_name
        sealed, chat = room in self._parts.sealed_rooms, self._parts.chat
        dropped = data.route(session, event, lambda: rooms.identities_of(room), chat.handle_packet, sealed=sealed)
        if dropped is not None:
            self._metrics.data_drops.labels(dropped).inc()
