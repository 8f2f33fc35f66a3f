"""REST, health, metrics, the web app's files and the headers, over real HTTP."""

from __future__ import annotations

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from sfu.api import (
    Kind,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantState,
    Permissions,
    PublicationEnded,
    PublicationInfo,
    PublicationStarted,
    RoomInfo,
    TrackSource,
)
from sfu.ids import Identity, ParticipantId, RoomId, RoomName, TrackId
from signaling.api.rooms import AtTheDoor
from signaling.api.typed import convert
from signaling.errors import ApiError
from signaling.grants import Grants
from signaling.lifecycle import Phase
from tests.signaling.fake_sfu import FakeSfu
from tests.signaling.harness import Server, running

TOKENS = "/api/v1/rooms/lobby/tokens"


async def post(server: Server, path: str = TOKENS, body: Any = None, **options: Any) -> tuple[int, dict[str, Any], Any]:
    body = {"name": "Ada"} if body is None else body
    kind = {"data": body} if isinstance(body, bytes | str) else {"json": body}
    async with server.http.post(server.url + path, **kind, **options) as response:
        return response.status, await response.json(), response.headers


async def get(server: Server, path: str, **options: Any) -> tuple[int, str, Any]:
    async with server.http.get(server.url + path, **options) as response:
        return response.status, await response.text(), response.headers


# --- guest tokens ---------------------------------------------------------------------------------------


async def test_a_name_gets_a_token_that_opens_the_room(server: Server) -> None:
    status, body, headers = await post(server, body={"name": "  Ada Lovelace "})
    assert status == 200
    assert set(body) == {"token", "url", "room", "identity", "kind", "lasts", "role", "knock"}
    assert (body["url"], body["room"]) == ("", "lobby")
    assert headers["Cache-Control"] == "no-store"
    grants = server.tokens.verify(body["token"])
    assert (grants.name, grants.room, grants.identity) == ("Ada Lovelace", "lobby", body["identity"])
    assert (grants.room_join, grants.can_publish, grants.room_admin, grants.guest) == (True, True, False, True)
    client = await server.connect(body["token"])
    assert (await client.expect("join")).join.participant.name == "Ada Lovelace"


async def test_every_guest_is_somebody_else_unless_they_show_their_token(server: Server) -> None:
    first, second = (await post(server))[1], (await post(server))[1]
    assert first["identity"] != second["identity"]
    again = (await post(server, headers={"Authorization": f"Bearer {first['token']}"}))[1]
    assert again["identity"] == first["identity"]
    elsewhere = (
        await post(server, "/api/v1/rooms/other/tokens", headers={"Authorization": f"Bearer {first['token']}"})
    )[1]
    assert elsewhere["identity"] != first["identity"]


@pytest.mark.parametrize("token", ["garbage", "a.b.c", ""])
async def test_a_useless_earlier_token_is_like_none(server: Server, token: str) -> None:
    status, body, _ = await post(server, headers={"Authorization": f"Bearer {token}"})
    assert status == 200
    assert body["identity"].startswith("guest_")


async def test_a_token_from_elsewhere_gives_no_identity(server: Server) -> None:
    token = server.token("boss")
    body = (await post(server, headers={"Authorization": f"Bearer {token}"}))[1]
    assert body["identity"] != "boss"


async def test_a_kicked_guest_gets_no_identity_back(server: Server) -> None:
    guest = (await post(server))[1]
    client = await server.connect(guest["token"])
    await client.expect("join")
    server.rooms.kick("lobby", guest["identity"])
    again = (await post(server, headers={"Authorization": f"Bearer {guest['token']}"}))[1]
    assert again["identity"] != guest["identity"]


async def test_the_public_url_is_given_as_websocket_url() -> None:
    async with running(public_url="https://ting.example.org/") as server:
        assert (await post(server))[1]["url"] == "wss://ting.example.org"


