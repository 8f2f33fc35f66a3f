"""The log of a room over REST, WebSocket and server-sent events: order, repetition, verbs, privacy, search."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import WSMsgType
from livekit.protocol import models

from sfu.api import DataKind
from signaling.db.storage import Storage
from signaling.errors import DatabaseError
from tests.signaling.harness import Server, eventually, running
from tests.signaling.rooms import Person, founder, visitor


@pytest.fixture
async def server(url: str) -> AsyncIterator[Server]:
    """Once with SQLite, once with PostgreSQL."""
    async with running(database_url=url) as running_server:
        yield running_server


def texts(entries: list[dict[str, Any]]) -> list[str | None]:
    return [e["body"] and e["body"]["text"] for e in entries if e["verb"] == "message"]


async def test_entries_come_in_one_order_without_gaps(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    await asyncio.gather(*(person.say(f"{person.name} {n}") for n in range(10) for person in (ada, bob)))
    seen_by_ada, seen_by_bob = await ada.entries(), await bob.entries()
    assert [e["seq"] for e in seen_by_ada] == list(range(1, 22))
    assert [(e["seq"], e["body"]) for e in seen_by_ada] == [(e["seq"], e["body"]) for e in seen_by_bob]


async def test_a_client_that_repeats_itself_finds_its_entry(server: Server) -> None:
    ada = await founder(server)
    drafts = [{"verb": "message", "client_id": "same", "body": {"text": f"try {n}"}} for n in range(5)]
    answers = await asyncio.gather(*(ada.good("POST", "entries", draft) for draft in drafts))
    assert {(a["seq"], a["body"]["text"]) for a in answers} == {(2, answers[0]["body"]["text"])}
    assert len(texts(await ada.entries())) == 1
    # Another's client id is another's business.
    bob = await visitor(server, ada.room)
    assert (await bob.good("POST", "entries", drafts[0]))["seq"] == 3
    assert "same" not in json.dumps([e for e in await bob.entries() if e["from"] == ada.member_id])


async def test_pages(server: Server) -> None:
    ada = await founder(server)
    for n in range(7):
        await ada.say(str(n))
    page = await ada.good("GET", "entries", params={"limit": 3})
    assert (texts(page["entries"]), page["newest"], page["more"]) == (["4", "5", "6"], 8, True)
    page = await ada.good("GET", "entries", params={"limit": 3, "before": page["entries"][0]["seq"]})
    assert texts(page["entries"]) == ["1", "2", "3"]
    page = await ada.good("GET", "entries", params={"since": 6})
    assert (texts(page["entries"]), page["more"]) == (["5", "6"], False)
    assert await ada.refused("GET", "entries", params={"limit": 0}) == "invalid_body"
    assert await ada.refused("GET", "entries", params={"befor": 1}) == "invalid_body"


async def test_edit_and_delete(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    seq = (await bob.say("helo"))["seq"]
    assert (await ada.write("edit", seq, text="hello"))[1]["error"]["code"] == "forbidden"
    await bob.write("edit", seq, text="hello")
    message = next(e for e in await ada.entries() if e["seq"] == seq)
    assert message["body"]["text"] == "hello"
    assert message["body"]["edited_at_ms"] >= message["at_ms"]
    assert (await ada.write("delete", seq))[0] == 200, "owners remove what others wrote"
    entries = await bob.entries()
    assert [e["body"] for e in entries if e["seq"] == seq or e["verb"] == "edit"] == [None, None]
    assert (await bob.write("edit", seq, text="again"))[1]["error"]["code"] == "entry_gone"
    assert await texts_found(ada, "hello") == []


async def texts_found(person: Person, question: str) -> list[str | None]:
    return texts((await person.good("GET", "search", params={"q": question}))["entries"])


async def test_reactions_pins_polls_and_hands(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    first = (await bob.say("first"))["seq"]
    assert (await bob.write("react", first, emoji="👍"))[0] == 200
    assert (await bob.write("pin", first))[1]["error"]["code"] == "forbidden"
    await ada.write("pin", first)
    assert [e["seq"] for e in (await bob.good("GET", "pins"))["entries"]] == [first]
    await ada.write("pin", first, on=False)
    assert (await bob.good("GET", "pins"))["entries"] == []
    poll = (await ada.write("poll", question="When?", options=["Monday", "Friday"]))[1]["seq"]
    assert (await bob.write("vote", poll, choices=[1]))[0] == 200
    for choices in ([2], [0, 1], [1, 1]):
        assert (await bob.write("vote", poll, choices=choices))[1]["error"]["code"] == "invalid_body"
    assert (await bob.write("close_poll", poll))[1]["error"]["code"] == "forbidden"
    await ada.write("close_poll", poll)
    assert (await bob.write("vote", poll, choices=[0]))[1]["error"]["code"] == "poll_closed"
    assert (await bob.write("hand", up=True))[0] == 200


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        ({"verb": "shout", "body": {}}, "invalid_body"),
        ({"verb": "message", "body": {}}, "invalid_body"),
        ({"verb": "message", "body": {"text": " \n"}}, "invalid_body"),
        ({"verb": "message", "body": {"text": "x" * 5000}}, "invalid_body"),
        ({"verb": "message", "body": {"text": "a\u0007"}}, "invalid_body"),
        ({"verb": "message", "body": {"text": "a", "html": "b"}}, "invalid_body"),
        ({"verb": "message", "body": {"text": "a"}, "client_id": ""}, "invalid_body"),
        ({"verb": "message", "body": {"text": "a"}, "client_id": "x" * 65}, "invalid_body"),
        ({"verb": "message", "body": {"text": "a"}, "from": "somebody"}, "invalid_body"),
        ({"verb": "message", "body": {"text": "a"}, "target": 99}, "entry_not_found"),
        ({"verb": "edit", "body": {"text": "a"}}, "invalid_body"),
        ({"verb": "edit", "body": {"text": "a"}, "target": 1}, "invalid_body"),
        ({"verb": "react", "body": {"emoji": "x"}, "target": 99}, "entry_not_found"),
        ({"verb": "moderation", "body": {"act": "kick"}}, "invalid_body"),
        ({"verb": "call_ended", "body": {}}, "invalid_body"),
        ({"verb": "poll", "body": {"question": "?", "options": ["one"]}}, "invalid_body"),
        ({"verb": "hand", "body": {"up": 1}}, "invalid_body"),
    ],
)  # fmt: skip
async def test_bad_entries_are_refused_and_leave_nothing(server: Server, draft: dict[str, Any], code: str) -> None:
    ada = await founder(server)
    assert await ada.refused("POST", "entries", {"client_id": "x", **draft}) == code
    assert len(await ada.entries()) == 1


async def test_a_private_message_is_for_two(server: Server) -> None:
    ada = await founder(server)
    bob, eve = await visitor(server, ada.room), await visitor(server, ada.room, "Eve")
    listening = await eve.sync(since=1)
    await listening.wait_for("opened")
    seq = (await ada.say("a secret", to=bob.member_id))["seq"]
    await bob.write("react", seq, emoji="👀")
    await bob.write("edit", (await bob.say("mine", target=seq, to=ada.member_id))["seq"], text="mine too")
    for person in (ada, bob):
        assert texts(await person.entries()) == ["a secret", "mine too"]
        assert len(await person.entries()) == 5
    assert len(await eve.entries()) == 1
    assert await texts_found(eve, "secret") == []
    for verb, body in (("react", {"emoji": "x"}), ("message", {"text": "me too"}), ("delete", {})):
        assert (await eve.write(verb, seq, **body))[1]["error"]["code"] == "entry_not_found"
    await ada.say("for all")
    assert (await listening.wait_for("entry"))["body"]["text"] == "for all"


async def test_search_finds_words_beginnings_and_chinese(server: Server) -> None:
    ada = await founder(server)
    for text in ("Bring the résumé tomorrow", "我们明天开会讨论预算", "明年再说", "会议在明天", "tom and jerry"):
        await ada.say(text)
    await ada.write("poll", question="Which café?", options=["Central", "Hawelka"])
    assert await texts_found(ada, "resume") == ["Bring the résumé tomorrow"]
    assert await texts_found(ada, "tomo") == ["Bring the résumé tomorrow"]
    assert await texts_found(ada, "tom the") == []
    assert await texts_found(ada, "明天") == ["会议在明天", "我们明天开会讨论预算"]
    assert await texts_found(ada, "预算") == ["我们明天开会讨论预算"]
    assert await texts_found(ada, "明") == ["会议在明天", "明年再说", "我们明天开会讨论预算"]
    polls = (await ada.good("GET", "search", params={"q": "hawel"}))["entries"]
    assert [e["verb"] for e in polls] == ["poll"]
    assert await ada.refused("GET", "search", params={"q": "…"}) == "invalid_body"


async def test_reading_and_unread(server: Server) -> None:
    ada = await founder(server, policy={"read_markers": True})
    bob = await visitor(server, ada.room)
    for n in range(3):
        await ada.say(str(n))
    assert await bob.good("GET", "read") == {"read_seq": 0, "unread": 3}
    sync = await ada.sync()
    await sync.wait_for("opened")
    await bob.good("PUT", "read", {"seq": 3})
    told = await sync.wait_for("read")
    assert (told["from"], told["name"], told["seq"]) == (bob.member_id, "Bob", 3)
    assert await bob.good("GET", "read") == {"read_seq": 3, "unread": 1}
    await bob.good("PUT", "read", {"seq": 2})
    await bob.good("PUT", "read", {"seq": 10**12})
    assert await bob.good("GET", "read") == {"read_seq": 4, "unread": 0}


async def test_whoever_comes_later_hears_how_far_others_have_read_where_the_policy_has_it_so(server: Server) -> None:
    ada = await founder(server, policy={"read_markers": True})
    bob, cem = await visitor(server, ada.room), await visitor(server, ada.room, "Cem")
    for n in range(3):
        await ada.say(str(n))
    await bob.good("PUT", "read", {"seq": 2})
    await cem.good("PUT", "read", {"seq": 3})
    opened = await (await bob.sync()).wait_for("opened")
    assert opened["reads"] == [{"from": cem.member_id, "name": "Cem", "seq": 3}]
    server.services.lasting.reader._settings = replace(server.services.lasting.reader._settings, max_read_marks=1)
    opened = await (await ada.sync()).wait_for("opened")
    assert [one["name"] for one in opened["reads"]] == ["Cem"]
    await ada.good("PATCH", "", {"policy": {"read_markers": False}})
    opened = await (await ada.sync()).wait_for("opened")
    assert opened["reads"] == []


async def test_history_only_for_members_where_the_owner_wants_it(server: Server) -> None:
    ada = await founder(server, policy={"history": False})
    await ada.say("before")
    bob = await visitor(server, ada.room)
    await ada.say("after")
    assert texts(await bob.entries()) == ["after"]
    assert await texts_found(bob, "before") == []
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "member"})
    assert texts(await bob.entries()) == ["before", "after"]


async def test_a_room_that_keeps_nothing_passes_on_and_forgets(server: Server) -> None:
    ada = await founder(server, policy={"keeps": "nothing"})
    bob = await visitor(server, ada.room)
    sync = await bob.sync()
    await sync.wait_for("opened")
    assert (await ada.say("gone with the wind"))["seq"] == 0
    assert (await sync.wait_for("entry"))["body"]["text"] == "gone with the wind"
    assert texts(await bob.entries()) == []
    await ada.good("PATCH", "", {"policy": {"locked": True}})
    assert [e["verb"] for e in await ada.entries()] == ["moderation", "policy"]


async def test_one_person_does_not_flood_a_room() -> None:
    async with running(entries_per_second=0.001, entry_burst=3) as server:
        ada = await founder(server)
        for n in range(3):
            await ada.say(str(n))
        assert (await ada.write("message", text="4"))[1]["error"]["code"] == "rate_limited"
        await (await visitor(server, ada.room)).say("another may")


async def test_what_the_database_did_not_take_was_not_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await founder(server)

    async def fail(_storage: Storage) -> None:
        raise DatabaseError("the disk is full")

    draft = {"verb": "hand", "client_id": "1", "body": {"up": True}}
    with monkeypatch.context() as broken:
        broken.setattr(Storage, "log", fail)
        assert await ada.refused("POST", "entries", draft) == "unavailable"
    await ada.good("POST", "entries", draft)
    assert [e["verb"] for e in await ada.entries()] == ["moderation", "hand"]


# --- WebSocket ----------------------------------------------------------------------------------------------


async def test_sync_catches_up_and_goes_on(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    await ada.say("one")
    sync = await bob.sync(since=1)
    opened = await sync.receive()
    assert (opened["type"], opened["role"], opened["newest"], opened["unread"]) == ("opened", "guest", 2, 1)
    assert (await sync.receive())["body"]["text"] == "one"
    await ada.say("two")
    assert (await sync.receive())["body"]["text"] == "two"
    await sync.send("write", verb="message", client_id="c1", body={"text": "three"})
    messages = [await sync.receive(), await sync.receive()]
    assert {m["type"] for m in messages} == {"entry", "written"}
    assert {(m["seq"], m["client_id"]) for m in messages} == {(4, "c1")}
    await sync.send("write", verb="message", client_id="c2", body={"text": ""})
    refused = await sync.receive()
    assert (refused["type"], refused["client_id"], refused["code"]) == ("refused", "c2", "invalid_body")


async def test_who_was_away_for_too_long_begins_anew(server: Server) -> None:
    ada = await founder(server)
    for n in range(3):
        await ada.say(str(n))
    fresh = await ada.sync()
    assert [(await fresh.receive())["type"] for _ in range(3)] == ["opened", "reset", "knocks"]


async def test_typing_is_told_to_the_others_and_not_kept(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    of_ada, of_bob = await ada.sync(since=1), await bob.sync(since=1)
    await of_bob.wait_for("opened")
    await of_ada.wait_for("opened")
    await of_bob.send("typing", on=True)
    told = await of_ada.wait_for("typing")
    assert (told["from"], told["name"], told["on"]) == (bob.member_id, "Bob", True)
    assert len(await ada.entries()) == 1


async def test_a_role_that_changes_holds_at_once_on_an_open_connection(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    seq = (await ada.say("to pin"))["seq"]
    sync = await bob.sync(since=seq)
    await sync.wait_for("opened")
    await sync.send("write", verb="pin", client_id="1", target=seq)
    assert (await sync.wait_for("refused"))["code"] == "forbidden"
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "moderator"})
    await sync.send("write", verb="pin", client_id="2", target=seq)
    assert (await sync.wait_for("written"))["client_id"] == "2"


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "{}", '{"type":"open"}', '{"type":"open","room":"x","token":"y","extra":1}', '{"type":"nothing"}',
     '{"type":"read","room":"x","seq":NaN}', '{"type":"read","room":"x","seq":-1}', '{"type":"ping","type":"ping"}',
     '{"type":"typing","room":"\\ud800","on":true}',
     "[" * 60_000],
)  # fmt: skip
async def test_bad_messages_get_an_error_and_nothing_else(server: Server, message: str) -> None:
    ada = await founder(server)
    sync = await ada.sync(since=1)
    await sync.wait_for("opened")
    await sync.ws.send_str(message)
    assert (await sync.wait_for("error"))["code"] == "invalid_body"
    await sync.send("write", verb="hand", client_id="1", body={"up": True})
    await sync.wait_for("written")


async def test_sync_has_limits() -> None:
    async with running(max_sync_connections_per_person=2, sync_messages_per_second=1, sync_message_burst=10) as server:
        ada = await founder(server)
        open_ones = [await ada.sync() for _ in range(3)]
        answers = [(await sync.receive()).get("code", "") for sync in open_ones]
        assert sorted(answers) == ["", "", "limit_reached"]
        sync = await (await visitor(server, ada.room)).sync()
        await sync.ws.send_bytes(b"x")
        while (await sync.ws.receive(5)).type is WSMsgType.TEXT:
            pass
        assert sync.ws.close_code == 1009
        flood = await (await visitor(server, ada.room, "Eve")).sync()
        for _ in range(20):
            await flood.ws.send_str("{}")
        answered = 0
        while (await flood.ws.receive(5)).type is WSMsgType.TEXT:
            answered += 1
        assert answered < 20
        assert flood.ws.close_code == 1008


async def test_a_token_of_another_room_opens_nothing(server: Server) -> None:
    ada, bob = await founder(server), await founder(server, "Bob")
    sync = await bob.sync()
    await sync.wait_for("opened")
    await sync.ws.send_json({"type": "open", "room": ada.room, "token": bob.token})
    closed = await sync.wait_for("closed")
    assert (closed["room"], closed["code"]) == (ada.room, "room_not_found")
    await sync.ws.send_json({"type": "write", "room": ada.room, "verb": "hand", "client_id": "1", "body": {"up": True}})
    assert (await sync.wait_for("refused"))["code"] == "room_not_found"


# --- server-sent events -------------------------------------------------------------------------------------


async def test_events_go_on_where_the_client_was(server: Server) -> None:
    ada = await founder(server)
    await ada.say("one")
    headers = {"Authorization": f"Bearer {ada.token}", "Last-Event-ID": "1"}
    async with server.http.get(f"{server.url}/api/v1/rooms/{ada.room}/events", headers=headers) as response:
        assert response.content_type == "text/event-stream"
        seen = []
        await ada.say("two")
        while len(seen) < 2:
            line = (await asyncio.wait_for(response.content.readline(), 5)).decode()
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: "))["body"]["text"])
        assert seen == ["one", "two"]


# --- SDK clients --------------------------------------------------------------------------------------------


def stream(text: str, stream_id: str, topic: str = "lk.chat", to: list[str] | None = None) -> list[bytes]:
    header = models.DataStream.Header(
        stream_id=stream_id, topic=topic, mime_type="text/plain", text_header=models.DataStream.TextHeader()
    )
    middle = len(text.encode()) // 2
    chunks = [text.encode()[:middle], text.encode()[middle:]]
    packets = [models.DataPacket(stream_header=header)]
    for index, content in enumerate(chunks):
        chunk = models.DataStream.Chunk(stream_id=stream_id, chunk_index=index, content=content)
        packets.append(models.DataPacket(stream_chunk=chunk))
    packets.append(models.DataPacket(stream_trailer=models.DataStream.Trailer(stream_id=stream_id)))
    for packet in packets:
        packet.destination_identities.extend(to or [])
    return [packet.SerializeToString() for packet in packets]


async def test_what_an_sdk_says_enters_the_log_and_what_the_log_gets_reaches_the_sdk(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    for person in (ada, bob):
        await (await server.connect(person.token)).expect("join")
    of_ada, of_bob = (server.sfu.session_of(ada.room, p.identity) for p in (ada, bob))
    server.sfu.start_call(ada.room)
    await eventually(lambda: server.services.lasting.calls.key_of(ada.room) is not None, "the call is known")
    for payload in stream("你好 from an SDK", "s1"):
        of_bob.receive_data(DataKind.RELIABLE, payload)
    for payload in stream("for Ada only", "s2", to=[ada.identity]):
        of_bob.receive_data(DataKind.RELIABLE, payload)
    for payload in stream("another topic", "s3", topic="files"):
        of_bob.receive_data(DataKind.RELIABLE, payload)
    old = models.DataPacket(chat_message=models.ChatMessage(id="s4", message="legacy"))
    of_bob.receive_data(DataKind.RELIABLE, old.SerializeToString())
    sync = await ada.sync(since=0)
    said = [(e["from"], e["body"]["text"], e.get("to", "")) for _ in range(3) if (e := await next_message(sync))]
    assert said == [
        (bob.member_id, "你好 from an SDK", ""), (bob.member_id, "for Ada only", ada.member_id),
        (bob.member_id, "legacy", ""),
    ]  # fmt: skip
    of_bob.data.clear()
    of_ada.data.clear()
    await ada.say("from the page")
    await eventually(lambda: len(of_bob.data) == 3, "the stream")
    packets = [models.DataPacket.FromString(payload) for _, payload in of_bob.data]
    assert [packet.WhichOneof("value") for packet in packets] == ["stream_header", "stream_chunk", "stream_trailer"]
    assert (packets[0].stream_header.topic, packets[1].stream_chunk.content) == ("lk.chat", b"from the page")
    assert {packet.participant_identity for packet in packets} == {ada.identity}
    assert of_ada.data == []


async def next_message(sync: Any) -> dict[str, Any]:
    while (entry := await sync.wait_for("entry"))["verb"] != "message":
        pass
    found: dict[str, Any] = entry
    return found


async def test_calls_are_noted(server: Server) -> None:
    ada = await founder(server)
    await (await server.connect(ada.token)).expect("join")
    server.sfu.start_call(ada.room)
    server.sfu.finish_call(ada.room)
    sync = await ada.sync(since=1)
    verbs = [(await sync.wait_for("entry"))["verb"] for _ in range(2)]
    assert verbs == ["call_began", "call_ended"]


# --- as much as possible, at once ---------------------------------------------------------------------------


async def test_many_rooms_at_once_share_the_disk_and_not_their_entries(server: Server) -> None:
    people = [await founder(server, f"P{n}") for n in range(6)]
    await asyncio.gather(*(person.say(f"{person.name} {n}") for person in people for n in range(8)))
    for person in people:
        entries = await person.entries()
        assert [e["seq"] for e in entries] == list(range(1, 10))
        assert sorted(texts(entries)) == [f"{person.name} {n}" for n in range(8)]


async def test_what_was_drawn_is_on_pages_for_those_who_want_it() -> None:
    async with running(max_drawn_bytes=9000, drawn_per_second=0.001, drawn_burst=3, entry_burst=2) as server:
        ada = await founder(server)
        stroke = {"by": ada.member_id, "name": "Ada", "points": [0, 10_000, 5, 5]}
        # More than a message may have, and beside what one may say.
        long = {**stroke, "points": [5000] * 1500}
        for strokes in ([stroke], [long], []):
            assert (await ada.write("draw", share="TR_1", strokes=strokes, clear=not strokes))[0] == 200
        too_long = {**stroke, "points": [5000] * 2000}
        assert (await ada.write("draw", share="TR_1", strokes=[too_long]))[1]["error"]["code"] == "invalid_body"
        assert (await ada.write("draw", share="TR_1"))[1]["error"]["code"] == "rate_limited"
        for text in ("one", "two"):
            await ada.say(text)
        seen = {
            drawn: [e["verb"] for e in (await ada.good("GET", "entries", params={"drawn": drawn}))["entries"]]
            for drawn in ("with", "without", "only")
        }
        assert seen["only"] == ["draw"] * 3
        assert seen["without"] == ["moderation", "message", "message"]
        assert seen["with"] == ["moderation", *["draw"] * 3, "message", "message"]
        since = await ada.good("GET", "entries", params={"drawn": "only", "since": 2})
        assert [e["seq"] for e in since["entries"]] == [3, 4]
        assert await ada.refused("GET", "entries", params={"drawn": "perhaps"}) == "invalid_body"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"share": ""},
        {"share": "TR_1", "strokes": [{"by": "x", "points": [1, 2]}]},
        {"share": "TR_1", "strokes": [{"by": "", "name": "", "points": [1, 2]}]},
        {"share": "TR_1", "strokes": [{"by": "x", "name": "", "points": [1]}]},
        {"share": "TR_1", "strokes": [{"by": "x", "name": "", "points": [1, 2], "colour": "red"}]},
        {"share": "TR_1", "strokes": [{"by": "x", "name": "", "points": [1, 10_001]}]},
        {"share": "TR_1", "strokes": [{"by": "x", "name": "", "points": [1, 2.5]}]},
    ],
)
async def test_what_is_no_drawing_is_refused(server: Server, body: dict[str, Any]) -> None:
    ada = await founder(server)
    assert (await ada.write("draw", **body))[1]["error"]["code"] == "invalid_body"


async def test_a_change_of_the_whiteboard_is_kept_as_it_is(server: Server) -> None:
    ada = await founder(server)
    piece = {"id": "u1", "part": 1, "parts": 2, "update": "AQAB_-8", "upto": 0}
    for body in ({"opened": True}, piece):
        assert (await ada.write("board", **body))[0] == 200
    assert [e["body"] for e in await ada.entries(drawn="only")] == [{"opened": True}, piece]
    for bad in ({"part": 65}, {"parts": 65}, {"part": -1}, {"update": "+/=="}, {"upto": -1}, {"id": "x" * 65}):
        assert (await ada.write("board", **{**piece, **bad}))[1]["error"]["code"] == "invalid_body"
    guest = await visitor(server, ada.room)
    await ada.good("PATCH", "", {"policy": {"guests_write": False}})
    assert (await guest.write("board", **piece))[1]["error"]["code"] == "forbidden"
