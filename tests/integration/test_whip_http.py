"""WHIP as HTTP (RFC 9725): statuses, headers, limits, and what comes of bad requests. No media flows here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from livekit import api
from livekit.protocol import models

from tests.harness.server import API_KEY, API_SECRET, EmbeddedServer, ServerProcess, make_token
from tests.harness.whip import SDP, SDP_FRAGMENT, whip_url

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

VECTORS = Path(__file__).parents[1] / "vectors" / "sdp"
FFMPEG = (VECTORS / "ffmpeg.sdp").read_text().replace("\n", "\r\n")
OBS = (VECTORS / "obs_simulcast.sdp").read_text().replace("\n", "\r\n")
UFRAG, PWD = "Uh4k", "0aTe7CQ2nMwrsLkMY3nZ7x"


class Client:
    """Requests of one identity."""

    def __init__(self, http: aiohttp.ClientSession, server_url: str, room: str, identity: str = "studio") -> None:
        self.http, self.server_url = http, server_url
        self.endpoint = whip_url(server_url, room)
        self.token = make_token(room, identity)

    async def send(self, method: str, path: str = "", *, token: str | None = None, **options: Any) -> Reply:
        headers = {"Authorization": f"Bearer {token or self.token}"} if token != "" else {}
        headers |= options.pop("headers", {})
        url = self.server_url + path if path else self.endpoint
        async with self.http.request(method, url, headers=headers, **options) as response:
            return Reply(response.status, response.headers, await response.text())

    async def post(self, sdp: str = OBS, **options: Any) -> Reply:
        return await self.send("POST", data=sdp, headers={"Content-Type": SDP, **options.pop("headers", {})}, **options)

    async def patch(self, path: str, fragment: str, etag: str | None, **options: Any) -> Reply:
        headers = {"Content-Type": SDP_FRAGMENT} | ({} if etag is None else {"If-Match": etag})
        return await self.send("PATCH", path, data=fragment, headers=headers, **options)


class Reply:
    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    @property
    def code(self) -> str:
        """Of the problem that this reply must hold (RFC 9457)."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.text
        problem = json.loads(self.text)
        assert problem["status"] == self.status
        assert problem["title"]
        assert problem["detail"]
        return str(problem["code"])


def fragment(ufrag: str = UFRAG, pwd: str = PWD, *more: str) -> str:
    lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}"]
    lines += ["a=candidate:1 1 UDP 2122317823 192.0.2.17 51820 typ host", "a=end-of-candidates", *more]
    return "".join(f"{line}\r\n" for line in lines)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[ServerProcess]:
    """As everywhere, but for more requests than one address may have in a minute."""
    process = ServerProcess(environment={"TING_WHIP_REQUESTS_PER_MINUTE": "100000"})
    await process.start()
    yield process
    assert await process.stop() == 0
    process.assert_healthy()


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def client(http: aiohttp.ClientSession, server: ServerProcess, room: str) -> Client:
    return Client(http, server.url, room)


async def test_created_session_has_all_that_clients_need(client: Client) -> None:
    reply = await client.post()
    assert reply.status == 201
    assert reply.headers["Content-Type"] == SDP
    location = reply.headers["Location"]
    assert location.startswith("/whip-sessions/")
    assert len(location.rpartition("/")[2]) >= 32
    etag = reply.headers["ETag"]
    assert etag.startswith('"')
    assert len(etag) > 10
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Location", "ETag", "Link"} <= set(exposed)
    lines = reply.text.split("\r\n")
    assert lines[0] == "v=0"
    candidates = [line for line in lines if line.startswith("a=candidate:")]
    assert " udp " in candidates[0]
    assert candidates[0].endswith("typ host")
    assert "a=sendonly" not in lines
    assert lines.count("a=recvonly") == 2
    assert [line for line in lines if line.startswith("a=simulcast:")] == ["a=simulcast:recv 0;1;2"]
    assert not any("transport-wide-cc" in line or "transport-cc" in line for line in lines)
    assert (await client.send("DELETE", location)).status == 200
    assert (await client.send("DELETE", location)).status == 404


async def test_answer_to_a_passive_client_is_active(client: Client) -> None:
    reply = await client.post(FFMPEG)
    assert reply.status == 201
    assert "a=setup:active" in reply.text
    assert "a=extmap:" not in reply.text