async def test_typed_room_names_are_normalised(server: Server) -> None:
    composed = (await post(server, "/api/v1/rooms/caf%C3%A9/tokens"))[1]["room"]
    decomposed = (await post(server, "/api/v1/rooms/%20cafe%CC%81/tokens"))[1]["room"]
    assert composed == decomposed == "café"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (TOKENS, {}, 400, "invalid_name"),
        (TOKENS, {"name": ""}, 400, "invalid_name"),
        (TOKENS, {"name": " \t "}, 400, "invalid_name"),
        (TOKENS, {"name": 7}, 400, "invalid_body"),
        (TOKENS, {"name": "x" * 65}, 400, "invalid_name"),
        (TOKENS, {"name": "a\nb"}, 400, "invalid_name"),
        (TOKENS, {"name": "abc\u202edcba"}, 400, "invalid_name"),
        (TOKENS, {"name": "a", "admin": True}, 400, "invalid_body"),
        (TOKENS, ["name"], 400, "invalid_body"),
        (TOKENS, b"", 400, "invalid_body"),
        (TOKENS, b"{", 400, "invalid_body"),
        (TOKENS, b'{"name":NaN}', 400, "invalid_body"),
        (TOKENS, b'{"name":"a","name":"b"}', 400, "invalid_body"),
        (TOKENS, b'{"name":"\\ud800"}', 400, "invalid_body"),
        (TOKENS, b'{"name":"\\u0000"}', 400, "invalid_body"),
        (TOKENS, b'{"name":' + b"9" * 5000 + b"}", 400, "invalid_body"),
        (TOKENS, b"[" * 10_000, 400, "invalid_body"),
        (TOKENS, b"\xff\xfe", 400, "invalid_body"),
        (TOKENS, b'{"name":"' + b"a" * 20_000 + b'"}', 413, "body_too_large"),
        ("/api/v1/rooms/" + "r" * 129 + "/tokens", {"name": "a"}, 400, "invalid_room_name"),
        ("/api/v1/rooms/a%0Ab/tokens", {"name": "a"}, 400, "invalid_room_name"),
        ("/api/v1/rooms/%20/tokens", {"name": "a"}, 400, "invalid_room_name"),
        ("/api/v1/config", {"name": "a"}, 405, "method_not_allowed"),
    ],
)  # fmt: skip
async def test_bad_requests_get_a_code(server: Server, path: str, body: Any, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    got, answer, _ = await post(server, path, body, headers=headers)
    assert (got, answer["error"]["code"]) == (status, code)
    assert "name" not in answer["error"]["message"] or status == 400
    assert (await post(server))[0] == 200


async def test_only_json_is_taken(server: Server) -> None:
    status, body, _ = await post(server, body=b'{"name":"a"}', headers={"Content-Type": "text/plain"})
    assert (status, body["error"]["code"]) == (400, "invalid_body")


async def test_guests_can_be_turned_off() -> None:
    async with running(guests=False) as server:
        status, body, _ = await post(server)
        assert (status, body["error"]["code"]) == (403, "guests_disabled")


async def test_a_full_room_takes_no_guest_but_lets_one_come_back() -> None:
    async with running(max_participants_per_room=1) as server:
        guest = (await post(server))[1]
        client = await server.connect(guest["token"])
        await client.expect("join")
        status, body, _ = await post(server)
        assert (status, body["error"]["code"]) == (403, "room_full")
        assert (await post(server, headers={"Authorization": f"Bearer {guest['token']}"}))[0] == 200


async def test_too_many_tokens_for_one_address() -> None:
    async with running(guest_tokens_per_minute=3) as server:
        assert [(await post(server))[0] for _ in range(3)] == [200, 200, 200]
        status, body, headers = await post(server)
        assert (status, body["error"]["code"]) == (429, "rate_limited")
        assert 1 <= int(headers["Retry-After"]) <= 20


async def test_forwarded_addresses_count_only_from_trusted_proxies() -> None:
    async with running(guest_tokens_per_minute=1) as server:
        assert (await post(server, headers={"X-Forwarded-For": "192.0.2.1"}))[0] == 200
        assert (await post(server, headers={"X-Forwarded-For": "192.0.2.2"}))[0] == 429
    async with running(guest_tokens_per_minute=1, trusted_proxies="127.0.0.0/8") as server:
        assert (await post(server, headers={"X-Forwarded-For": "192.0.2.1"}))[0] == 200
        assert (await post(server, headers={"X-Forwarded-For": "192.0.2.2"}))[0] == 200
        assert (await post(server, headers={"X-Forwarded-For": "192.0.2.9, 192.0.2.2"}))[0] == 429
        assert (await post(server, headers={"X-Forwarded-For": "192.0.2.9, nonsense"}))[0] == 200
        assert (await post(server, headers={"X-Forwarded-For": "nonsense"}))[0] == 429


# --- lookup, config, health -----------------------------------------------------------------------------


async def test_room_lookup(server: Server) -> None:
    status, text, _ = await get(server, "/api/v1/rooms/lobby")
    assert (status, "room_not_found" in text) == (404, True)
    await server.join()
    async with server.http.get(server.url + "/api/v1/rooms/lobby") as response:
        body = await response.json()
    assert (body["name"], body["num_participants"]) == ("lobby", 1)
    assert body["created_at_ms"] > 1_700_000_000_000


async def test_room_lookups_are_limited() -> None:
    async with running(room_lookups_per_minute=2) as server:
        assert [(await get(server, "/api/v1/rooms/x"))[0] for _ in range(3)] == [404, 404, 429]


async def test_unknown_api_paths_are_answered_in_json(server: Server) -> None:
    status, text, _ = await get(server, "/api/v1/nothing")
    assert (status, '"not_found"' in text) == (404, True)


async def test_config(server: Server) -> None:
    async with server.http.get(server.url + "/api/v1/config") as response:
        body = await response.json()
    assert body["name"] == "Ting"
    assert re.match(r"\d+\.\d+", body["version"])
    assert (body["guest_rooms"], body["accounts"]) == (True, False)


async def test_readiness_follows_the_phase(server: Server) -> None:
    assert (await get(server, "/healthz"))[:2] == (200, "ok\n")
    assert (await get(server, "/readyz"))[0] == 200
    server.services.lifecycle.phase = Phase.STARTING
    assert (await get(server, "/readyz"))[0] == 503
    server.services.lifecycle.phase = Phase.DRAINING
    assert (await get(server, "/readyz"))[:2] == (503, "draining\n")
    assert (await get(server, "/healthz"))[0] == 200
    status, body, headers = await post(server)
    assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "unavailable", "5")
    assert (await get(server, "/rtc/validate", params={"access_token": server.token()}))[0] == 503


