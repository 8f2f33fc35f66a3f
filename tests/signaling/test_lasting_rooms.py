"""Rooms that last: making them, roles, the door, moderation, over real HTTP."""

from __future__ import annotations

import asyncio
import time

import pytest
from livekit.protocol import rtc

from sfu.api import AddTrackRequest, Kind, TrackSource
from signaling.grants import Grants
from tests.signaling.harness import Server, running
from tests.signaling.rooms import Person, founder, visitor

# --- making rooms -----------------------------------------------------------------------------------------


async def test_a_guest_makes_a_room_in_one_step_and_owns_it(server: Server) -> None:
    ada = Person(server, "Ada")
    room = await ada.make_room(title="Reading circle")
    assert (room["title"], room["policy"]["entry"], len(room["name"].split("-"))) == ("Reading circle", "open", 3)
    state = await ada.good("GET", "state")
    assert (state["role"], state["member_id"]) == ("owner", ada.member_id)
    outside = await Person(server, "", room["name"]).good("GET", "")
    assert (outside["lasts"], outside["title"], outside["num_participants"]) == (True, "Reading circle", 0)
    assert await ada.acts() == [("", "create")]


async def test_the_owner_is_the_owner_after_a_restart_and_from_the_recovery_link(tmp_path: object) -> None:
    async with running(data_dir=str(tmp_path)) as server:
        ada = await founder(server)
        await ada.say("hello")
    async with running(data_dir=str(tmp_path)) as server:
        again = Person(server, "Ada on another device", ada.room, ada.key)
        await again.enter()
        assert (await again.good("GET", "state"))["role"] == "owner"
        assert again.identity == ada.identity
        assert [e["body"]["text"] for e in await again.entries() if e["verb"] == "message"] == ["hello"]


async def test_a_name_can_be_taken_once(server: Server) -> None:
    ada = Person(server, "Ada")
    await ada.make_room(name="our room")
    assert ada.room == "our room"
    bob = Person(server, "Bob")
    assert await bob.refused("POST", "/api/v1/rooms", {"key": bob.key, "name": "our room"}) == "name_taken"


@pytest.mark.parametrize(
    "body",
    [{}, {"key": "short"}, {"key": "x" * 43, "owner": "somebody"}, {"key": "x" * 43, "role": "owner"},
     {"key": "x" * 43, "policy": {"entry": "everyone"}}, {"key": "x" * 43, "policy": {"entry": "password"}},
     {"key": "x" * 43, "policy": {"retention_s": 1}}],
)  # fmt: skip
async def test_a_room_is_not_made_of_anything(server: Server, body: dict[str, object]) -> None:
    assert await Person(server, "Eve").refused("POST", "/api/v1/rooms", body) == "invalid_body"


async def test_an_application_makes_rooms_with_its_token(server: Server) -> None:
    app = Person(server, "App", token=server.tokens.issue(Grants(identity="app", room_create=True), 60))
    room = await app.good("POST", "/api/v1/rooms", {"name": "support", "owner": "agent-7"})
    assert room["member_id"] == "agent-7"
    agent = Person(server, "Agent", "support", token=server.token("agent-7", "support"))
    assert (await agent.good("GET", "state"))["role"] == "owner"
    other = Person(server, "Other", token=server.token("other", "support"))
    assert await other.refused("POST", "/api/v1/rooms", {"name": "x"}) == "forbidden"


async def test_rooms_per_address_are_limited_and_can_be_switched_off() -> None:
    async with running(rooms_per_hour=2) as server:
        for _ in range(2):
            await founder(server)
        eve = Person(server, "Eve")
        assert await eve.refused("POST", "/api/v1/rooms", {"key": eve.key}) == "rate_limited"
    async with running(guest_rooms=False) as server:
        eve = Person(server, "Eve")
        assert await eve.refused("POST", "/api/v1/rooms", {"key": eve.key}) == "guests_disabled"


async def test_a_deleted_room_is_gone_with_all_that_it_had(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    sync = await bob.sync()
    assert await bob.refused("DELETE", "") == "forbidden"
    await ada.good("DELETE", "")
    assert (await sync.wait_for("closed"))["code"] == "room_not_found"
    assert await bob.refused("GET", "entries") == "room_not_found"


# --- roles ------------------------------------------------------------------------------------------------


async def test_roles_are_those_of_now_and_not_of_the_token(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    assert await bob.refused("POST", "stop-all", {}) == "forbidden"
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "moderator", "name": "Bob"})
    await bob.good("POST", "stop-all", {})
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "guest"})
    assert await bob.refused("POST", "stop-all", {}) == "forbidden"
    assert ("Ada", "role") in await ada.acts()


