"""/rtc/v1: what a client may ask for as it joins over a single peer connection, and what it may not."""

from __future__ import annotations

import base64
import gzip
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from sfu.api import MediaSectionsRequired
from signaling.livekit.join_request import JoinRequestError, parse_join_request
from signaling.livekit.settings import SignalSettings
from signaling.tokens import TokenSettings
from tests.signaling.fake_sfu import ANSWER_SDP, OFFER_SDP, FakeSession
from tests.signaling.harness import Client, Server, relaxed, running

Wrapped = rtc.WrappedJoinRequest
SETTINGS = SignalSettings()
MAX_TRACKS = 16


def encode(data: bytes, compression: int = Wrapped.NONE) -> str:
    wrapped = Wrapped(compression=compression, join_request=data)  # type: ignore[arg-type]
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def packed(*, compress: bool = False, **fields: Any) -> str:
    data = rtc.JoinRequest(**fields).SerializeToString()
    return encode(gzip.compress(data), Wrapped.GZIP) if compress else encode(data)


async def connect(server: Server, join_request: str, *, identity: str = "alice", **grants: Any) -> Client:
    query = {"access_token": server.token(identity, **grants), "join_request": join_request}
    return Client(await server.http.ws_connect(f"{server.ws_url}/rtc/v1", params=query, max_msg_size=0), text=False)


async def join(server: Server, join_request: str = "", **options: Any) -> Client:
    client = await connect(server, join_request, **options)
    client.join_response = (await client.expect("join")).join
    return client


async def validate(server: Server, **query: str) -> tuple[int, str]:
    query = {"access_token": server.token(), **query}
    async with server.http.get(f"{server.url}/rtc/v1/validate", params=query) as response:
        return response.status, await response.text()


def session_of(server: Server, client: Client) -> FakeSession:
    session = server.sfu.find_session("lobby", client.sid)  # type: ignore[arg-type]
    assert isinstance(session, FakeSession)
    return session


# --- joining ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
async def test_the_request_is_what_joins(server: Server, compress: bool) -> None:
    client = await join(
        server,
        packed(
            compress=compress,
            client_info=models.ClientInfo(
                sdk=models.ClientInfo.RUST, version="1.2.3", protocol=16, os="linux", browser="b" * 100
            ),
            connection_settings=rtc.ConnectionSettings(auto_subscribe=True, adaptive_stream=True),
        ),
    )
    assert not client.join_response.subscriber_primary
    request = session_of(server, client).request
    assert request.single_connection
    assert (request.auto_subscribe, request.adaptive_stream) == (True, True)
    described = request.client
    assert (described.sdk, described.version, described.protocol, described.os) == ("rust", "1.2.3", 16, "linux")
    assert described.browser == "b" * 64


async def test_nothing_set_is_nothing_wanted(server: Server) -> None:
    request = session_of(server, await join(server, packed(client_info=models.ClientInfo()))).request
    assert (request.auto_subscribe, request.adaptive_stream, request.client.sdk) == (False, False, "unknown")


async def test_without_a_join_request_the_query_counts(server: Server) -> None:
    query = {"access_token": server.token(), "auto_subscribe": "0", "sdk": "go"}
    client = Client(await server.http.ws_connect(f"{server.ws_url}/rtc/v1", params=query), text=False)
    client.join_response = (await client.expect("join")).join
    request = session_of(server, client).request
    assert (request.single_connection, request.auto_subscribe, request.client.sdk) == (True, False, "go")


async def test_the_offer_in_the_request_is_answered_after_the_join(server: Server) -> None:
    offer = rtc.SessionDescription(type="offer", sdp=OFFER_SDP, id=7)
    client = await join(server, packed(compress=True, publisher_offer=offer))
    answer = (await client.expect("answer")).answer
    assert (answer.type, answer.sdp, answer.id) == ("answer", ANSWER_SDP, 7)
    assert dict(answer.mid_to_track_id) == {"1": "TR_other"}
    # No offer of ours came before it, and the connection goes on as ever.
    await client.send(ping=1)
    await client.expect("pong")