# --- metrics --------------------------------------------------------------------------------------------


async def test_metrics_show_signaling_and_sfu(server: Server) -> None:
    client = await server.join()
    await client.ping()
    status, text, headers = await get(server, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in (
        "ting_signal_connections 1.0",
        'ting_signal_joins_total{result="joined"} 1.0',
        "ting_rooms 1.0",
        'ting_engine_drops_total{reason="malformed"} 3.0',
        'ting_engine_drops_total{reason="muted"} 0.0',
        "# TYPE ting_line_rtt_ms histogram",
        'ting_line_rtt_ms_bucket{le="50.0"} 1.0',
        "ting_line_rtt_ms_count 3.0",
        "ting_line_rtt_ms_sum 900.0",
        "livekit_room_total 1.0",
        "livekit_participant_total 1.0",
        'livekit_packet_total{direction="incoming",transmission="initial"} 5.0',
    ):
        assert line in text.splitlines(), line


async def test_metrics_name_no_room_and_no_user(server: Server) -> None:
    await server.join("canary-identity", "canary-room")
    await get(server, "/r/canary-room")
    await get(server, "/canary-path")
    assert "canary" not in (await get(server, "/metrics"))[1]


async def test_metrics_are_for_the_allowed_networks_only() -> None:
    async with running(metrics_allow="192.0.2.0/24") as server:
        assert (await get(server, "/metrics"))[0] == 403
        assert (await get(server, "/metrics", headers={"X-Forwarded-For": "192.0.2.1"}))[0] == 403


# --- the web app ----------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>Ting</title>", "utf-8")
    (root / "assets" / "app-1a2b.js").write_text("export {}", "utf-8")
    (root / "assets" / "mlsWorker-1a2B_c-3.js").write_text("postMessage(0)", "utf-8")
    (root / "assets" / "wasmCompiler-1.js").write_text("postMessage(0)", "utf-8")
    (root / "external_api.js").write_text("(() => {})()", "utf-8")
    (root / "icon.svg").write_text("<svg/>", "utf-8")
    (root / ".stamp").write_text("x", "utf-8")
    (tmp_path / "secret.txt").write_text("outside", "utf-8")
    return root


async def test_pages_and_assets(built: Path) -> None:
    async with running(web_root=built) as server:
        pages = ("/", "/r/lobby", "/r/%E4%BC%9A%E8%AE%AE", "/account", "/account/openid?state=x", "/admin", "/check")
        for path in pages:
            status, text, headers = await get(server, path)
            assert (status, "<title>Ting" in text, headers["Cache-Control"]) == (200, True, "no-cache")
        status, text, headers = await get(server, "/assets/app-1a2b.js")
        assert (status, text) == (200, "export {}")
        assert "immutable" in headers["Cache-Control"]
        assert "javascript" in headers["Content-Type"]
        assert (await get(server, "/icon.svg"))[2]["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(("accepted", "coding"), [("gzip", "gzip"), ("gzip, br", "br"), ("identity", "")])
async def test_assets_are_sent_compressed_to_those_who_take_them(built: Path, accepted: str, coding: str) -> None:
    script = b"export {}"
    (built / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(script))
    (built / "assets" / "app-1a2b.js.br").write_bytes(b"brotli's")
    path, headers = "/assets/app-1a2b.js", {"Accept-Encoding": accepted}
    async with (
        running(web_root=built) as server,
        ClientSession(auto_decompress=False) as http,
        http.get(server.url + path, headers=headers) as response,
    ):
        body = await response.read()
        assert (response.status, response.headers.get("Content-Encoding", "")) == (200, coding)
        assert response.headers.get("Vary", "") == ("Accept-Encoding" if coding else "")
        assert "javascript" in response.headers["Content-Type"]
        assert "immutable" in response.headers["Cache-Control"]
        assert body == {"gzip": gzip.compress(script), "br": b"brotli's", "": script}[coding]
        assert (await get(server, path + ".gz"))[0] == 404


@pytest.mark.parametrize(
    ("allowed", "policy"),
    [
        ("", "frame-ancestors 'none'"),
        ("https://a.example,https://*.b.example", "frame-ancestors https://a.example https://*.b.example"),
    ],
)
async def test_the_app_is_in_no_frame_but_those_of_the_settings(built: Path, allowed: str, policy: str) -> None:
    async with running(web_root=built, frame_ancestors=allowed) as server:
        headers = (await get(server, "/r/lobby"))[2]
        assert headers["Content-Security-Policy"].split("; ")[-1] == policy


async def test_pages_of_other_origins_may_load_the_script_for_frames_and_nothing_else(built: Path) -> None:
    async with running(web_root=built, frame_ancestors="https://a.example") as server:
        status, text, headers = await get(server, "/external_api.js")
        assert (status, text, headers["Cache-Control"]) == (200, "(() => {})()", "public, max-age=600")
        assert "javascript" in headers["Content-Type"]
        assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert (await get(server, "/assets/app-1a2b.js"))[2]["Cross-Origin-Resource-Policy"] == "same-origin"
        assert json.loads((await get(server, "/api/v1/config"))[1])["frame_ancestors"] == ["https://a.example"]


async def test_only_the_workers_for_it_may_compile_webassembly(built: Path) -> None:
    workers = ["/assets/mlsWorker-1a2B_c-3.js", "/assets/wasmCompiler-1.js"]
    async with running(web_root=built) as server:
        policies = {
            path: (await get(server, path))[2]["Content-Security-Policy"]
            for path in ("/r/lobby", "/assets/app-1a2b.js", *workers, "/assets/mlsWorker-1.js.map")
        }
    assert [path for path, policy in policies.items() if "unsafe" in policy] == workers
    for worker in workers:
        assert policies[worker] == "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"


@pytest.mark.parametrize(
    "path",
    ["/assets/../../secret.txt", "/..%2Fsecret.txt", "/%2e%2e/secret.txt", "/assets/", "/.stamp", "/a%00b", "/nothing",
     "//etc/passwd"],
)  # fmt: skip
async def test_nothing_outside_the_list_is_served(built: Path, path: str) -> None:
    from yarl import URL

    async with running(web_root=built) as server, server.http.get(URL(server.url + path, encoded=True)) as response:
        assert response.status == 404
        assert "outside" not in await response.text()


async def test_without_a_build_the_page_says_what_to_do(tmp_path: Path) -> None:
    async with running(web_root=tmp_path) as server:
        status, text, headers = await get(server, "/")
        assert (status, "make run" in text) == (503, True)
        assert headers["Content-Type"].startswith("text/plain")


# --- headers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/api/v1/config", "/nothing", "/api/v1/rooms/x", "/rtc/v1", "/metrics"])
async def test_security_headers_are_on_every_answer(server: Server, path: str) -> None:
    _, _, headers = await get(server, path)
    policy = headers["Content-Security-Policy"]
    host = server.url.removeprefix("http://")
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert f"connect-src 'self' ws://{host} wss://{host};" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "camera=(self)" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert "aiohttp" not in headers.get("Server", "")


async def test_a_hostile_host_header_stays_out_of_the_policy(server: Server) -> None:
    _, _, headers = await get(server, "/", headers={"Host": "evil.example; script-src *"})
    assert "evil" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "BREW"])
