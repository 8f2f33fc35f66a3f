"""Who learns how a call goes and went, what is kept of it, and when that goes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sfu.api import (
    CallTimeline,
    ConnectionGrade,
    LeaveReason,
    LineFigures,
    Moment,
    ParticipantInfo,
    ParticipantLeft,
    ParticipantState,
    Permissions,
    SwitchCause,
    TimelineEntry,
    TrackSource,
)
from sfu.ids import Identity, ParticipantId, RoomName, TrackId
from signaling.db import timelines as kept_rows
from signaling.log.timelines import kept_of
from signaling.rooms import spread_timelines
from signaling.rooms.homes import Homes
from signaling.rooms.roles import Actor, Role
from signaling.rooms.spread_timelines import SpreadTimelines
from tests.signaling.account_rig import running_accounts
from tests.signaling.harness import Server
from tests.signaling.rooms import Clock, Person, founder, visitor
from tests.signaling.test_account_archive import person_of, read
from tests.signaling.test_spread import Wire

LINE = LineFigures(200_000, 250_000, 0.05123456, 80.5, 0, 0.0)
FIGURES = {
    "sent_bps": 200_000, "estimate_bps": 250_000, "sent_loss": 0.0512, "rtt_ms": 80.5, "received_bps": 0,
    "received_loss": 0.0,
}  # fmt: skip
SWITCH = TimelineEntry(
    3_000, Moment.LOWERED, track_id=TrackId("TR_1"), of=Identity("ada~2"), source=TrackSource.CAMERA,
    cause=SwitchCause.LINE, layer=1, height=360, from_height=720, limit_bps=400_000,
)  # fmt: skip
ENTRIES = (TimelineEntry(2_000, Moment.QUALITY, ConnectionGrade.POOR, LINE), SWITCH)
TOLD = [
    {"at_ms": 2_000, "what": "quality", "grade": "poor", **FIGURES},
    {
        "at_ms": 3_000, "what": "lowered", "of": "ada", "source": "camera", "cause": "line", "layer": 1, "height": 360,
        "from_height": 720, "limit_bps": 400_000,
    },
]  # fmt: skip


async def leave(server: Server, person: Person, entries: tuple[TimelineEntry, ...] = ENTRIES) -> None:
    """The person comes to the call and goes again, for whom it went so."""
    client = await server.connect(person.token)
    await client.expect("join")
    server.sfu.start_call(person.room)
    session = server.sfu.session_of(person.room, person.identity)
    info = dataclasses.replace(session.info, joined_at_ms=1_000, leave_reason=LeaveReason.CLIENT_INITIATED)
    timeline = CallTimeline(info.identity, info.participant_id, info.name, info.joined_at_ms, entries=entries)
    server.sfu.notify(ParticipantLeft(session.room, info, timeline))
    await server.services.lasting.calls.close()


async def kept(person: Person, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await person.good("GET", "past-call-timelines", params=query))["timelines"]
    return found


async def test_one_reads_how_the_call_goes_for_oneself_and_a_host_for_all(server: Server) -> None:
    ada = await founder(server)
    bob, eve = await visitor(server, ada.room), await founder(server, "Eve")
    assert await ada.good("GET", "call-timelines") == {"timelines": [], "missing": []}
    server.sfu.timelines[RoomName(ada.room)] = [
        CallTimeline(Identity(f"{bob.identity}~2"), ParticipantId("PA_1"), "Bob", 1, 2, LeaveReason.MEDIA_FAILURE),
        CallTimeline(Identity(bob.identity), ParticipantId("PA_2"), "Bob", 3, line=LINE, entries=(SWITCH,)),
        CallTimeline(Identity(ada.identity), ParticipantId("PA_3"), "Ada", 3),
    ]
    of_all, of_bob = [(await person.good("GET", "call-timelines"))["timelines"] for person in (ada, bob)]
    assert [one["participant_id"] for one in of_all] == ["PA_1", "PA_2", "PA_3"]
    assert [one["participant_id"] for one in of_bob] == ["PA_1", "PA_2"]
    assert (of_bob[0]["left_at_ms"], of_bob[0]["leave_reason"]) == (2, "media_failure")
    assert of_bob[1]["line"]["estimate_bps"] == 250_000
    assert (of_bob[1]["entries"][0]["cause"], of_bob[1]["entries"][0]["from_height"]) == ("line", 720)
    only_ada = await ada.good("GET", "call-timelines", params={"member": ada.member_id})
    assert [one["participant_id"] for one in only_ada["timelines"]] == ["PA_3"]
    brief = (await bob.good("GET", "call-timelines", params={"entries": "false"}))["timelines"]
    assert [one["entries"] for one in brief] == [[], []]
    assert brief[1]["line"] == of_bob[1]["line"]

    assert await bob.refused("GET", "call-timelines", params={"member": ada.member_id}) == "forbidden"
    for path in ("call-timelines", "past-call-timelines"):
        url = f"/api/v1/rooms/{ada.room}/{path}"
        assert await eve.refused("GET", url) == "room_not_found", "an owner, but of another room"
        assert await Person(server, "Nobody").refused("GET", url) == "unauthorized"


async def test_who_is_in_the_call_and_of_whom_nothing_is_known_is_named(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    for person in (ada, bob):
        await (await server.connect(person.token)).expect("join")
    info = server.sfu.session_of(ada.room, ada.identity).info
    server.sfu.timelines[RoomName(ada.room)] = [CallTimeline(info.identity, info.participant_id, "Ada", 3)]
    missing = {"identity": bob.identity, "member_id": bob.member_id, "name": "Bob"}
    assert (await ada.good("GET", "call-timelines"))["missing"] == [missing]
    assert (await ada.good("GET", "call-timelines", params={"member": ada.member_id}))["missing"] == []


async def test_what_is_kept_is_for_hosts_and_for_whom_it_is_about(server: Server) -> None:
    ada = await founder(server, policy={"call_timelines": True})
    bob, cem, dan = [await visitor(server, ada.room, name) for name in ("Bob", "Cem", "Dan")]
    await ada.good("PUT", f"members/{dan.member_id}", {"role": "moderator"})
    await ada.good("PUT", f"members/{cem.member_id}", {"role": "member"})
    sync = await cem.sync()
    await sync.wait_for("opened")
    await leave(server, bob)

    heard = await sync.wait_for("entry")
    while heard["verb"] != "left":
        heard = await sync.wait_for("entry")
    (read_later,) = [one for one in await cem.entries() if one["verb"] == "left"]
    call = heard["body"]["call"]
    assert heard["body"] == read_later["body"] == {"call": call, "measured": True}, "others learn that there is one"

    (of_bob,) = await kept(bob)
    assert of_bob == {
        "seq": heard["seq"], "call": call, "member_id": bob.member_id, "name": "Bob", "joined_at_ms": 1_000,
        "left_at_ms": heard["at_ms"], "leave_reason": "client_initiated", "entries": TOLD,
    }  # fmt: skip
    for host in (ada, dan):
        assert await kept(host) == await kept(host, member=bob.member_id) == [of_bob]
        assert await kept(host, member=cem.member_id) == []
    assert await kept(cem) == []
    assert await cem.refused("GET", "past-call-timelines", params={"member": bob.member_id}) == "forbidden"

    path = f"past-call-timelines/{bob.member_id}"
    assert await cem.refused("DELETE", path) == "forbidden"
    assert await ada.good("DELETE", f"past-call-timelines/{cem.member_id}") == {"timelines": 0}
    assert await bob.good("DELETE", path) == {"timelines": 1}
    assert (await kept(bob), await kept(ada)) == ([], [])
    (left,) = [one for one in await ada.entries() if one["verb"] == "left"]
    assert left["body"] == {"call": call}, "that they were there stays"


@pytest.mark.parametrize("policy", [{}, {"call_timelines": True, "keeps": "nothing"}])
async def test_nothing_is_kept_where_the_policy_does_not_say_so(server: Server, policy: dict[str, Any]) -> None:
    ada = await founder(server, policy=policy)
    await leave(server, ada)
    assert await kept(ada) == []
    database = await server.services.storage.open()
    query = "SELECT body FROM entries WHERE verb = 'left'"
    rows = await database.read(lambda connection: connection.exec_driver_sql(query).scalars().all())
    assert [sorted(json.loads(body)) for body in rows] == [["call"]]


async def test_it_goes_with_its_entry(server: Server) -> None:
    clock = Clock(server)
    server.services.lasting.kept_timelines._clock = server.services.lasting.log._clock
    ada = await founder(server, policy={"call_timelines": True, "retention_s": 60})
    await leave(server, ada)
    assert len(await kept(ada)) == 1
    clock.advance(61)
    assert await kept(ada) == [], "whether or not it is gone from the disk"


async def test_pages_go_on_where_they_ended_however_long_the_log_is(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await founder(server, policy={"call_timelines": True})
    for _ in range(3):
        await leave(server, ada)
    seqs = [one["seq"] for one in await kept(ada)]
    assert len(seqs) == 3
    assert seqs == sorted(seqs, reverse=True)

    async def in_pages() -> list[int]:
        found, query = [], {"limit": 1}
        while True:
            page = await ada.good("GET", "past-call-timelines", params=query)
            found += [one["seq"] for one in page["timelines"]]
            if page["before"] is None:
                return found
            query["before"] = page["before"]

    assert await in_pages() == seqs
    assert [one["seq"] for one in await kept(ada, before=10**40)] == seqs
    monkeypatch.setattr(kept_rows, "MAX_SCANNED", 2)
    assert await in_pages() == seqs


def entries_of(lines: int, events: int) -> Iterator[TimelineEntry]:
    yield from (TimelineEntry(at, Moment.LINE, ConnectionGrade.GOOD, LINE) for at in range(lines))
    yield from (dataclasses.replace(SWITCH, at_ms=lines + at) for at in range(events))


@pytest.mark.parametrize(("max_bytes", "lines", "events"), [(100_000, 60, 60), (16_384, 30, 60), (4_000, 0, 29)])
def test_so_many_bytes_are_kept_figures_between_go_first(max_bytes: int, lines: int, events: int) -> None:
    person = ParticipantInfo(
        ParticipantId("PA_1"), Identity("bob"), "Bob", ParticipantState.DISCONNECTED, 1, 1, Permissions()
    )
    body = kept_of(person, list(entries_of(60, 60)), max_bytes)
    assert len(msgspec.json.encode(body)) <= max_bytes
    times = {what: [one["at_ms"] for one in body["timeline"] if one["what"] == what] for what in ("line", "lowered")}
    assert (times["line"], len(times["lowered"])) == (list(range(0, 60, 60 // lines)) if lines else [], events)
    assert times["lowered"][-1] == 119, "the newest stay"
    assert kept_of(person, [SWITCH], 50) == {}


async def test_it_is_part_of_what_belongs_to_an_account_and_goes_with_it() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in("Ada")
        bob = await founder(rig.server, "Bob", policy={"call_timelines": True})
        ada = await person_of(rig, browser, bob.room)
        await leave(rig.server, ada)
        await leave(rig.server, bob)
        assert {one["name"] for one in await kept(bob)} == {"Ada", "Bob"}
        async with browser.http.get(f"{browser.url}/api/v1/account/export", headers=browser.headers) as answer:
            lines = read(await answer.read())[2]
        bodies = [line["body"] for line in lines if line.get("verb") == "left"]
        assert [body["timeline"] for body in bodies] == [TOLD]
        assert bob.member_id not in json.dumps(bodies)
        assert await browser("DELETE", "/account") == 204, browser.json
        assert [one["name"] for one in await kept(bob)] == ["Bob"]


async def test_nothing_is_kept_of_an_account_that_is_gone_when_its_person_leaves() -> None:
    """Who deletes the account in a call is put out of the call by that, and leaves it afterwards."""
    async with running_accounts() as rig:
        browser = await rig.signed_in("Ada")
        bob = await founder(rig.server, "Bob", policy={"call_timelines": True})
        ada = await person_of(rig, browser, bob.room)
        client = await rig.server.connect(ada.token)
        await client.expect("join")
        rig.server.sfu.start_call(ada.room)
        session = rig.server.sfu.session_of(ada.room, ada.identity)
        assert await browser("DELETE", "/account") == 204, browser.json
        info = session.info
        timeline = CallTimeline(info.identity, info.participant_id, info.name, info.joined_at_ms, entries=ENTRIES)
        rig.server.sfu.notify(ParticipantLeft(session.room, info, timeline))
        await rig.server.services.lasting.calls.close()
        (left,) = [one for one in await bob.entries() if one["verb"] == "left"]
        assert left["from"] == ada.member_id
        assert await kept(bob) == []
        assert "measured" not in left["body"]


async def test_what_an_archive_brings_is_shown_as_far_as_it_is_such(server: Server) -> None:
    """An archive's bodies may have fields that nothing here knows."""
    ada = await founder(server, policy={"call_timelines": True})
    await leave(server, ada)
    database = await server.services.storage.open()
    for body in ({"x": {"timeline": [1]}}, {"timeline": {"timeline": [1]}}, {"timeline": [1], "joined_at_ms": "soon"}):
        query = "UPDATE entries SET body = ? WHERE verb = 'left'"
        text = json.dumps(body, separators=(",", ":"))
        await database.write(lambda connection, text=text, query=query: connection.exec_driver_sql(query, (text,)))
        await kept(ada)


