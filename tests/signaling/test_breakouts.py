"""Breakout rooms: who is where, who may say so, and that they are a part of the room."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from typing import Any

import pytest

from sfu.api import (
    AddTrackRequest,
    CallTimeline,
    ConnectionGrade,
    Kind,
    LeaveReason,
    LineFigures,
    Moment,
    ParticipantJoined,
    ParticipantLeft,
    TimelineEntry,
    TrackSource,
)
from sfu.ids import RoomName
from tests.signaling.fake_sfu import FakeSession
from tests.signaling.harness import Client, Server, eventually, running
from tests.signaling.rooms import Person, Sync, founder, visitor


class Call:
    """People in the call of one room; `places` says where they are."""

    def __init__(self, server: Server, *people: Person) -> None:
        self.server = server
        self.people = people
        self.clients: list[Client] = []

    async def begin(self) -> None:
        for person in self.people:
            client = await self.server.connect(person.token)
            await client.expect("join")
            self.clients.append(client)
        self.server.sfu.start_call(self.people[0].room)

    async def view(self) -> dict[str, Any]:
        view: dict[str, Any] = await self.people[0].good("GET", "breakouts")
        return view

    def session(self, person: Person) -> FakeSession | None:
        rooms = [info.name for info in self.server.sfu.rooms()]
        found = [self.server.sfu.find_participant(room, person.identity) for room in rooms]  # type: ignore[arg-type]
        return next((session for session in found if session is not None), None)

    async def places(self) -> list[int]:
        """The number of the room in which each of the people is; -1: in none."""
        of = {one["member_id"]: room["number"] for room in (await self.view())["rooms"] for one in room["people"]}
        return [of.get(person.member_id, -1) for person in self.people]

    async def until(self, *places: int) -> None:
        async with asyncio.timeout(30):
            while await self.places() != list(places):  # noqa: ASYNC110 - the worker has no event for it
                await asyncio.sleep(0.02)

    async def all_back(self) -> None:
        room = self.people[0].room
        await eventually(lambda: len(self.server.sfu.sessions_in(RoomName(room))) == len(self.people), "all are back")


async def call_of(server: Server, *names: str, **room: Any) -> Call:
    ada = await founder(server, names[0], **room)
    others = [await visitor(server, ada.room, name) for name in names[1:]]
    call = Call(server, ada, *others)
    await call.begin()
    return call


async def news(sync: Sync) -> dict[str, Any]:
    return await sync.wait_for("breakouts")


async def test_hosts_divide_move_and_take_back(server: Server) -> None:
    call = await call_of(server, "Ada", "Bob", "Cem")
    ada, bob, cem = call.people
    assert await call.view() == {"open": False, "how": "hand", "rooms": [], "help": [], "hosts": [], "ends_in_ms": None}
    for method, path, body in (
        ("POST", "breakouts", {"rooms": 2}),
        ("DELETE", "breakouts", None),
        ("PATCH", "breakouts", {}),
        ("PUT", f"breakouts/people/{bob.member_id}", {"number": 1}),
    ):
        assert await bob.refused(method, path, body) == "forbidden"
    assert await ada.refused("DELETE", "breakouts") == "not_found"
    assert await ada.refused("POST", "breakouts", {"rooms": 2, "places": {bob.member_id: 3}}) == "invalid_body"

    sync = await cem.sync()
    await sync.wait_for("opened")
    await ada.good("POST", "breakouts", {"rooms": 2, "places": {bob.member_id: 1, cem.member_id: 2}})
    await call.until(0, 1, 2)
    assert (await news(sync))["open"]
    assert (await call.view())["hosts"] == [ada.member_id]
    assert server.sfu.held == {ada.room}
    assert await ada.refused("POST", "breakouts", {"rooms": 2}) == "limit_reached"
    # Whoever follows the room later hears of it at once.
    late = await bob.sync()
    assert [len(room["people"]) for room in (await news(late))["rooms"]] == [1, 1, 1]

    await ada.good("PUT", f"breakouts/people/{cem.member_id}", {"number": 1})
    await call.until(0, 1, 1)
    assert await bob.refused("POST", "breakouts/go", {"number": 2}) == "forbidden"
    await bob.good("POST", "breakouts/go", {"number": 0})
    await ada.good("POST", "breakouts/go", {"number": 2})
    await call.until(2, 0, 1)
    assert await ada.refused("PUT", f"breakouts/people/{bob.member_id}", {"number": 3}) == "not_found"
    assert await ada.refused("PUT", "breakouts/people/nobody", {"number": 1}) == "not_found"

    await ada.good("DELETE", "breakouts")
    await call.all_back()
    assert server.sfu.held == set()
    assert not (await call.view())["open"]
    assert [act for _, act in await ada.acts()] == ["create", "open_breakouts", "close_breakouts"]


async def test_at_random_everybody_but_hosts_and_evenly(server: Server) -> None:
    call = await call_of(server, "Ada", "Bob", "Cem", "Dee", "Eva", "Fay")
    await call.people[0].good("POST", "breakouts", {"rooms": 2, "how": "random"})
    async with asyncio.timeout(30):
        while 0 in (await call.places())[1:]:  # noqa: ASYNC110 - the worker has no event for it
            await asyncio.sleep(0.02)
    places = await call.places()
    assert places[0] == 0
    assert sorted(Counter(places[1:]).values()) == [2, 3]


async def test_by_choice_and_asking_for_help(server: Server) -> None:
    call = await call_of(server, "Ada", "Bob")
    ada, bob = call.people
    await ada.good("POST", "breakouts", {"rooms": 2, "how": "choice"})
    await bob.good("POST", "breakouts/go", {"number": 2})
    await call.until(0, 2)
    await bob.good("POST", "breakouts/help", {})
    assert (await call.view())["help"] == [{"member_id": bob.member_id, "name": "Bob"}]
    await bob.good("POST", "breakouts/help", {"on": False})
    assert (await call.view())["help"] == []
    await bob.good("POST", "breakouts/help", {})
    await ada.good("POST", "breakouts/go", {"number": 2})
    await call.until(2, 2)
    assert (await call.view())["help"] == []
    outside = await visitor(server, ada.room, "Eve")
    for path, body in (("go", {"number": 1}), ("help", {})):
        assert await outside.refused("POST", f"breakouts/{path}", body) == "not_found"


async def test_they_end_by_themselves(server: Server) -> None:
    call = await call_of(server, "Ada", "Bob")
    ada, bob = call.people
    breakouts = server.services.lasting.breakouts
    now = [1000.0]
    breakouts._clock = lambda: now[0]
    await ada.good("POST", "breakouts", {"rooms": 1, "places": {bob.member_id: 1}, "ends_in_s": 60})
    await call.until(0, 1)
    assert (await call.view())["ends_in_ms"] == 60_000
    now[0] += 50
    await ada.good("PATCH", "breakouts", {"ends_in_s": 30})
    assert (await call.view())["ends_in_ms"] == 30_000
    await ada.good("PATCH", "breakouts", {})
    assert (await call.view())["ends_in_ms"] is None
    await ada.good("PATCH", "breakouts", {"ends_in_s": 30})
    now[0] += 31
    await call.all_back()
    await eventually(lambda: not breakouts.view(RoomName(ada.room))["open"], "the end")


async def test_their_limits_are_settings() -> None:
    async with running(max_breakout_rooms=2, max_breakout_s=60.0) as server:
        call = await call_of(server, "Ada")
        (ada,) = call.people
        assert await ada.refused("POST", "breakouts", {"rooms": 3}) == "limit_reached"
        assert await ada.refused("POST", "breakouts", {"rooms": 2, "ends_in_s": 61}) == "limit_reached"
        await ada.good("POST", "breakouts", {"rooms": 2, "ends_in_s": 60})
        assert await ada.refused("PATCH", "breakouts", {"ends_in_s": 61}) == "limit_reached"


async def test_without_a_call_there_are_none(server: Server) -> None:
    ada = await founder(server)
    assert await ada.refused("POST", "breakouts", {"rooms": 1}) == "not_found"


@pytest.mark.parametrize("kind", ["open", "sealed"])
async def test_a_breakout_room_is_a_part_of_the_room(server: Server, kind: str) -> None:
    """Door, bans, moderation and seal reach into it, and nobody comes in past the door of the room."""
    policy = {"policy": {"kind": kind}} if kind == "sealed" else {}
    ada = await founder(server, **policy)
    await ada.enter(sealed=kind == "sealed")
    bob = await visitor(server, ada.room, sealed=kind == "sealed")
    call = Call(server, ada, bob)
    await call.begin()
    await ada.good("POST", "breakouts", {"rooms": 1, "places": {bob.member_id: 1}})
    await call.until(0, 1)
    session = call.session(bob)
    assert session is not None
    breakout = session.room.name
    assert (breakout in server.services.lasting.sealed_rooms) is (kind == "sealed")
    assert await Person(server, "Eve").turned_away(breakout) == "members_only"

    # The token that the client got with the move opens the breakout room and the log of the room.
    moved = (await call.clients[1].wait_for("room_moved")).room_moved
    client = await server.connect(moved.token)
    assert (await client.expect("join")).join.room.name == breakout
    tracked = call.session(bob)
    assert tracked is not None
    tracked.add_track(AddTrackRequest("cid", Kind.AUDIO, TrackSource.MICROPHONE))
    assert (await ada.good("POST", f"participants/{bob.identity}/stop", {}))["tracks"] == 1
    again = Person(server, "Bob", ada.room, token=moved.token, identity=bob.identity)
    await again.good("GET", "entries")

    await ada.good("POST", f"members/{bob.member_id}/kick")
    await eventually(lambda: call.session(bob) is None, "Bob is out")
    assert await again.refused("GET", "entries") == "unauthorized"
    assert await bob.refused("GET", "entries") == "kicked"
    await ada.good("POST", "end-call")
    assert call.session(ada) is None


async def test_whoever_comes_anew_is_nowhere_else_and_comes_back_to_their_room(server: Server) -> None:
    call = await call_of(server, "Ada", "Bob")
    ada, bob = call.people
    await ada.good("POST", "breakouts", {"rooms": 1, "places": {bob.member_id: 1}})
    await call.until(0, 1)
    before = call.session(bob)
    assert before is not None
    client = await server.connect(bob.token)
    await client.expect("join")
    session = server.sfu.session_of(ada.room, bob.identity)
    server.sfu.notify(ParticipantJoined(session.room, session.info))
    assert before.ended is LeaveReason.DUPLICATE_IDENTITY
    await call.until(0, 1)


def timeline_of(session: FakeSession, *times_ms: int) -> CallTimeline:
    """Of one whose connection became poor, so often."""
    info, line = session.info, LineFigures(200_000, 250_000, 0.05, 80.5, 0, 0.0)
    entries = [TimelineEntry(at_ms, Moment.QUALITY, ConnectionGrade.POOR, line) for at_ms in times_ms]
    return CallTimeline(info.identity, info.participant_id, info.name, info.joined_at_ms, entries=entries)


@pytest.mark.parametrize("keeps", [False, True])
async def test_the_log_says_who_came_and_left_and_not_who_was_moved(server: Server, keeps: bool) -> None:
    """And, where the owner wants it, how the call went for them in all its rooms."""
    call = await call_of(server, "Ada", "Bob", policy={"call_timelines": keeps})
    ada, bob = call.people
    await ada.good("POST", "breakouts", {"rooms": 1, "places": {bob.member_id: 1}})
    await call.until(0, 1)
    session = call.session(bob)
    assert session is not None
    main = server.sfu.find_room(RoomName(ada.room))
    assert main is not None
    gone = dataclasses.replace(session.info, leave_reason=LeaveReason.MIGRATION)
    server.sfu.notify(ParticipantLeft(main, gone, timeline_of(session, 1_000)))
    server.sfu.notify(ParticipantJoined(session.room, session.info))
    gone = dataclasses.replace(gone, leave_reason=LeaveReason.CLIENT_INITIATED)
    server.sfu.notify(ParticipantLeft(session.room, gone, timeline_of(session, 2_000)))
    await server.services.lasting.calls.close()
    (left,) = [one for one in await ada.entries() if one["verb"] in ("came", "left")]
    assert (left["verb"], left["name"]) == ("left", "Bob")
    figures = {"sent_bps": 200_000, "estimate_bps": 250_000, "sent_loss": 0.05, "rtt_ms": 80.5}
    received = {"received_bps": 0, "received_loss": 0.0}
    told = [{"at_ms": at, "what": "quality", "grade": "poor", **figures, **received} for at in (1_000, 2_000)]
    assert left["body"].get("measured", False) is keeps
    kept = (await bob.good("GET", "past-call-timelines"))["timelines"]
    assert [one["entries"] for one in kept] == ([told] if keeps else [])


async def test_the_log_keeps_so_much_of_all_rooms_together_and_the_newest() -> None:
    async with running(max_timeline_entries=3) as server:
        call = await call_of(server, "Ada", "Bob", policy={"call_timelines": True})
        ada, bob = call.people
        session = call.session(bob)
        assert session is not None
        moved = dataclasses.replace(session.info, leave_reason=LeaveReason.MIGRATION)
        for first_ms in (0, 10):
            server.sfu.notify(ParticipantLeft(session.room, moved, timeline_of(session, first_ms, first_ms + 1)))
            server.sfu.notify(ParticipantJoined(session.room, session.info))
        gone = dataclasses.replace(session.info, leave_reason=LeaveReason.CLIENT_INITIATED)
        server.sfu.notify(ParticipantLeft(session.room, gone, timeline_of(session, 20, 21)))
        await server.services.lasting.calls.close()
        (left,) = (await ada.good("GET", "past-call-timelines"))["timelines"]
        assert [one["at_ms"] for one in left["entries"]] == [11, 20, 21]


async def test_only_hosts_announce(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    assert (await bob.write("message", text="Tea!", announce=True))[0] == 403
    assert (await ada.write("message", text="Tea!", announce=True))[0] in (200, 201)
    assert (await bob.write("message", text="Tea?", breakout=2))[0] in (200, 201)
    bodies = [one["body"] for one in await ada.entries() if one["verb"] == "message"]
    assert bodies == [{"text": "Tea!", "announce": True}, {"text": "Tea?", "breakout": 2}]