async def test_other_methods_are_refused(server: Server, method: str) -> None:
    async with server.http.request(method, server.url + "/api/v1/config") as response:
        assert response.status in (400, 404, 405)


async def test_an_internal_error_shows_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(name: str) -> None:
        raise RuntimeError("canary detail")

    monkeypatch.setattr(server.sfu, "find_room", explode)
    status, text, _ = await get(server, "/api/v1/rooms/lobby")
    assert (status, "canary" in text, '"internal"' in text) == (500, False, True)


async def test_validate(server: Server) -> None:
    status, text, headers = await get(server, "/rtc/validate", params={"access_token": server.token()})
    assert (status, text, headers["Access-Control-Allow-Origin"]) == (200, "success", "*")
    status, _, _ = await get(server, "/rtc/validate", headers={"Authorization": f"Bearer {server.token()}"})
    assert status == 200
    status, text, headers = await get(server, "/rtc/validate", params={"access_token": "nope"})
    assert (status, headers["Access-Control-Allow-Origin"]) == (401, "*")
    no_join = server.tokens.issue(Grants(identity="a", room="lobby"), 60)
    assert (await get(server, "/rtc/validate", params={"access_token": no_join}))[0] == 401


@pytest.mark.parametrize("path", ["/rtc/v2", "/rtc/v2/validate", "/rtc", "/rtc/v1", "/rtc/rtc/validate"])
async def test_other_dialects_and_plain_requests_are_not_found(server: Server, path: str) -> None:
    """Clients of a newer dialect fall back on 404, unless the body speaks of a room that does not exist."""
    status, text, _ = await get(server, path, params={"access_token": server.token()})
    assert status == 404
    assert "requested room does not exist" not in text