class Node:
    """One of a cluster: who is there, and how it goes for them."""

    def __init__(self, wire: Wire, name: str, *people: str) -> None:
        self.end = wire.end(name)
        self.end.call_timelines = lambda room: [
            CallTimeline(Identity(one), ParticipantId(f"PA_{one}"), one, 1, entries=ENTRIES) for one in people
        ]
        self.end.participants = lambda room: [
            ParticipantInfo(
                ParticipantId(f"PA_{one}"), Identity(one), one, ParticipantState.ACTIVE, 1, 1, Permissions()
            )
            for one in ("ada", "bob", "cem~2")
        ]
        self.timelines = SpreadTimelines(self.end, Homes())

    async def view(self, member_id: str = "", role: Role = Role.OWNER) -> tuple[list[str], list[str]]:
        actor = Actor(7, RoomName("den"), Identity("ada"), "Ada", role)
        view = await self.timelines.view(actor, member_id)
        assert all(tuple(one.entries) == ENTRIES for one in view.timelines)
        return [one.name for one in view.timelines], [one.name for one in view.missing]


async def test_other_nodes_are_asked_and_who_is_on_one_that_is_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    one, two, _ = Node(wire, "one", "ada"), Node(wire, "two", "bob"), Node(wire, "three", "cem~2")
    assert await one.view() == (["ada"], ["bob", "cem~2"])
    for first, second in (("one", "two"), ("one", "three"), ("two", "three")):
        wire.connect(first, second)
    assert await one.view() == (["ada", "bob", "cem~2"], [])
    assert await two.view("cem") == (["cem~2"], [])
    assert await one.view("", Role.MEMBER) == (["ada"], [])

    wire.held = True
    asked = asyncio.create_task(one.view())
    await asyncio.sleep(0)
    wire.cut("one", "two")
    wire.held = False
    wire.release()
    assert await asked == (["ada", "cem~2"], ["bob"]), "who went away meanwhile is not waited for"

    monkeypatch.setattr(spread_timelines, "ANSWER_S", 0.01)
    wire.held = True
    assert await one.view() == (["ada"], ["bob", "cem~2"])
    wire.release()
    await asyncio.sleep(0)
    assert one.timelines._questions == {}
    monkeypatch.setattr(spread_timelines, "MAX_QUESTIONS", 0)
    assert await one.view() == (["ada"], ["bob", "cem~2"])