async def test_the_last_owner_names_another_one_first(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    assert await ada.refused("DELETE", "members/me") == "last_owner"
    assert await ada.refused("PUT", f"members/{ada.member_id}", {"role": "member"}) == "last_owner"
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "owner"})
    await ada.good("PUT", f"members/{ada.member_id}", {"role": "moderator"})
    assert await bob.refused("DELETE", "members/me") == "last_owner"


async def test_two_owners_who_leave_at_once_do_not_both_leave(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "owner"})
    outcomes = await asyncio.gather(ada.call("DELETE", "members/me"), bob.call("DELETE", "members/me"))
    assert sorted(status for status, _ in outcomes) == [204, 409]


async def test_a_moderator_makes_members_but_neither_owners_nor_moderators(server: Server) -> None:
    ada = await founder(server)
    bob, cem = await visitor(server, ada.room), await visitor(server, ada.room, "Cem")
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "moderator"})
    await bob.good("PUT", f"members/{cem.member_id}", {"role": "member"})
    for role in ("owner", "moderator"):
        assert await bob.refused("PUT", f"members/{cem.member_id}", {"role": role}) == "forbidden"
    assert await bob.refused("PUT", f"members/{ada.member_id}", {"role": "guest"}) == "forbidden"
    assert await bob.refused("PATCH", "", {"policy": {"retention_s": 60}}) == "forbidden"
    await bob.good("PATCH", "", {"policy": {"locked": True}})


async def test_clients_in_the_call_see_the_role(server: Server) -> None:
    ada = await founder(server)
    client = await server.connect(ada.token)
    joined = (await client.expect("join")).join
    assert joined.participant.attributes["ting.role"] == "owner"
    grants = server.tokens.verify(ada.token)
    assert (grants.room_admin, grants.door) == (True, True)


# --- the door ---------------------------------------------------------------------------------------------


async def test_a_password_opens_the_door(server: Server) -> None:
    ada = await founder(server, policy={"entry": "password"}, password="open sesame")
    bob = Person(server, "Bob", ada.room)
    assert await bob.turned_away() == "password_needed"
    assert await bob.turned_away(password="sesame") == "wrong_password"
    assert (await bob.enter(password="open sesame"))["role"] == "guest"
    assert "open sesame" not in str(await ada.entries())
    # A reload needs it no second time.
    await bob.enter()


async def test_passwords_are_not_guessed() -> None:
    async with running(password_tries_per_minute=3) as server:
        ada = await founder(server, policy={"entry": "password"}, password="open sesame")
        bob = Person(server, "Bob", ada.room)
        assert [await bob.turned_away(password="x") for _ in range(4)] == 3 * ["wrong_password"] + ["rate_limited"]


async def test_knocking_waits_until_somebody_lets_in(server: Server) -> None:
    ada = await founder(server, policy={"entry": "knock"})
    sync = await ada.sync()
    assert (await sync.wait_for("knocks"))["knocks"] == []
    bob = Person(server, "Bob", ada.room)
    waiting = await bob.enter(note="It is me")
    assert waiting["knock"]
    # The token of a knock opens nothing.
    refused = await server.http.get(f"{server.url}/rtc/validate", params={"access_token": bob.token})
    assert refused.status == 401
    assert await bob.refused("GET", "entries") == "unauthorized"
    shown = (await sync.wait_for("knocks"))["knocks"]
    assert [(one["name"], one["note"]) for one in shown] == [("Bob", "It is me")]
    answer = asyncio.create_task(bob.good("GET", f"knocks/{waiting['knock']}/answer"))
    await asyncio.sleep(0)
    begin = time.monotonic()
    await ada.good("POST", f"knocks/{shown[0]['knock_id']}/admit")
    admitted = await answer
    assert time.monotonic() - begin < 5
    bob.token = admitted["admission"]["token"]
    assert (admitted["answer"], await bob.entries() != []) == ("admitted", True)
    client = await server.connect(bob.token)
    await client.expect("join")
    assert ("Ada", "admit") in await ada.acts()


async def test_denied_is_denied_for_a_while(server: Server) -> None:
    ada = await founder(server, policy={"entry": "knock"})
    bob = Person(server, "Bob", ada.room)
    waiting = await bob.enter()
    knocks = (await ada.good("GET", "knocks"))["knocks"]
    await ada.good("POST", f"knocks/{knocks[0]['knock_id']}/deny")
    assert (await bob.good("GET", f"knocks/{waiting['knock']}/answer"))["answer"] == "denied"
    bob.token = ""
    assert await bob.turned_away() == "denied"
    assert await ada.refused("POST", f"knocks/{knocks[0]['knock_id']}/admit") == "knock_not_found"