async def test_the_fake_is_closed_with_the_server() -> None:
    sfu = FakeSfu()
    async with running(sfu):
        assert sfu.started
    assert sfu.closed


async def test_metrics_follow_the_life_of_calls(server: Server) -> None:
    room = RoomInfo(RoomId("RM_x"), RoomName("lobby"), created_at_ms=1)
    joined_at_ms = time.time_ns() // 1_000_000 - 300
    ada = ParticipantInfo(
        ParticipantId("PA_x"), Identity("ada"), "Ada", ParticipantState.ACTIVE, joined_at_ms, 1, Permissions()
    )
    tracks = [PublicationInfo(TrackId(f"TR_{n}"), Kind.VIDEO, TrackSource.CAMERA) for n in range(3)]
    server.sfu.notify(ParticipantJoined(room, ada))
    for track in tracks:
        server.sfu.notify(PublicationStarted(room, ada, track))
    server.sfu.notify(PublicationEnded(room, ada, tracks[0]))
    text = await (await server.http.get(f"{server.url}/metrics")).text()
    assert 'livekit_track_published_total{kind="video"} 2.0' in text
    assert 'livekit_session_join_latency_ms_bucket{le="250.0"} 0.0' in text
    assert "livekit_session_join_latency_ms_count 1.0" in text


def test_a_field_that_no_utf8_has_is_an_error_like_any_other() -> None:
    with pytest.raises(ApiError, match="missing, unknown"):
        convert({"\ud800": 1}, AtTheDoor)
