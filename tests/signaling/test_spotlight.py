"""Who is first for all in a call, and who has talked how long."""

from __future__ import annotations

from sfu.api import ParticipantJoined, TalkTime
from sfu.ids import Identity, RoomName
from tests.signaling.harness import Server
from tests.signaling.rooms import Person, founder, visitor


def first_of(server: Server, *people: Person) -> list[tuple[str, str]]:
    sessions = (server.sfu.session_of(person.room, person.identity) for person in people)
    return [(one.attributes.get("ting.spotlight", ""), one.attributes.get("ting.spotlight_by", "")) for one in sessions]


async def test_a_host_puts_one_first_until_it_ends(server: Server) -> None:
    ada = await founder(server)
    bob, cem = await visitor(server, ada.room), await visitor(server, ada.room, "Cem")
    clients = [await server.connect(person.token) for person in (ada, bob, cem)]
    for client in clients:
        await client.expect("join")
    assert await bob.refused("PUT", "spotlight", {"identity": bob.identity}) == "forbidden"
    assert await ada.refused("PUT", "spotlight", {"identity": "nobody"}) == "not_found"
    assert await ada.refused("PUT", "spotlight", {"identity": bob.identity, "shown": "hat"}) == "invalid_body"

    await ada.good("PUT", "spotlight", {"identity": bob.identity})
    assert first_of(server, ada, bob, cem) == [("", ""), ("camera", "Ada"), ("", "")]
    await ada.good("PUT", "spotlight", {"identity": cem.identity, "shown": "screen"})
    assert first_of(server, ada, bob, cem) == [("", ""), ("", ""), ("screen", "Ada")]

    # Whoever comes again is first again, as a client that has just come hears it too.
    await clients[2].send(leave={})
    await clients[2].closed()
    again = await server.connect(cem.token)
    assert "ting.spotlight" not in (await again.expect("join")).join.participant.attributes
    session = server.sfu.session_of(ada.room, cem.identity)
    server.sfu.notify(ParticipantJoined(session.room, session.info))
    assert first_of(server, cem) == [("screen", "Ada")]

    assert await bob.refused("DELETE", "spotlight") == "forbidden"
    await ada.good("DELETE", "spotlight")
    await ada.good("DELETE", "spotlight")
    assert first_of(server, ada, bob, cem) == [("", "")] * 3
    assert [act for _, act in await ada.acts()] == ["create", "spotlight", "spotlight", "end_spotlight"]


async def test_it_does_not_outlive_the_call(server: Server) -> None:
    ada = await founder(server)
    await (await server.connect(ada.token)).expect("join")
    await ada.good("PUT", "spotlight", {"identity": ada.identity})
    server.sfu.finish_call(ada.room)
    session = server.sfu.session_of(ada.room, ada.identity)
    server.sfu.notify(ParticipantJoined(session.room, session.info))
    assert first_of(server, ada) == [("", "")]


async def test_everybody_reads_who_has_talked_how_long(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    await (await server.connect(ada.token)).expect("join")
    assert (await bob.good("GET", "talk-times"))["people"] == []
    server.sfu.talked[RoomName(ada.room)] = [
        TalkTime(Identity(f"{bob.identity}~2"), "Bob", 61.26),
        TalkTime(Identity(ada.identity), "Ada", 3.0),
    ]
    people = (await bob.good("GET", "talk-times"))["people"]
    assert [(one["name"], one["member_id"], one["seconds"], one["present"]) for one in people] == [
        ("Bob", bob.member_id, 61.3, False),
        ("Ada", ada.member_id, 3.0, True),
    ]