async def test_whoever_goes_away_is_no_longer_at_the_door() -> None:
    async with running(knock_absence_s=0.2, knock_poll_s=0.1) as server:
        ada = await founder(server, policy={"entry": "knock"})
        bob = Person(server, "Bob", ada.room)
        sync = await ada.sync()
        assert (await sync.wait_for("knocks"))["knocks"] == []
        await bob.enter()
        assert len((await sync.wait_for("knocks"))["knocks"]) == 1
        assert (await sync.wait_for("knocks"))["knocks"] == []


async def test_somebody_elses_knock_tells_nothing(server: Server) -> None:
    ada = await founder(server, policy={"entry": "knock"})
    bob, eve = Person(server, "Bob", ada.room), Person(server, "Eve", ada.room)
    knock = (await bob.enter())["knock"]
    await eve.enter()
    assert await eve.refused("GET", f"knocks/{knock}/answer") == "knock_not_found"
    assert await eve.refused("POST", f"knocks/{knock}/admit") == "unauthorized"
    eve.token = ""
    assert await eve.refused("GET", f"knocks/{knock}/answer") == "unauthorized"


async def test_nobody_is_early_and_owners_never_wait_at_their_own_door(server: Server) -> None:
    ada = await founder(server, policy={"entry": "knock"})
    bob = Person(server, "Bob", ada.room)
    assert (await bob.enter())["knock"], "the owner is not there, and nobody is let in"
    assert not (await ada.enter())["knock"]


async def test_members_only(server: Server) -> None:
    ada = await founder(server, policy={"entry": "members"})
    bob = Person(server, "Bob", ada.room)
    assert await bob.turned_away() == "members_only"
    invitation = await ada.good("POST", "invitations", {"role": "member", "uses": 1})
    assert (await bob.enter(invitation=invitation["secret"]))["role"] == "member"
    assert not (await bob.enter())["knock"]


async def test_an_invitation_is_used_once_however_many_come_at_once(server: Server) -> None:
    ada = await founder(server, policy={"entry": "members"})
    secret = (await ada.good("POST", "invitations", {"uses": 1}))["secret"]
    people = [Person(server, f"P{n}", ada.room) for n in range(8)]
    outcomes = await asyncio.gather(
        *(one.call("POST", "tokens", {"name": one.name, "key": one.key, "invitation": secret}) for one in people)
    )
    assert sorted(status for status, _ in outcomes) == [200] + 7 * [403]
    assert {body["error"]["code"] for status, body in outcomes if status == 403} == {"invitation_over"}


async def test_an_invitation_ends_and_can_be_taken_back(server: Server) -> None:
    ada = await founder(server, policy={"entry": "members"})
    made = await ada.good("POST", "invitations", {"ttl_s": 60})
    listed = (await ada.good("GET", "invitations"))["invitations"]
    assert [(one["invitation_id"], one["secret"]) for one in listed] == [(made["invitation_id"], "")]
    await ada.good("DELETE", f"invitations/{made['invitation_id']}")
    assert await Person(server, "Bob", ada.room).turned_away(invitation=made["secret"]) == "invitation_over"
    assert await ada.refused("DELETE", "invitations/other") == "not_found"


async def test_a_locked_room_lets_nobody_new_in(server: Server) -> None:
    ada = await founder(server)
    bob, cem = await visitor(server, ada.room), await visitor(server, ada.room, "Cem")
    client = await server.connect(bob.token)
    await client.expect("join")
    await ada.good("PATCH", "", {"policy": {"locked": True}})
    assert await Person(server, "Eve", ada.room).turned_away() == "room_locked"
    # Not with a token from before either, but whoever is in may come again.
    refused = await server.http.get(f"{server.url}/rtc/validate", params={"access_token": cem.token})
    assert (refused.status, await refused.text()) == (401, "the room is locked")
    await bob.enter()
    await ada.enter()


async def test_a_full_room_has_a_sentence_of_its_own() -> None:
    async with running(max_participants_per_room=1) as server:
        ada = await founder(server)
        await (await server.connect(ada.token)).expect("join")
        assert await Person(server, "Bob", ada.room).turned_away() == "room_full"


# --- moderation -------------------------------------------------------------------------------------------


