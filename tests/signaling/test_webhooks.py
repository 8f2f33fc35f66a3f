"""Webhooks at a real receiver: both formats, order, retries, what a bad receiver may do, and what a restart keeps."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web

from sfu.api import (
    CallTimeline,
    Kind,
    NodeEvent,
    ParticipantAborted,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantState,
    Permissions,
    PublicationEnded,
    PublicationInfo,
    PublicationStarted,
    RoomFinished,
    RoomInfo,
    RoomStarted,
    TrackSource,
)
from sfu.ids import Identity, ParticipantId, RoomId, RoomName, TrackId
from signaling.db.database import Database
from signaling.db.deliveries import DeliveryRepository, NewDelivery
from signaling.db.url import sqlite_url
from signaling.errors import ConfigError
from signaling.livekit.webhook_events import webhook_event
from signaling.livekit.webhook_sender import retry_after_s
from signaling.livekit.webhook_settings import WebhookTarget
from signaling.livekit.webhooks import Webhooks, fingerprint
from signaling.metrics import Metrics
from signaling.tokens import TokenService
from tests.harness.receiver import Receiver, endless, never, receiving, status, targets
from tests.signaling.harness import KEY, SECRET, Server, bystander, eventually, make_settings, running

QUICK: dict[str, Any] = {"webhook_retry_initial_s": 0.02, "webhook_retry_max_s": 2}


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(KEY, SECRET) as one:
        yield one


def room(name: str = "lobby") -> RoomInfo:
    return RoomInfo(RoomId(f"RM_{name}"), RoomName(name), created_at_ms=1_700_000_000_000)


def life(name: str = "lobby") -> list[NodeEvent]:
    """Every event once, in the order in which they would come."""
    there = room(name)
    ada = ParticipantInfo(
        ParticipantId("PA_ada"), Identity("ada"), "Ada 厅", ParticipantState.ACTIVE, 1_700_000_001_000, 3, Permissions()
    )
    timeline = CallTimeline(ada.identity, ada.participant_id, ada.name, ada.joined_at_ms)
    track = PublicationInfo(TrackId("TR_mic"), Kind.AUDIO, TrackSource.MICROPHONE)
    return [
        RoomStarted(there), ParticipantJoined(there, ada), PublicationStarted(there, ada, track),
        PublicationEnded(there, ada, track), ParticipantLeft(there, ada, timeline), ParticipantAborted(there, ada),
        RoomFinished(there),
    ]  # fmt: skip


NAMES = [
    "room_started", "participant_joined", "track_published", "track_unpublished", "participant_left",
    "participant_connection_aborted", "room_finished",
]  # fmt: skip


def tell(server: Server, *events: NodeEvent) -> None:
    for event in events:
        server.sfu.notify(event)


def at_rest(server: Server) -> bool:
    return server.value("ting_webhook_queue") == 0


async def test_every_event_as_livekit_sends_it(receiver: Receiver) -> None:
    async with running(webhooks=targets({"url": receiver.url()})) as server:
        tell(server, *life())
        await eventually(lambda: len(receiver.requests) == 7, "all events")
        events = receiver.verified()
        assert [event.event for event in events] == NAMES
        assert len({event.id for event in events}) == 7
        assert all(abs(event.created_at - time.time()) < 30 for event in events)
        assert {(event.room.sid, event.room.name) for event in events} == {("RM_lobby", "lobby")}
        assert [event.participant.name for event in events] == ["", *["Ada 厅"] * 5, ""]
        assert [event.track.sid for event in events] == ["", "", "TR_mic", "TR_mic", "", "", ""]
        one = receiver.requests[0]
        assert one.headers["Content-Type"] == "application/webhook+json"
        claims = jwt.decode(one.headers["Authorization"], SECRET, ["HS256"])
        assert claims["iss"] == KEY
        assert claims["sha256"] == base64.b64encode(hashlib.sha256(one.body.encode()).digest()).decode()
        assert claims["exp"] - time.time() <= 300
        await eventually(lambda: server.value("ting_webhook_deliveries_total", result="delivered") == 7)


async def test_each_url_gets_what_it_wants(receiver: Receiver) -> None:
    tables = targets(
        {"url": receiver.url("/rooms"), "events": ["room_started", "room_finished"], "api_key": KEY},
        {"url": receiver.url("/tracks"), "events": ["track_published"]},
    )
    async with running(webhooks=tables) as server:
        tell(server, *life())
        await eventually(lambda: len(receiver.requests) == 3 and at_rest(server), "three events")
        assert receiver.names("/rooms") == ["room_started", "room_finished"]
        assert receiver.names("/tracks") == ["track_published"]


async def test_cloudevents_after_consent(receiver: Receiver) -> None:
    receiver.answers.extend(
        [
            status(204),  # no consent
            status(200, WebHook_Allowed_Origin="other.example.org"),  # consent for another
            status(200, WebHook_Allowed_Origin="ting.example.org", WebHook_Allowed_Rate="*"),
        ]
    )
    table = {"url": receiver.url(), "format": "cloudevents"}
    async with running(webhooks=targets(table), public_url="https://ting.example.org", **QUICK) as server:
        tell(server, *life())
        await eventually(lambda: len(receiver.requests) == 10, "three questions and seven events")
        questions, posts = receiver.requests[:3], receiver.requests[3:]
        assert {(q.method, q.headers["WebHook-Request-Origin"]) for q in questions} == {("OPTIONS", "ting.example.org")}
        assert {post.method for post in posts} == {"POST"}
        envelopes = [json.loads(post.body) for post in posts]
        assert [envelope["type"] for envelope in envelopes] == [f"ting.{name}" for name in NAMES]
        first = envelopes[0]
        assert set(first) == {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
        assert (first["specversion"], first["source"], first["subject"]) == ("1.0", "ting.example.org", "lobby")
        assert first["id"] == first["data"]["id"]
        assert envelopes[2]["data"]["track"]["sid"] == "TR_mic"
        assert posts[0].headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        scheme, _, token = posts[0].headers["Authorization"].partition(" ")
        assert scheme == "Bearer"
        digest = base64.b64encode(hashlib.sha256(posts[0].body.encode()).digest()).decode()
        assert jwt.decode(token, SECRET, ["HS256"])["sha256"] == digest


async def test_the_allowed_rate_is_kept(receiver: Receiver) -> None:
    receiver.answers.append(status(200, WebHook_Allowed_Origin="*", WebHook_Allowed_Rate="60"))
    async with running(webhooks=targets({"url": receiver.url(), "format": "cloudevents"})) as server:
        tell(server, RoomStarted(room("a")), RoomStarted(room("b")))
        await eventually(lambda: len(receiver.requests) == 3, "both events")
        assert receiver.requests[2].at_s - receiver.requests[1].at_s > 0.7


async def test_failures_are_repeated_in_order_and_hold_up_no_other_room(receiver: Receiver) -> None:
    async def refuse_lobby(request: web.Request) -> web.StreamResponse:
        seen = sum('"lobby"' in one.body for one in receiver.requests)
        return web.Response(status=500 if '"lobby"' in receiver.requests[-1].body and seen <= 6 else 200)

    receiver.default = refuse_lobby
    async with running(webhooks=targets({"url": receiver.url()}), **QUICK) as server:
        tell(server, *life("lobby"), *life("attic"))
        await eventually(lambda: len(receiver.requests) == 20 and at_rest(server), "everything delivered")
        events = [(event.room.name, event.event) for event in receiver.verified()]
        assert [name for where, name in events if where == "attic"] == NAMES
        lobby = [name for where, name in events if where == "lobby"]
        assert list(dict.fromkeys(lobby)) == NAMES
        assert lobby == sorted(lobby, key=NAMES.index)
        assert lobby.count("room_started") == 7
        last_of_attic = max(index for index, (where, _) in enumerate(events) if where == "attic")
        assert "participant_joined" not in [name for where, name in events[:last_of_attic] if where == "lobby"]
        assert server.value("ting_webhook_failures_total", reason="status_5xx") == 6


async def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.answers.append(status(307, Location=receiver.url("/elsewhere")))
    async with running(webhooks=targets({"url": receiver.url()}), **QUICK) as server:
        tell(server, RoomStarted(room()))
        await eventually(lambda: len(receiver.requests) == 2 and at_rest(server), "the second attempt")
        assert [one.path for one in receiver.requests] == ["/hook", "/hook"]


async def test_410_ends_everything_for_this_url_alone(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers.append(status(410))
    tables = targets({"url": receiver.url("/gone")}, {"url": receiver.url("/stays")})
    async with running(webhooks=tables, data_dir=tmp_path, webhook_connections=1) as server:
        # The first request decides which of the two it is.
        tell(server, RoomStarted(room()))
        await eventually(lambda: len(receiver.requests) == 2 and at_rest(server), "two requests")
        gone, stays = (one.path for one in receiver.requests)
        tell(server, *life())
        await eventually(lambda: at_rest(server) and len(receiver.names(stays)) == 8, "all events")
        assert len(receiver.names(gone)) == 1
        assert server.value("ting_webhook_deliveries_total", result="gone") == 1
    with sqlite3.connect(tmp_path / "ting.db") as database:
        assert database.execute("SELECT count(*) FROM webhook_deliveries").fetchone() == (0,)


async def test_410_is_remembered_until_the_configuration_changes(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers.append(status(410))
    table: dict[str, Any] = {"url": receiver.url()}
    options: dict[str, Any] = {"data_dir": tmp_path, "keys": f"{KEY}: {SECRET}, second: {'s' * 32}"}
    async with running(**options, webhooks=targets(table)) as server:
        tell(server, RoomStarted(room()))
        await eventually(lambda: len(receiver.requests) == 1 and at_rest(server), "the answer")
    async with running(**options, webhooks=targets(table)) as server:
        tell(server, *life())
    assert len(receiver.requests) == 1, "nothing after the restart"
    async with running(**options, webhooks=targets({**table, "events": ["room_started"]})) as server:
        tell(server, RoomStarted(room()))
        await eventually(lambda: len(receiver.requests) == 2 and at_rest(server), "it is tried again")
    async with running(**options, webhooks=targets(table)) as server:
        tell(server, *life())
    assert len(receiver.requests) == 2, "and the old configuration is still known"


def test_fingerprints_change_with_everything_but_the_order_of_events() -> None:
    keys = {"keys": f"{KEY}: {SECRET}, second: {'s' * 32}"}
    tables: list[dict[str, Any]] = [
        {"url": "https://a"}, {"url": "https://b"}, {"url": "https://a", "format": "cloudevents"},
        {"url": "https://a", "api_key": "second"}, {"url": "https://a", "events": ["room_started", "room_finished"]},
    ]  # fmt: skip
    secrets = make_settings(**keys).tokens.keys
    found = [
        fingerprint(target, secrets)
        for table in tables
        for target in make_settings(**keys, webhooks=targets(table)).webhooks.webhooks
    ]
    assert len(set(found)) == len(tables)
    other_secret = {KEY: "o" * 32}
    assert fingerprint(WebhookTarget("https://a"), other_secret) != found[0]
    assert fingerprint(WebhookTarget("https://a", api_key=KEY), secrets) == found[0], "the first key is the default"
    turned = WebhookTarget("https://a", events=("room_finished", "room_started"))
    assert fingerprint(turned, secrets) == found[-1]


async def test_retry_after_makes_the_whole_url_wait(receiver: Receiver) -> None:
    receiver.answers.append(status(429, Retry_After="1"))
    async with running(webhooks=targets({"url": receiver.url()}), webhook_connections=1, **QUICK) as server:
        tell(server, RoomStarted(room("a")), RoomStarted(room("b")))
        await eventually(lambda: len(receiver.requests) == 3, "both events")
        assert receiver.requests[1].at_s - receiver.requests[0].at_s > 0.9
        assert {event.room.name for event in receiver.verified()} == {"a", "b"}


async def test_a_bad_receiver_harms_nobody(receiver: Receiver) -> None:
    """It never answers, answers without end, hangs up, talks nonsense; and the calls go on."""

    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def nonsense(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"\x00\xff nonsense\r\n" * 100)
        request.transport.close()
        return web.Response()

    async def huge_header(request: web.Request) -> web.StreamResponse:
        return web.Response(headers={"X": "x" * 100_000})

    receiver.answers.extend([never, endless, hang_up, nonsense, huge_header])
    table = targets({"url": receiver.url()})
    async with running(webhooks=table, webhook_timeout_s=0.5, **QUICK) as server, bystander(server):
        tell(server, *life())
        await eventually(lambda: at_rest(server) and len(receiver.requests) >= 11, "all events")
        names = receiver.names()
        assert list(dict.fromkeys(names)) == NAMES
        assert server.value("ting_webhook_failures_total", reason="timeout") == 1
        assert server.value("ting_webhook_failures_total", reason="connection") == 3


async def test_what_waits_survives_a_restart(receiver: Receiver, tmp_path: Path) -> None:
    url = receiver.url()
    await receiver.stop()
    options = {"webhooks": targets({"url": url}), "data_dir": tmp_path, **QUICK}
    async with running(**options) as server:
        tell(server, *life("lobby"), *life("attic"))
        await eventually(lambda: server.value("ting_webhook_failures_total", reason="connection") > 3)
        assert server.value("ting_webhook_queue") == 14
    await receiver.start()
    async with running(**options) as server:
        await eventually(lambda: at_rest(server) and len(receiver.requests) == 14, "all events of before")
        for name in ("lobby", "attic"):
            assert [event.event for event in receiver.verified() if event.room.name == name] == NAMES
        tell(server, RoomStarted(room()))
    async with running(**options) as server:
        assert at_rest(server)
    assert len(receiver.requests) == 15


async def test_what_fails_too_often_or_is_too_old_is_given_up(receiver: Receiver, tmp_path: Path) -> None:
    receiver.default = status(500)
    options = {"webhooks": targets({"url": receiver.url()}), "data_dir": tmp_path, **QUICK}
    async with running(**options, webhook_max_attempts=3) as server:
        tell(server, RoomStarted(room()))
        await eventually(lambda: server.value("ting_webhook_deliveries_total", result="expired") == 1)
        assert len(receiver.requests) == 3
    async with running(**options) as server:
        tell(server, RoomStarted(room()))
        await eventually(lambda: len(receiver.requests) > 3, "an attempt")
    with sqlite3.connect(tmp_path / "ting.db") as database:
        assert database.execute("SELECT count(*) FROM webhook_deliveries").fetchone() == (1,)
        database.execute("UPDATE webhook_deliveries SET created_at_ms = created_at_ms - 86400001")
    database.close()
    async with running(**options) as server:
        assert at_rest(server)


async def test_a_full_queue_drops_and_says_so(receiver: Receiver) -> None:
    release = asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    receiver.answers.append(wait)
    limits = {"webhook_max_queued": 3, "webhook_connections": 1}
    async with running(webhooks=targets({"url": receiver.url()}), **limits) as server:
        tell(server, RoomStarted(room()))
        await eventually(lambda: len(receiver.requests) == 1, "the first")
        for name in ("a", "b"):
            tell(server, RoomStarted(room(name)))
        await eventually(lambda: server.value("ting_webhook_queue") == 3)
        for name in ("c", "d"):
            tell(server, RoomStarted(room(name)))
        await eventually(lambda: server.value("ting_webhook_deliveries_total", result="dropped") == 2)
        release.set()
        await eventually(lambda: at_rest(server))
        tell(server, RoomStarted(room("e")))
        await eventually(lambda: "e" in {event.room.name for event in receiver.verified()}, "the next")
        events = receiver.verified()
        assert {event.room.name for event in events} == {"lobby", "a", "b", "e"}
        assert [event.num_dropped for event in events] == [0, 0, 0, 2]


async def test_without_the_database_events_go_out_all_the_same(receiver: Receiver, tmp_path: Path) -> None:
    options = {"webhooks": targets({"url": receiver.url()}), "data_dir": tmp_path, "database_timeout_s": 0.1}
    async with running(**options) as server, bystander(server):
        holder = sqlite3.connect(tmp_path / "ting.db", isolation_level=None, check_same_thread=False)
        # In a thread: while it waits for a writer, that writer needs the loop to go on.
        await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
        tell(server, *life())
        await eventually(lambda: at_rest(server) and len(receiver.requests) == 7, "all events")
        assert receiver.names() == NAMES
        assert server.value("ting_database_errors_total", use="webhooks") >= 1
        holder.execute("COMMIT")
        holder.close()


# --- several processes on one database ------------------------------------------------------------------


class Clock:
    """Leases run out when the test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Process:
    """The webhooks of one process on a shared database."""

    def __init__(self, path: Path, clock: Clock, receiver: Receiver, lease_s: float = 0.3) -> None:
        self.settings = make_settings(webhooks=targets({"url": receiver.url()}), webhook_lease_s=lease_s, **QUICK)
        self.database = Database(sqlite_url(path))
        self.metrics = Metrics()
        tokens = TokenService(self.settings.tokens.keys)
        self.repository = DeliveryRepository(self.database)
        self.webhooks = Webhooks(
            self.settings.webhooks,
            self.repository,
            tokens,
            self.metrics,
            keys=self.settings.tokens.keys,
            origin="ting",
            config=self.settings.sfu,
            clock=clock,
        )

    async def __aenter__(self) -> Process:
        await self.database.open()
        await self.webhooks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.webhooks.close()
        await self.database.close()

    def tell(self, *events: NodeEvent) -> None:
        for event in events:
            self.webhooks.handle(event)

    def count(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("ting_webhook_deliveries_total", {"result": result}) or 0.0


def stored(path: Path, query: str = "SELECT count(*) FROM webhook_deliveries") -> Any:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        return database.execute(query).fetchone()


async def take_over(path: Path) -> None:
    """In a thread: while it waits for a writer, that writer needs the loop to go on."""
    query = "UPDATE webhook_deliveries SET owner = 'other', leased_until_ms = 1e15 RETURNING 1"
    await asyncio.to_thread(stored, path, query)


async def test_two_processes_deliver_each_event_once_and_in_order(receiver: Receiver, tmp_path: Path) -> None:
    path, clock, release = tmp_path / "ting.db", Clock(), asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    receiver.answers.append(wait)
    async with Process(path, clock, receiver) as one:
        one.tell(*life("lobby"))
        await eventually(lambda: stored(path) == (7,) and len(receiver.requests) == 1, "seven that wait")
        async with Process(path, clock, receiver) as two:
            two.tell(*life("attic"), RoomStarted(room("lobby")))
            await eventually(lambda: two.count("delivered") == 7, "the room of its own")
            assert [event.room.name for event in receiver.verified()] == ["lobby", *["attic"] * 7]
            release.set()
            await eventually(lambda: len(receiver.requests) == 15 and stored(path) == (0,), "everything")
        events = receiver.verified()
        assert len({event.id for event in events}) == 15
        assert [event.event for event in events if event.room.name == "lobby"] == [*NAMES, "room_started"]
        assert [event.event for event in events if event.room.name == "attic"] == NAMES


async def test_what_a_dead_process_left_is_taken_over(receiver: Receiver, tmp_path: Path) -> None:
    path, clock = tmp_path / "ting.db", Clock()
    async with Process(path, clock, receiver) as one:
        left = [webhook_event(event, one.settings.sfu) for event in life("lobby")]
        now_ms = round(clock.now * 1000)
        rows = [NewDelivery(receiver.url(), "lobby", event.SerializeToString(), now_ms) for event in left]
        await one.repository.add(rows, "dead", now_ms + 100_000)
        one.tell(RoomStarted(room("lobby")), *life("attic"))
        await eventually(lambda: one.count("delivered") == 7, "the room of its own")
        assert {event.room.name for event in receiver.verified()} == {"attic"}
        clock.now += 101
        await eventually(lambda: one.count("delivered") == 15, "the other's, and what waited behind them")
    lobby = [event for event in receiver.verified() if event.room.name == "lobby"]
    assert [event.id for event in lobby[:-1]] == [event.id for event in left]
    assert lobby[-1].event == "room_started"
    assert stored(path) == (0,)


async def test_what_was_taken_over_is_not_delivered_by_its_former_owner(receiver: Receiver, tmp_path: Path) -> None:
    path, clock = tmp_path / "ting.db", Clock()
    receiver.default = status(500)
    async with Process(path, clock, receiver) as one:
        one.tell(*life("lobby"))
        await eventually(lambda: stored(path) == (7,) and len(receiver.requests) > 0, "an attempt")
        await take_over(path)
        await eventually(lambda: one.count("taken_over") == 7, "it has noticed")
        before = len(receiver.requests)
        receiver.default = status(200)
        one.tell(RoomStarted(room("attic")))
        await eventually(lambda: one.count("delivered") == 1, "the only one that is its own")
        assert {event.room.name for event in receiver.verified()[before:]} == {"attic"}
    assert stored(path) == (7,), "they are the other's"


async def test_who_slept_through_its_lease_asks_before_it_sends(receiver: Receiver, tmp_path: Path) -> None:
    path, clock, wakes = tmp_path / "ting.db", Clock(), asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        await wakes.wait()
        return web.Response()

    receiver.answers.append(wait)
    async with Process(path, clock, receiver, lease_s=30_000) as one:
        one.tell(*life("lobby"))
        await eventually(lambda: stored(path) == (7,) and len(receiver.requests) == 1, "the first on its way")
        await take_over(path)
        clock.now += 30_001
        wakes.set()
        await eventually(lambda: one.count("taken_over") == 6, "all but the first")
        assert (len(receiver.requests), one.count("delivered")) == (1, 1)


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({}, "url must be"),
        ({"url": "ftp://example.org"}, "url must be"),
        ({"url": "http:///path"}, "url must be"),
        ({"url": "https://user:word@example.org"}, "url must be"),
        ({"url": "https://example.org/a b"}, "url must be"),
        ({"url": "https://[bad"}, "url must be"),
        ({"url": "https://example.org/" + "x" * 2048}, "url must be"),
        ({"url": "https://example.org", "format": "xml"}, "format is none of"),
        ({"url": "https://example.org", "events": ["party"]}, "party is no event"),
        ({"url": "https://example.org", "api_key": "other"}, "no API key"),
        ({"url": "https://example.org", "retries": 3}, "unknown key retries"),
    ],
)
def test_settings_that_are_refused(table: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        make_settings(webhooks=targets(table))
    assert str(caught.value).startswith(("webhooks", "--webhooks"))


def test_too_many_and_doubled_urls_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 16"):
        make_settings(webhooks=targets(*({"url": f"https://example.org/{number}"} for number in range(17))))
    with pytest.raises(ConfigError, match="twice"):
        make_settings(webhooks=targets({"url": "https://example.org"}, {"url": "https://example.org"}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("7", 7), ("-7", 0), ("9" * 50, 999_999_999), ("soon", 0), ("Thu, 01 Jan 1970 00:00:09 GMT", 4),
     ("Thu, 01 Jan 1970 00:00:01 GMT", 0), ("Thu, 99 Jan 1970 00:00:01 GMT", 0)],
)  # fmt: skip
def test_retry_after(text: str, seconds: float) -> None:
    assert retry_after_s(text, now=5.0) == seconds