async def test_tracks_in_the_request_are_announced_before_the_offer(server: Server) -> None:
    tracks = [rtc.AddTrackRequest(cid=cid, type=models.TrackType.AUDIO) for cid in ("a", "b")]
    offer = rtc.SessionDescription(type="offer", sdp=OFFER_SDP)
    client = await join(server, packed(add_track_requests=tracks, publisher_offer=offer))
    assert [(await client.expect("track_published")).track_published.cid for _ in tracks] == ["a", "b"]
    await client.expect("answer")


async def test_a_bad_offer_in_the_request_is_refused_and_the_participant_stays(server: Server) -> None:
    offer = rtc.SessionDescription(type="offer", sdp="nonsense", id=3)
    client = await join(server, packed(publisher_offer=offer))
    refusal = (await client.expect("request_response")).request_response
    assert refusal.reason == rtc.RequestResponse.INVALID_REQUEST
    await client.send(offer=rtc.SessionDescription(type="offer", sdp=OFFER_SDP, id=4))
    assert (await client.expect("answer")).answer.id == 4


async def test_sections_are_asked_for(server: Server) -> None:
    client = await join(server, packed())
    session_of(server, client).emit(MediaSectionsRequired(2, 1))
    requirement = (await client.expect("media_sections_requirement")).media_sections_requirement
    assert (requirement.num_audios, requirement.num_videos) == (2, 1)


# --- metadata and attributes ----------------------------------------------------------------------------------


async def test_own_metadata_with_the_right_to_it(server: Server) -> None:
    grants = {"metadata": "of the token", "attributes": {"kept": "1", "changed": "1", "empty": "1"}}
    wish = packed(metadata="mine", participant_attributes={"changed": "2", "empty": "", "new": "3"})
    participant = (await join(server, wish, can_update_own_metadata=True, **grants)).join_response.participant
    assert participant.metadata == "mine"
    assert dict(participant.attributes) == {"kept": "1", "changed": "2", "empty": "1", "new": "3"}
    participant = (await join(server, wish, identity="bob", **grants)).join_response.participant
    assert participant.metadata == "of the token"
    assert dict(participant.attributes) == grants["attributes"]


async def test_own_metadata_has_limits(server: Server) -> None:
    long = "x" * TokenSettings().max_metadata_bytes
    may = {"access_token": server.token(can_update_own_metadata=True, attributes={"key": "value"})}
    assert (await validate(server, join_request=packed(metadata=long), **may))[0] == 200
    assert (await validate(server, join_request=packed(metadata=long + "x"), **may))[0] == 400
    # Together with those of the token.
    attributes = packed(participant_attributes={"own": long[4:]})
    assert (await validate(server, join_request=attributes, **may))[0] == 400
    many = packed(participant_attributes={str(number): "1" for number in range(1000)})
    assert (await validate(server, join_request=many, **may))[0] == 400


# --- resuming -----------------------------------------------------------------------------------------------


async def test_resume_by_the_request(server: Server) -> None:
    client = await join(server, packed())
    session = session_of(server, client)
    await client.ws.close()
    sync = rtc.SyncState(subscription=rtc.UpdateSubscription(track_sids=["TR_gone"], subscribe=True))
    offer = rtc.SessionDescription(type="offer", sdp=OFFER_SDP, id=2)
    wish = packed(reconnect=True, participant_sid=client.sid, sync_state=sync, publisher_offer=offer)
    again = await connect(server, wish)
    await again.expect("reconnect")
    assert (await again.wait_for("subscription_response")).subscription_response.track_sid == "TR_gone"
    assert (await again.wait_for("answer")).answer.id == 2
    assert server.sfu.find_session("lobby", client.sid) is session  # type: ignore[arg-type]


async def test_resume_of_a_stranger_or_in_the_other_dialect_asks_for_a_full_reconnect(server: Server) -> None:
    client = await join(server, packed())
    for again in (
        await connect(server, packed(reconnect=True, participant_sid="PA_nobody")),
        await connect(server, packed(reconnect=True, participant_sid=client.sid), identity="mallory"),
        await server.connect(reconnect="1", sid=client.sid),
    ):
        leave = (await again.expect("leave")).leave
        assert leave.reason == models.DisconnectReason.STATE_MISMATCH
    old = await server.join("bob")
    again = await connect(server, packed(reconnect=True, participant_sid=old.sid), identity="bob")
    assert (await again.expect("leave")).leave.reason == models.DisconnectReason.STATE_MISMATCH
    # Nobody was disturbed by that.
    for untouched in (client, old):
        await untouched.send(ping=1)
        await untouched.wait_for("pong")