async def test_trickle_is_taken_with_the_right_etag_only(client: Client) -> None:
    reply = await client.post()
    path, etag = reply.headers["Location"], reply.headers["ETag"]
    accepted = await client.patch(path, fragment(), etag)
    assert (accepted.status, accepted.text, accepted.headers.get("ETag")) == (204, "", None)
    assert (await client.patch(path, fragment(), None)).status == 428
    stale = await client.patch(path, fragment(), '"0123456789abcdef"')
    assert (stale.status, stale.code) == (412, "precondition_failed")
    other = await client.patch(path, fragment("other4", PWD), etag)
    assert (other.status, other.code) == (412, "ice_mismatch")
    both = await asyncio.gather(*(client.patch(path, fragment(), etag) for _ in range(5)))
    assert {one.status for one in both} == {204}


@pytest.mark.parametrize("any_etag", ["*", '"*"'])
async def test_ice_restart_gives_new_credentials_and_a_new_etag(client: Client, any_etag: str) -> None:
    reply = await client.post()
    path, etag = reply.headers["Location"], reply.headers["ETag"]
    restarted = await client.patch(path, fragment("new4", "n" * 22), any_etag)
    assert restarted.status == 200
    assert restarted.headers["Content-Type"] == SDP_FRAGMENT
    assert restarted.headers["ETag"] != etag
    lines = restarted.text.split("\r\n")
    assert "a=mid:0" in lines
    assert any(line.startswith("a=candidate:") for line in lines)
    for name in ("a=ice-ufrag:", "a=ice-pwd:"):
        (value,) = [line for line in lines if line.startswith(name)]
        assert value not in reply.text
    assert (await client.patch(path, fragment("new4", "n" * 22), etag)).status == 412
    assert (await client.patch(path, fragment("new4", "n" * 22), restarted.headers["ETag"])).status == 204
    same = await client.patch(path, fragment("new4", "n" * 22), any_etag)
    assert (same.status, same.code) == (422, "not_acceptable")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no lines of sdp",
        fragment(UFRAG, "short"),
        fragment("a b", PWD),
        fragment(UFRAG, PWD, "a=ice-ufrag:another"),
        fragment(UFRAG, PWD, "a=candidate:1 1 UDP"),
        fragment(UFRAG, PWD, *["a=candidate:1 1 UDP 1 192.0.2.1 9 typ host"] * 100),
        fragment(UFRAG, PWD, "a=x:\x00"),
        fragment().replace("a=mid:0\r\n", ""),
        fragment().replace("m=audio", "m=application"),
    ],
)
async def test_bad_fragment_is_refused_and_changes_nothing(client: Client, text: str) -> None:
    reply = await client.post()
    path, etag = reply.headers["Location"], reply.headers["ETag"]
    for condition in (etag, "*"):
        refused = await client.patch(path, text, condition)
        assert refused.status == 400
        assert refused.code
    assert (await client.patch(path, fragment(), etag)).status == 204


async def test_preflight_needs_no_token_and_names_what_is_accepted(client: Client) -> None:
    path = (await client.post()).headers["Location"]
    for where, accept, value in (("", "Accept-Post", SDP), (path, "Accept-Patch", SDP_FRAGMENT)):
        reply = await client.send("OPTIONS", where, token="")
        assert reply.status == 200
        assert reply.headers[accept] == value
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert {"Authorization", "Content-Type", "If-Match"} <= set(
            reply.headers["Access-Control-Allow-Headers"].split(", ")
        )
        allowed = reply.headers["Access-Control-Allow-Methods"].split(", ")
        assert ("PATCH" in allowed, "POST" in allowed) == (bool(where), not where)


async def test_get_and_head_say_no_more_than_that_it_is_there(client: Client) -> None:
    path = (await client.post()).headers["Location"]
    for method in ("GET", "HEAD"):
        for where in ("", path):
            reply = await client.send(method, where)
            assert (reply.status, reply.text) == (204, "")
        assert (await client.send(method, "/whip-sessions/nothing")).status == 404


async def test_only_a_bearer_token_of_this_room_lets_in(client: Client, room: str) -> None:
    missing = await client.post(token="")
    assert (missing.status, missing.code) == (401, "unauthorized")
    assert missing.headers["WWW-Authenticate"] == "Bearer"
    assert missing.headers["Access-Control-Allow-Origin"] == "*"
    assert (await client.post(token="nonsense")).status == 401
    assert (await client.post(token=make_token(room, "x", secret="s" * 40))).status == 401
    assert (await client.post(token=make_token(room, "x", ttl_s=-3600))).status == 401
    assert (await client.post(token=make_token("other", "x"))).status == 403
    assert (await client.post(token=make_token(room, "x", room_join=False))).status == 403
    assert (await client.post(token=make_token(room, "x", can_publish=False))).status == 403
    in_query = await client.http.post(
        f"{client.endpoint}?access_token={client.token}", data=OBS, headers={"Content-Type": SDP}
    )
    assert in_query.status == 401


