"""WHEP's server-sent events: a player asks for some by POST and reads them from the stream that the answer names.

A browser's EventSource sends no token, so the stream's URL holds a secret of its own. What a stream tells is the
difference between what it told last and what is so now: a slow reader misses intermediate states and holds up nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from sfu.api import Kind, LeaveReason, PlaybackChanged
from signaling import strict_json
from signaling.whip import layers
from signaling.whip.access import Access
from signaling.whip.http import Bodies, Problem, answering, preflight
from signaling.whip.sessions import EventStream, HttpSession, SessionRegistry
from signaling.whip.settings import WhipSettings

RELATION = "urn:ietf:params:whep:ext:core:server-sent-events"
EVENTS = ("active", "inactive", "layers", "reconnect", "viewercount")
COME_AGAIN = frozenset(
    {
        LeaveReason.SERVER_SHUTDOWN,
        LeaveReason.NODE_SHUTDOWN,
        LeaveReason.MEDIA_FAILURE,
        LeaveReason.CONNECTION_TIMEOUT,
        LeaveReason.STATE_MISMATCH,
    }
)
"""Ends of a session after which a new one to the same endpoint may well succeed."""
REFRESH_S = 5.0
"""How often the number of viewers is looked at, and how often an idle stream shows that it lives."""
_JSON = "application/json"


class EventsEndpoint:
    """`public_url` is under which clients reach this server; empty where it is the one that they use."""

    def __init__(
        self,
        settings: WhipSettings,
        access: Access,
        registry: SessionRegistry,
        bodies: Bodies,
        public_url: str,
    ) -> None:
        self._max_streams = settings.max_event_streams_per_session
        self._access = access
        self._registry = registry
        self._bodies = bodies
        self._prefix = urlsplit(public_url).path.rstrip("/")

    def add_routes(self, router: web.UrlDispatcher) -> None:
        path = "/whep-sessions/{session}/events"
        router.add_route("POST", path, answering(self._subscribe))
        router.add_route("OPTIONS", path, answering(_events_options))
        # The session's own id is not in it: this URL may show up where the other must not.
        router.add_route("GET", "/whep-events/{stream}", answering(self._read_stream))
        router.add_route("DELETE", "/whep-events/{stream}", answering(self._delete_stream))
        router.add_route("OPTIONS", "/whep-events/{stream}", answering(_stream_options))

    async def _subscribe(self, request: web.Request) -> web.Response:
        session = self._access.owned_session(request)
        names = await self._wanted(request) if request.can_read_body else EVENTS
        if len(session.streams) >= self._max_streams:
            raise Problem(429, "limit_exceeded", "The session has all the streams that it may have.")
        # Names of other drafts are left out: a player asks for all that it knows.
        stream = EventStream(frozenset(names) & frozenset(EVENTS))
        self._registry.add_stream(session, stream)
        return web.Response(status=201, headers={hdrs.LOCATION: f"{self._prefix}/whep-events/{stream.id}"})

    async def _wanted(self, request: web.Request) -> Sequence[str]:
        text = await self._bodies.read(request, _JSON, {"Accept-Post": _JSON})
        try:
            names = strict_json.loads(text)
        except ValueError:
            raise Problem(400, "invalid_body", "The body is not JSON.") from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > 16:
            raise Problem(400, "invalid_body", "A list with names of events is expected.")
        return names

    async def _delete_stream(self, request: web.Request) -> web.Response:
        """Ends the stream, also while it is being read."""
        self._access.check_rate(request)
        found = self._registry.find_stream(request.match_info["stream"])
        if found is None:
            raise Problem(404, "not_found", "There is no such stream.")
        self._registry.remove_stream(*found)
        return web.Response()

    async def _read_stream(self, request: web.Request) -> web.StreamResponse:
        self._access.check_rate(request)
        found = self._registry.find_stream(request.match_info["stream"])
        if found is None or found[1].reading:
            raise Problem(404, "not_found", "There is no such stream, or it is being read already.")
        session, stream = found
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "text/event-stream",
                hdrs.CACHE_CONTROL: "no-store",
                hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
            }
        )
        stream.reading = True
        try:
            await response.prepare(request)
            await _run(response, session, stream, self._registry.viewers)
        except ConnectionResetError:
            pass  # the reader has gone
        finally:
            stream.reading = False
        return response


async def _events_options(request: web.Request) -> web.Response:
    return preflight("POST, OPTIONS", {"Accept-Post": _JSON})


async def _stream_options(request: web.Request) -> web.Response:
    return preflight("GET, DELETE, OPTIONS", {})


async def _run(
    response: web.StreamResponse, session: HttpSession, stream: EventStream, viewers: Mapping[str, int]
) -> None:
    # A stream does not begin with "inactive".
    told: dict[str, str] = {"inactive": "{}"}
    while session.ended_by is None and not stream.closed:
        stream.changed.clear()
        now = {name: data for name, data in snapshot(session, viewers).items() if name in stream.names}
        news = "".join(f"event: {name}\ndata: {data}\n\n" for name, data in now.items() if told.get(name) != data)
        # A comment keeps proxies from closing a silent stream, and finds out that the reader has gone.
        await response.write((news or ":\n\n").encode())
        told = now
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_S):
                await stream.changed.wait()
    if session.ended_by in COME_AGAIN and "reconnect" in stream.names:
        # Without a URL: the endpoint that the player has asked already.
        await response.write(b"event: reconnect\ndata: {}\n\n")
    await response.write_eof()


def snapshot(session: HttpSession, viewers: Mapping[str, int]) -> dict[str, str]:
    """Event names to their data as JSON, of all that is so now."""
    playback = session.playback or PlaybackChanged(())
    active = any(source.active for source in playback.sources)
    state = {"active" if active else "inactive": "{}"}
    video = next((source for source in playback.sources if source.kind is Kind.VIDEO), None)
    if video is not None:
        state["layers"] = json.dumps({video.mid: {"layers": layers.describe(video)}}, separators=(",", ":"))
    state["viewercount"] = json.dumps({"viewercount": viewers.get(session.watched, 0)}, separators=(",", ":"))
    return state
