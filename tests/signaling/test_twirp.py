"""The server API over real HTTP: encodings, errors, rights, limits, and every method's bad input."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import hypothesis
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, room

from signaling.grants import Grants
from signaling.lifecycle import Phase
from signaling.livekit.room_service import METHODS
from tests.signaling.harness import Server, bystander, relaxed, running

PATH = "/twirp/livekit.RoomService/"
Answer = tuple[int, Any, Any]


def admin_token(server: Server, **grants: Any) -> str:
    rights = {"room": "lobby", "room_admin": True, "room_create": True, "room_list": True, **grants}
    return server.tokens.issue(Grants(**rights), 600)


async def call(server: Server, method: str, body: Any = None, token: str | None = None, **options: Any) -> Answer:
    """A JSON request; status, JSON, headers."""
    token = admin_token(server) if token is None else token
    headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})} if token else {}
    kind = {"data": body} if isinstance(body, bytes | str) else {"json": body or {}}
    if "data" in kind:
        headers.setdefault("Content-Type", "application/json")
    path = options.pop("path", PATH + method)
    async with server.http.request(
        options.pop("verb", "POST"), server.url + path, headers=headers, **kind, **options
    ) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None, response.headers


async def error(server: Server, method: str, body: Any = None, token: str | None = None, **options: Any) -> Any:
    """Status and code of an error, whose body has nothing else but a sentence and, of a bad route, the route."""
    status, answer, headers = await call(server, method, body, token, **options)
    if answer["code"] == "bad_route":
        route = f"{options.get('verb', 'POST')} {options.get('path', PATH + method)}"
        assert answer.pop("meta") == {"twirp_invalid_route": route}
    assert set(answer) == {"code", "msg"}, answer
    assert headers["Content-Type"] == "application/json"
    assert isinstance(answer["msg"], str)
    return status, answer["code"]


# --- the protocol ---------------------------------------------------------------------------------------


async def test_json_in_both_spellings_and_json_out_in_one(server: Server) -> None:
    for body in ({"name": "a", "emptyTimeout": 77, "later": 1}, {"name": "b", "empty_timeout": 77}):
        status, answer, headers = await call(server, "CreateRoom", body)
        assert (status, answer["empty_timeout"], headers["Content-Type"]) == (
            200, 77, "application/json",
        )  # fmt: skip
        assert (answer["num_participants"], answer["metadata"]) == (0, ""), "defaults are there"
    _, nobody, _ = await call(server, "ListParticipants", {"room": "lobby"})
    assert nobody == {"participants": []}


async def test_protobuf_in_protobuf_out(server: Server) -> None:
    request = room.CreateRoomRequest(name="lobby", metadata="m", max_participants=4)
    headers = {"Authorization": f"Bearer {admin_token(server)}", "Content-Type": "application/protobuf"}
    async with server.http.post(
        server.url + PATH + "CreateRoom", data=request.SerializeToString(), headers=headers
    ) as r:
        assert (r.status, r.headers["Content-Type"]) == (200, "application/protobuf")
        info = models.Room.FromString(await r.read())
    assert (info.name, info.metadata, info.max_participants) == ("lobby", "m", 4)
    assert info.sid.startswith("RM_")


@pytest.mark.parametrize("path", ["Egress/ListEgress", "SIP/ListSIPTrunk", "AgentDispatchService/ListDispatch"])
async def test_services_that_are_not_there_say_so(server: Server, path: str) -> None:
    assert await error(server, "", path=f"/twirp/livekit.{path}") == (501, "unimplemented")


@pytest.mark.parametrize("path", ["//twirp/livekit.RoomService/ListRooms", "///twirp/livekit.RoomService/ListRooms"])
async def test_double_slashes_are_tolerated(server: Server, path: str) -> None:
    url = server.url + path
    headers = {"Authorization": f"Bearer {admin_token(server)}"}
    async with server.http.post(url, json={}, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("path", "verb", "kind"),
    [
        ("/twirp/livekit.RoomService/Nothing", "POST", "application/json"),
        ("/twirp/livekit.RoomService/", "POST", "application/json"),
        ("/twirp/livekit.RoomService/ListRooms/x", "POST", "application/json"),
        ("/twirp/livekit.Nothing/ListEgress", "POST", "application/json"),
        ("/twirp/", "POST", "application/json"),
        (PATH + "ListRooms", "GET", "application/json"),
        (PATH + "ListRooms", "DELETE", "application/json"),
        (PATH + "ListRooms", "POST", "text/plain"),
        (PATH + "ListRooms", "POST", "application/octet-stream"),
    ],
)
async def test_bad_routes(server: Server, path: str, verb: str, kind: str) -> None:
    assert await error(server, "", b"{}", path=path, verb=verb, headers={"Content-Type": kind}) == (404, "bad_route")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"7", b"null", b'{"names": 7}', b'{"names": [7]}', b"\xff", b"[" * 200_000, b'{"a":NaN}',
     b'{"names":["\\ud800"]}', b'{"names":["a"],"names":["b"]}'],
)  # fmt: skip
async def test_malformed_json(server: Server, body: bytes) -> None:
    async with bystander(server):
        assert await error(server, "ListRooms", body) == (400, "malformed")


async def test_malformed_protobuf(server: Server) -> None:
    kind = {"Content-Type": "application/protobuf"}
    for body in (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe"):
        assert await error(server, "ListRooms", body, headers=kind) == (400, "malformed")


async def test_an_empty_json_body_is_an_empty_message(server: Server) -> None:
    assert (await call(server, "ListRooms", b""))[0] == 200


async def test_other_origins_may_ask(server: Server) -> None:
    async with server.http.options(
        server.url + PATH + "ListRooms", headers={"Origin": "https://x.example"}
    ) as response:
        assert response.status == 204
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
    for token in (admin_token(server), ""):
        _, _, headers = await call(server, "ListRooms", token=token)
        assert headers["Access-Control-Allow-Origin"] == "*"


# --- limits ---------------------------------------------------------------------------------------------


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with running(max_server_api_body_bytes=2000) as server:
        body = json.dumps({"name": "n", "metadata": "m" * 1500})
        assert (await call(server, "CreateRoom", body))[0] == 200
        assert await error(server, "CreateRoom", body + " " * 1000) == (400, "malformed")

        async def chunks() -> Any:
            for _ in range(3):
                yield b" " * 1000

        headers = {"Authorization": f"Bearer {admin_token(server)}", "Content-Type": "application/json"}
        async with server.http.post(server.url + PATH + "CreateRoom", data=chunks(), headers=headers) as response:
            assert response.status == 400


async def test_a_body_that_never_ends_is_given_up() -> None:
    async with running(request_timeout_s=0.3) as server:
        release = asyncio.Event()

        async def drip() -> Any:
            yield b"{"
            await release.wait()

        headers = {"Authorization": f"Bearer {admin_token(server)}", "Content-Type": "application/json"}
        try:
            async with server.http.post(server.url + PATH + "ListRooms", data=drip(), headers=headers) as response:
                assert (response.status, (await response.json())["code"]) == (408, "deadline_exceeded")
        finally:
            release.set()


async def test_requests_per_minute() -> None:
    async with running(server_api_requests_per_minute=3) as server:
        for _ in range(3):
            assert (await call(server, "ListRooms"))[0] == 200
        status, answer, headers = await call(server, "ListRooms")
        assert (status, answer["code"]) == (429, "resource_exhausted")
        assert int(headers["Retry-After"]) > 0


async def test_a_server_that_stops_takes_no_requests(server: Server) -> None:
    server.services.lifecycle.phase = Phase.DRAINING
    assert await error(server, "ListRooms") == (503, "unavailable")


# --- rights ---------------------------------------------------------------------------------------------

ADMIN = set(METHODS) - {"CreateRoom", "ListRooms", "DeleteRoom"}


@pytest.mark.parametrize(
    "grants",
    [
        {"room_admin": False, "room_create": False, "room_list": False},
        {"room": "attic", "room_create": False, "room_list": False},
        {"room": "", "room_create": False, "room_list": False},
        {"identity": "alice", "room_join": True, "room_admin": False, "room_create": False, "room_list": False},
    ],
)
async def test_without_the_grant_no_method_does_anything(server: Server, grants: dict[str, Any]) -> None:
    await server.join("alice")
    token = admin_token(server, **grants)
    for method in METHODS:
        body = {"room": "lobby", "name": "lobby", "identity": "alice", "destination_room": "attic",
                "destination_identity": "alice"}  # fmt: skip
        assert await error(server, method, body, token) == (401, "unauthenticated"), method
    assert not server.sfu.session_of("lobby", "alice").ended


@pytest.mark.parametrize(
    ("grant", "allowed"),
    [("room_create", {"CreateRoom", "DeleteRoom"}), ("room_list", {"ListRooms"}), ("room_admin", ADMIN)],
)
async def test_each_grant_is_for_its_own_methods(server: Server, grant: str, allowed: set[str]) -> None:
    token = server.tokens.issue(Grants(room="lobby", **{grant: True}), 600)  # type: ignore[arg-type]
    for method in METHODS:
        if method not in allowed:
            body = {"room": "lobby", "name": "x", "destination_room": "attic"}
            assert await error(server, method, body, token) == (401, "unauthenticated"), method


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
async def test_without_a_token_nothing(server: Server, token: str) -> None:
    assert await error(server, "ListRooms", token=token) == (401, "unauthenticated")


async def test_the_token_of_somebody_kicked_is_refused(server: Server) -> None:
    await server.join("mod")
    token = admin_token(server, identity="mod")
    assert (await call(server, "ListParticipants", {"room": "lobby"}, token))[0] == 200
    await call(server, "RemoveParticipant", {"room": "lobby", "identity": "mod"})
    assert await error(server, "ListParticipants", {"room": "lobby"}, token) == (401, "unauthenticated")


async def test_who_removes_may_say_which_tokens_end(server: Server) -> None:
    """The token was issued now: a time before that leaves it in force, one after it does not."""
    token = server.token("bob")
    for offset_s, status in ((-60, 200), (60, 401)):
        client = await server.join("bob")
        body = {"room": "lobby", "identity": "bob", "revoke_token_ts": int(time.time()) + offset_s}
        assert (await call(server, "RemoveParticipant", body))[0] == 200
        await client.closed()
        async with server.http.get(f"{server.url}/rtc/validate", params={"access_token": token}) as response:
            assert response.status == status, offset_s
    body = {"room": "lobby", "identity": "bob", "revoke_token_ts": -1}
    assert await error(server, "RemoveParticipant", body) == (400, "invalid_argument")


# --- methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("CreateRoom", {}, (400, "invalid_argument")),
        ("CreateRoom", {"name": "x" * 129}, (400, "invalid_argument")),
        ("CreateRoom", {"name": "a\nb"}, (400, "invalid_argument")),
        ("CreateRoom", {"name": "x", "metadata": "m" * 9000}, (400, "invalid_argument")),
        ("CreateRoom", {"name": "x", "egress": {}}, (501, "unimplemented")),
        ("DeleteRoom", {"room": "none"}, (404, "not_found")),
        ("GetParticipant", {"room": "lobby", "identity": "none"}, (404, "not_found")),
        ("RemoveParticipant", {"room": "lobby", "identity": "none"}, (404, "not_found")),
        ("MutePublishedTrack", {"room": "lobby", "identity": "none", "muted": True}, (404, "not_found")),
        ("MutePublishedTrack", {"room": "lobby", "identity": "alice", "trackSid": "TR_x", "muted": True},
         (404, "not_found")),
        ("MutePublishedTrack", {"room": "lobby", "identity": "alice", "trackSid": "TR_x"},
         (412, "failed_precondition")),
        ("UpdateParticipant", {"room": "lobby", "identity": "none"}, (404, "not_found")),
        ("UpdateParticipant", {"room": "lobby", "identity": "alice", "name": "n" * 257}, (400, "invalid_argument")),
        ("UpdateParticipant", {"room": "lobby", "identity": "alice", "name": "a\u202eb"}, (400, "invalid_argument")),
        ("UpdateParticipant", {"room": "lobby", "identity": "alice", "metadata": "m" * 9000},
         (400, "invalid_argument")),
        ("UpdateParticipant", {"room": "lobby", "identity": "alice", "attributes": {"a": "v" * 9000}},
         (400, "invalid_argument")),
        ("UpdateParticipant", {"room": "lobby", "identity": "alice", "attributes": {f"a{n}": "v" for n in range(65)}},
         (400, "invalid_argument")),
        ("UpdateSubscriptions", {"room": "lobby", "identity": "none"}, (404, "not_found")),
        ("SendData", {"room": "lobby", "data": "AA==", "nonce": "AA=="}, (400, "invalid_argument")),
        ("SendData", {"room": "lobby", "data": "A" * 90_000}, (400, "invalid_argument")),
        ("UpdateRoomMetadata", {"room": "lobby", "metadata": "m" * 9000}, (400, "invalid_argument")),
    ],
)  # fmt: skip
async def test_what_a_method_refuses(server: Server, method: str, body: Any, expected: Any) -> None:
    await server.join("alice")
    assert await error(server, method, body) == expected


@pytest.mark.parametrize("method", sorted(ADMIN - {"ListParticipants"}))
async def test_a_room_that_is_not_there(server: Server, method: str) -> None:
    token = admin_token(server, room="none", destination_room="lobby")
    body = {"room": "none", "identity": "alice", "muted": True, "data": "AA==", "destination_room": "lobby",
            "destination_identity": "alice", "method": "m"}  # fmt: skip
    assert await error(server, method, body, token) == (404, "not_found")


async def test_nobody_is_in_a_room_that_is_not_there(server: Server) -> None:
    status, answer, _ = await call(server, "ListParticipants", {"room": "none"}, admin_token(server, room="none"))
    assert (status, answer) == (200, {"participants": []})


async def test_unmute_where_it_is_enabled() -> None:
    async with running(remote_unmute=True) as server:
        client = await server.join("alice")
        await client.send(add_track={"cid": "c", "type": models.TrackType.AUDIO})
        sid = (await client.expect("track_published")).track_published.track.sid
        for muted in (True, False):
            body = {"room": "lobby", "identity": "alice", "trackSid": sid, "muted": muted}
            status, answer, _ = await call(server, "MutePublishedTrack", body)
            assert (status, answer["track"].get("muted", False)) == (200, muted)


async def test_data_to_participants_that_are_not_there_goes_to_nobody(server: Server) -> None:
    await server.join("alice")
    body = {"room": "lobby", "data": "AA==", "destinationSids": ["PA_none"]}
    assert (await call(server, "SendData", body))[0] == 200
    assert server.sfu.session_of("lobby", "alice").data == []


def messages(kind: type[Message]) -> st.SearchStrategy[Any]:
    """JSON of any shape under the names of the message's fields."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.text(max_size=8) | st.floats(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=5,
    )
    return st.dictionaries(st.sampled_from([field.name for field in kind.DESCRIPTOR.fields]), values, max_size=6)