async def test_session_is_not_there_for_anyone_but_its_owner(client: Client, room: str) -> None:
    reply = await client.post()
    path, etag = reply.headers["Location"], reply.headers["ETag"]
    foreign = (make_token(room, "other"), make_token("other", "studio"))
    for token in foreign:
        assert (await client.send("DELETE", path, token=token)).status == 404
        assert (await client.send("GET", path, token=token)).status == 404
        assert (await client.patch(path, fragment(), etag, token=token)).status == 404
    for method in ("DELETE", "PATCH", "GET"):
        assert (await client.send(method, path, token="")).status == 401
    expired = make_token(room, "studio", ttl_s=-3600)
    assert (await client.send("DELETE", path, token=expired)).status == 200


def without(text: str, sdp: str = OBS) -> str:
    assert text in sdp
    return sdp.replace(text, "")


BAD_OFFERS = {
    "empty": ("", 400),
    "not sdp": ("hello", 400),
    "two videos": (OBS.replace("m=audio", "m=video").replace("opus/48000/2", "VP8/90000"), 422),
    "application": (OBS + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n", 422),
    "recvonly": (OBS.replace("a=sendonly", "a=recvonly"), 422),
    "no bundle": (without("a=group:BUNDLE 0 1\r\n"), 422),
    "no rtcp-mux": (without("a=rtcp-mux\r\n"), 422),
    "unknown codec": (OBS.replace("H264/90000", "H261/90000"), 422),
    "two streams": (OBS.replace("a=msid:k3S9dL2m1pQrTz0v k3S9dL2m1pQrTz0v-video", "a=msid:other video"), 422),
    "no fingerprint": ("\r\n".join(line for line in OBS.split("\r\n") if "fingerprint" not in line), 400),
    "no ufrag": ("\r\n".join(line for line in OBS.split("\r\n") if "ice-ufrag" not in line), 400),
    "payload type": (OBS.replace("RTP/SAVPF 96", "RTP/SAVPF 300"), 400),
    "many sections": (OBS + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:9\r\n" * 1000, 400),
    "nul": (OBS.replace("a=mid:1", "a=mid:1\x00"), 400),
    "long line": (OBS + "a=x:" + "y" * 20_000 + "\r\n", 413),
    "too long": (OBS + "a=x:y\r\n" * 20_000, 413),
}


@pytest.mark.parametrize("name", BAD_OFFERS)
async def test_bad_offer_is_refused_before_the_running_session_is_touched(client: Client, name: str) -> None:
    running = (await client.post()).headers["Location"]
    sdp, status = BAD_OFFERS[name]
    reply = await client.post(sdp)
    assert (reply.status, bool(reply.code)) == (status, True), reply.text
    assert "Location" not in reply.headers
    assert (await client.send("GET", running)).status == 204


async def test_bodies_of_other_types_and_encodings_are_refused(client: Client) -> None:
    for content_type in ("application/json", "text/plain", "application/octet-stream"):
        reply = await client.post(headers={"Content-Type": content_type})
        assert (reply.status, reply.headers["Accept-Post"]) == (415, SDP)
    assert (await client.send("POST", data=b"v=0\r\n\xff\xfe", headers={"Content-Type": SDP})).status == 400
    path = (await client.post()).headers["Location"]
    patch = await client.send("PATCH", path, data=fragment(), headers={"Content-Type": SDP, "If-Match": "*"})
    assert (patch.status, patch.headers["Accept-Patch"]) == (415, SDP_FRAGMENT)
    for method, where in (("PUT", ""), ("DELETE", ""), ("POST", path), ("TRACE", path)):
        assert (await client.send(method, where)).status == 405


async def test_limits_of_sessions_and_requests(http: aiohttp.ClientSession, room: str) -> None:
    server = EmbeddedServer(
        max_whip_sessions="2", whip_requests_per_minute="12", max_whip_sdp_bytes="3000",
        stun_urls="stun:stun.example:3478", public_url="https://ting.example/prefix",
    )  # fmt: skip
    await server.start()
    try:
        first, second, third = (Client(http, server.url, room, name) for name in ("one", "two", "three"))
        reply = await first.post()
        assert reply.headers["Link"] == '<stun:stun.example:3478>; rel="ice-server"'
        location = reply.headers["Location"]
        assert location.startswith("/prefix/whip-sessions/")
        assert (await second.post()).status == 201
        full = await third.post()
        assert (full.status, full.code, full.headers["Retry-After"]) == (503, "limit_exceeded", "5")
        assert (await third.post(OBS + "a=x:y\r\n" * 300)).status == 413
        assert (await first.send("DELETE", location.removeprefix("/prefix"))).status == 200
        assert (await third.post()).status == 201
        replies = [await third.send("DELETE", "/whip-sessions/x") for _ in range(8)]
        limited = replies[-1]
        assert (limited.status, limited.code) == (429, "rate_limited")
        assert int(limited.headers["Retry-After"]) >= 1
        assert (await third.send("OPTIONS", token="")).status == 200
    finally:
        await server.stop()


async def test_full_room_asks_to_come_again(http: aiohttp.ClientSession, room: str) -> None:
    server = EmbeddedServer(max_participants_per_room="1")
    await server.start()
    try:
        first, second = Client(http, server.url, room, "one"), Client(http, server.url, room, "two")
        assert (await first.post()).status == 201
        full = await second.post()
        assert (full.status, full.code, full.headers["Retry-After"]) == (503, "limit_exceeded", "5")
        assert (await first.post()).status == 201
    finally:
        await server.stop()


def to_receive(sdp: str) -> str:
    return sdp.replace("a=sendonly", "a=recvonly")


PLAYER_OFFERS = {
    "empty": ("", 400),
    "no ufrag": (BAD_OFFERS["no ufrag"][0], 400),
    "nul": (BAD_OFFERS["nul"][0], 400),
    "too long": (BAD_OFFERS["too long"][0], 413),
    "sendonly": (OBS, 406),
    "inactive": (OBS.replace("a=sendonly", "a=inactive"), 406),
    "two videos": (to_receive(BAD_OFFERS["two videos"][0]), 406),
    "application": (to_receive(BAD_OFFERS["application"][0]), 406),
    "no bundle": (to_receive(BAD_OFFERS["no bundle"][0]), 406),
    "no rtcp-mux": (to_receive(BAD_OFFERS["no rtcp-mux"][0]), 406),
    "unknown codec": (to_receive(BAD_OFFERS["unknown codec"][0]), 406),
    "good": (to_receive(OBS), 201),
    "sendrecv": (OBS.replace("a=sendonly", "a=sendrecv"), 201),
}


@pytest.mark.parametrize("name", PLAYER_OFFERS)
async def test_offer_of_a_player_is_answered_countered_or_refused(client: Client, name: str) -> None:
    client.endpoint = client.endpoint.replace("/whip/", "/whep/")
    sdp, status = PLAYER_OFFERS[name]
    reply = await client.post(sdp)
    assert reply.status == status, reply.text
    if status in (201, 406):
        lines = reply.text.split("\r\n")
        assert reply.headers["Content-Type"] == SDP
        assert lines.count("a=sendonly") == 2
        assert [line.split(" ")[0] for line in lines if line.startswith("m=")] == ["m=audio", "m=video"]
        assert len([line for line in lines if line.startswith("a=ssrc-group:FID")]) == (status == 406)
        assert (await client.send("DELETE", reply.headers["Location"])).status == 200
    else:
        assert reply.code
        assert "Location" not in reply.headers


async def test_body_that_does_not_come_is_not_waited_for(http: aiohttp.ClientSession, room: str) -> None:
    server = EmbeddedServer(request_timeout_s="0.5")
    await server.start()
    forever = asyncio.Event()

    async def drip() -> AsyncIterator[bytes]:
        yield b"v=0\r\n"
        await forever.wait()

    try:
        client = Client(http, server.url, room)
        reply = await client.send("POST", data=drip(), headers={"Content-Type": SDP})
        assert (reply.status, reply.code) == (408, "request_timeout")
    finally:
        forever.set()
        await server.stop()


async def test_server_api_knows_the_sessions(client: Client, room: str) -> None:
    await client.post()
    async with api.LiveKitAPI(client.server_url, API_KEY, API_SECRET) as admin:
        listed = await admin.room.list_participants(api.ListParticipantsRequest(room=room))
        (studio,) = listed.participants
        assert (studio.identity, studio.kind) == ("studio", models.ParticipantInfo.INGRESS)
        assert {track.source for track in studio.tracks} == {models.TrackSource.CAMERA, models.TrackSource.MICROPHONE}
        assert [layer.rid for track in studio.tracks for layer in track.layers] == ["2", "1", "0"]
        await admin.room.remove_participant(api.RoomParticipantIdentity(room=room, identity="studio"))
    assert (await client.send("GET", token=client.token)).status == 204
    assert (await client.post()).status == 403