# --- bad input ------------------------------------------------------------------------------------------------

GOOD = rtc.JoinRequest(metadata="m").SerializeToString()
BAD = {
    "not base64": "%%%",
    "standard base64": "+/+/",
    "padding in the middle": "CAA=AAAA",
    "one letter": "A",
    "not ascii": "数据",
    "not protobuf": base64.urlsafe_b64encode(b"\xff\xff\xff").decode(),
    "protobuf of another kind": encode(b"\xff\xff\xff"),
    "wrong types": encode(bytes([0x0A, 0x02, 0xFF, 0xFF])),
    "text that is not UTF-8": encode(bytes([0x1A, 0x02, 0xC3, 0x28])),
    "unknown compression": encode(GOOD, 9),
    "gzip that is none": encode(GOOD, Wrapped.GZIP),
    "gzip cut short": encode(gzip.compress(GOOD)[:-4], Wrapped.GZIP),
    "gzip of nothing": encode(b"", Wrapped.GZIP),
    "gzip with more behind it": encode(gzip.compress(GOOD) + b"x", Wrapped.GZIP),
    "gzip twice": encode(gzip.compress(GOOD) * 2, Wrapped.GZIP),
    "plain and too large": encode(b"\x1a\xff\xff\x7f" + b"x" * 200_000),
    "too many tracks": packed(add_track_requests=[rtc.AddTrackRequest(cid="c")] * 17),
}


@pytest.mark.parametrize("kind", BAD)
async def test_bad_requests_are_answered_with_400(server: Server, kind: str) -> None:
    status, text = await validate(server, join_request=BAD[kind])
    assert status == 400
    assert "requested room does not exist" not in text
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    query = {"access_token": server.token(), "join_request": BAD[kind]}
    async with server.http.get(f"{server.url}/rtc/v1", params=query, headers=headers) as response:
        assert response.status == 400
    assert server.sfu.sessions_in("lobby") == []  # type: ignore[arg-type]


async def test_the_token_is_looked_at_first(server: Server) -> None:
    status, _ = await validate(server, access_token="nope", join_request="%%%")
    assert status == 401
    assert await validate(server) == (200, "success")
    assert (await validate(server, join_request=packed(compress=True)))[0] == 200


def test_a_gzip_bomb_costs_no_memory() -> None:
    bomb = gzip.compress(bytes(100_000_000), compresslevel=9)
    assert len(bomb) < 100_000
    settings = SignalSettings(max_join_request_url_bytes=1_000_000)
    text = encode(bomb, Wrapped.GZIP)
    tracemalloc.start()
    with pytest.raises(JoinRequestError, match="too large"):
        parse_join_request(text, settings, MAX_TRACKS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


async def test_the_limits_are_those_of_the_settings() -> None:
    async with running(max_join_request_url_bytes=300, max_join_request_bytes=1000) as server:
        for metadata, compress, status in (
            ("m" * 100, False, 200), ("m" * 300, False, 400),
            ("m" * 900, True, 200), ("m" * 1100, True, 400),
        ):  # fmt: skip
            request = packed(metadata=metadata, compress=compress)
            assert (await validate(server, join_request=request))[0] == status, (len(metadata), compress)


async def test_a_large_honest_request_fits(server: Server) -> None:
    """The first offer of a browser with token, uncompressed."""
    offer = rtc.SessionDescription(type="offer", sdp=OFFER_SDP + "a=x\r\n" * 7000)
    request = packed(publisher_offer=offer)
    assert 45_000 < len(request) < SETTINGS.max_join_request_url_bytes
    token = server.token(metadata="m" * 7000)
    assert (await validate(server, access_token=token, join_request=request))[0] == 200


@relaxed
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(encode),
                 st.binary(max_size=60).map(lambda data: encode(gzip.compress(data), Wrapped.GZIP))))  # fmt: skip
def test_whatever_comes_is_taken_or_refused(parameter: str) -> None:
    try:
        opening = parse_join_request(parameter, SETTINGS, MAX_TRACKS)
    except JoinRequestError:
        return
    assert opening.options.single_connection
