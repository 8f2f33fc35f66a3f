"""The sessions that were made over HTTP, by the secret part of their URL."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from enum import StrEnum

from sfu.api import LeaveReason, ParticipantSession, PlaybackChanged, SessionEnded, SessionEvent
from signaling.grants import Grants
from signaling.metrics import Metrics
from signaling.whip.http import Problem

_log = logging.getLogger("ting.whip")


class Protocol(StrEnum):
    WHIP = "whip"
    WHEP = "whep"


class EventStream:
    """Woken whenever its session's playback changes."""

    def __init__(self, names: frozenset[str]) -> None:
        self.id = secrets.token_urlsafe(24)
        self.names = names
        self.reading = False
        self.closed = False
        """Its player wants no more of it."""
        self.changed = asyncio.Event()


class HttpSession:
    """One client. `id` is known to it alone (192 random bits); `etag` names its ICE session (RFC 9725 §4.3)."""

    def __init__(self, registry: SessionRegistry, protocol: Protocol, grants: Grants, watched: str) -> None:
        self.id = secrets.token_urlsafe(24)
        self.watched = watched
        """The endpoint's path: sessions with the same one are counted together."""
        self.playback: PlaybackChanged | None = None
        self.streams: list[EventStream] = []
        self.protocol = protocol
        self.grants = grants
        self.ended_by: LeaveReason | None = None
        self.etag = ""
        self._registry = registry
        self._session: ParticipantSession | None = None
        self.renew_etag()

    @property
    def session(self) -> ParticipantSession:
        if self._session is None:
            raise Problem(404, "not_found", "There is no such session.")
        return self._session

    def begin(self, session: ParticipantSession) -> None:
        self._session = session
        self._registry.add(self)
        _log.info("%s began a %s session", session.info.participant_id, self.protocol)

    def renew_etag(self) -> None:
        self.etag = f'"{secrets.token_hex(8)}"'

    def handle_event(self, event: SessionEvent) -> None:
        """The session's sink. The client hears nothing: it notices by its media connection."""
        if isinstance(event, PlaybackChanged):
            self.playback = event
        elif isinstance(event, SessionEnded):
            self.ended_by = event.reason
            self._registry.remove(self)
            if self._session is not None:
                _log.info("%s ended: %s", self._session.info.participant_id, event.reason)
        else:
            return
        for stream in self.streams:
            stream.changed.set()

    def leave(self) -> None:
        self.session.leave(LeaveReason.CLIENT_INITIATED)


class SessionRegistry:
    """At most `max_sessions` at once, of both protocols."""

    def __init__(self, max_sessions: int, metrics: Metrics) -> None:
        self._max_sessions = max_sessions
        self._metrics = metrics
        self._sessions: dict[str, HttpSession] = {}
        self._streams: dict[str, tuple[HttpSession, EventStream]] = {}
        self.viewers: Counter[str] = Counter()
        """Sessions by `HttpSession.watched`."""

    def reserve(self, protocol: Protocol, grants: Grants, watched: str) -> HttpSession:
        if len(self._sessions) >= self._max_sessions:
            raise Problem(503, "limit_exceeded", "The server has all the sessions that it can take.")
        return HttpSession(self, protocol, grants, watched)

    def add(self, session: HttpSession) -> None:
        self._sessions[session.id] = session
        self.viewers[session.watched] += 1
        self._metrics.http_sessions.labels(session.protocol).inc()

    def remove(self, session: HttpSession) -> None:
        if self._sessions.pop(session.id, None) is not None:
            self.viewers[session.watched] -= 1
            if not self.viewers[session.watched]:
                del self.viewers[session.watched]
            for stream in session.streams:
                del self._streams[stream.id]
            self._metrics.http_sessions.labels(session.protocol).dec()

    def add_stream(self, session: HttpSession, stream: EventStream) -> None:
        session.streams.append(stream)
        self._streams[stream.id] = session, stream

    def remove_stream(self, session: HttpSession, stream: EventStream) -> None:
        session.streams.remove(stream)
        del self._streams[stream.id]
        stream.closed = True
        stream.changed.set()

    def find_stream(self, id: str) -> tuple[HttpSession, EventStream] | None:
        return self._streams.get(id)

    def find(self, id: str, protocol: Protocol, grants: Grants) -> HttpSession:
        """The session, if the bearer of `grants` is its owner. To everyone else it does not exist."""
        session = self._sessions.get(id)
        owner = None if session is None else (session.protocol, session.grants.room, session.grants.identity)
        if session is None or owner != (protocol, grants.room, grants.identity):
            raise Problem(404, "not_found", "There is no such session.")
        return session