def requests() -> st.SearchStrategy[tuple[str, Any]]:
    return st.sampled_from(sorted(METHODS)).flatmap(
        lambda name: st.tuples(st.just(name), messages(METHODS[name].request))
    )


async def test_no_shape_of_a_field_breaks_a_method(server: Server) -> None:
    """Each answer is 200 or an error of the client's; a bystander notices nothing."""
    shapes: list[tuple[str, Any]] = []

    @hypothesis.settings(relaxed, max_examples=300)
    @given(requests())
    def collect(shape: tuple[str, Any]) -> None:
        shapes.append(shape)

    collect()
    token = admin_token(server, destination_room="attic")
    async with bystander(server):
        await server.join("alice")
        for name, shape in shapes:
            body = json.dumps({"room": "lobby", "identity": "alice", "destination_room": "attic", **shape})
            status, answer, _ = await call(server, name, body.encode(), token)
            assert status < 500 or answer["code"] == "unimplemented", (name, shape, answer)


async def test_a_client_that_hangs_up_is_no_error(server: Server) -> None:
    timeout = aiohttp.ClientTimeout(total=0.05)
    headers = {"Authorization": f"Bearer {admin_token(server)}", "Content-Type": "application/json"}

    async def slow() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await server.http.post(server.url + PATH + "ListRooms", data=slow(), headers=headers, timeout=timeout)
    assert (await call(server, "ListRooms"))[0] == 200