async def test_kicked_and_banned_are_out_at_once_and_stay_out(server: Server) -> None:
    ada = await founder(server)
    bob, eve = await visitor(server, ada.room), await visitor(server, ada.room, "Eve")
    for person, path, body, code in (
        (bob, f"members/{bob.member_id}/kick", None, "kicked"),
        (eve, "bans", {"member_id": eve.member_id}, "banned"),
    ):
        client = await server.connect(person.token)
        await client.expect("join")
        sync = await person.sync()
        await sync.wait_for("opened")
        await ada.good("POST", path, body)
        assert (await sync.wait_for("closed"))["code"] == code
        await client.closed()
        assert await person.refused("GET", "entries") in (code, "unauthorized")
        refused = await server.http.get(f"{server.url}/rtc/validate", params={"access_token": person.token})
        assert refused.status == 401
        assert await person.turned_away() == code
    bans = (await ada.good("GET", "bans"))["bans"]
    assert [(ban["member_id"], ban["name"]) for ban in bans] == [(eve.member_id, "Eve")]
    await ada.good("DELETE", f"bans/{eve.member_id}")
    await eve.enter()
    assert [act for _, act in await ada.acts()] == ["create", "kick", "ban", "unban"]


async def test_moderators_have_no_power_over_owners_and_each_other(server: Server) -> None:
    ada = await founder(server)
    bob, cem = await visitor(server, ada.room), await visitor(server, ada.room, "Cem")
    for person in (bob, cem):
        await ada.good("PUT", f"members/{person.member_id}", {"role": "moderator"})
        await (await server.connect(person.token)).expect("join")
    assert await bob.refused("POST", f"members/{cem.member_id}/kick") == "forbidden"
    assert await bob.refused("POST", "bans", {"member_id": ada.member_id}) == "forbidden"
    await ada.good("POST", f"members/{bob.member_id}/kick")


async def test_muting_and_asking(server: Server) -> None:
    ada = await founder(server)
    bob = await visitor(server, ada.room)
    client = await server.connect(bob.token)
    await client.expect("join")
    session = server.sfu.session_of(ada.room, bob.identity)
    session.add_track(AddTrackRequest("cid", Kind.AUDIO, TrackSource.MICROPHONE))
    (track,) = session.tracks
    assert (await ada.good("POST", f"participants/{bob.identity}/stop", {}))["tracks"] == 1
    assert session.tracks[track].muted
    await ada.good("POST", f"participants/{bob.identity}/ask-to-unmute")
    await ada.good("POST", "lower-hands")
    assert await ada.refused("POST", "participants/nobody/stop", {}) == "not_found"
    assert [act for _, act in await ada.acts()] == ["create", "mute", "ask_unmute", "lower_hands"]


async def test_ending_the_call_for_all(server: Server) -> None:
    ada = await founder(server)
    client = await server.connect(ada.token)
    await client.expect("join")
    await ada.good("POST", "end-call")
    await client.closed()
    assert await ada.refused("POST", "end-call") == "not_found"


async def test_no_client_gives_itself_a_role(server: Server) -> None:
    ada = await founder(server)
    token = server.token("eve", ada.room, can_update_own_metadata=True)
    client = await server.connect(token)
    joined = (await client.expect("join")).join
    assert joined.participant.attributes["ting.role"] == "guest"
    await client.send(update_metadata={"attributes": {"ting.role": "owner"}, "request_id": 7})
    answer = (await client.wait_for("request_response")).request_response
    assert (answer.request_id, answer.reason) == (7, rtc.RequestResponse.NOT_ALLOWED)
    assert server.sfu.session_of(ada.room, "eve").attributes["ting.role"] == "guest"


async def test_a_foreign_room_tells_nothing(server: Server) -> None:
    ada, bob = await founder(server), await founder(server, "Bob")
    for path in ("state", "entries", "members", "pins", "read", "search?q=x"):
        assert await bob.refused("GET", f"/api/v1/rooms/{ada.room}/{path}") == "room_not_found"
        assert await bob.refused("GET", f"/api/v1/rooms/no-such-room/{path}") == "room_not_found"


async def test_changes_at_once_all_come_through(server: Server) -> None:
    ada = await founder(server)
    changes = ({"entry": "members"}, {"locked": True}, {"retention_s": 3600}, {"files": False}, {"read_markers": True})
    await asyncio.gather(*(ada.good("PATCH", "", {"policy": change}) for change in changes))
    policy = (await ada.good("GET", "state"))["policy"]
    assert {key: policy[key] for change in changes for key in change} == {k: v for c in changes for k, v in c.items()}


async def test_who_waits_comes_in_when_the_door_is_opened(server: Server) -> None:
    ada = await founder(server, policy={"entry": "knock"})
    bob = Person(server, "Bob", ada.room)
    waiting = await bob.enter()
    await ada.good("PATCH", "", {"policy": {"entry": "open"}})
    answer = await bob.good("GET", f"knocks/{waiting['knock']}/answer")
    assert (answer["answer"], answer["admission"]["role"]) == ("admitted", "guest")
