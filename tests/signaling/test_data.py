"""Data packets: stamped with the sender that the connection belongs to, and sent to whom they are for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import metrics, models

from sfu.api import DataKind, DataReceived, JoinRequest, Permissions
from sfu.ids import Identity, RoomName
from signaling.grants import KINDS
from signaling.livekit import data
from tests.signaling.fake_sfu import FakeSession, FakeSfu
from tests.signaling.harness import Server, relaxed


async def room_of(*names: str, **permissions: bool) -> list[FakeSession]:
    sfu = FakeSfu()
    requests = [JoinRequest(RoomName("r"), Identity(name), permissions=Permissions(**permissions)) for name in names]
    return [await sfu.join(request, lambda event: None) for request in requests]


def route(session: FakeSession, packet: models.DataPacket | bytes, kind: DataKind = DataKind.RELIABLE) -> str | None:
    payload = packet if isinstance(packet, bytes) else packet.SerializeToString()
    others = {other.participant_id: other.identity for other in session.sfu.participants(RoomName("r"))}
    return data.route(session, DataReceived(kind, payload), lambda: others)


def received(session: FakeSession) -> list[models.DataPacket]:
    return [models.DataPacket.FromString(payload) for _, payload in session.data]


async def test_the_sender_is_who_the_connection_belongs_to() -> None:
    alice, bob = await room_of("alice", "bob")
    forged = models.DataPacket(
        participant_identity="boss", participant_sid="PA_boss", kind=models.DataPacket.LOSSY, sequence=5,
        user=models.UserPacket(participant_identity="boss", participant_sid="PA_boss", payload=b"hi", topic="t"),
    )  # fmt: skip
    assert route(alice, forged) is None
    (packet,) = received(bob)
    sid = alice.info.participant_id
    assert (packet.participant_identity, packet.participant_sid, packet.sequence) == ("alice", sid, 5)
    assert (packet.user.participant_identity, packet.user.participant_sid) == ("alice", sid)
    assert (packet.user.payload, packet.user.topic, packet.kind) == (b"hi", "t", models.DataPacket.RELIABLE)
    assert received(alice) == []


@pytest.mark.parametrize(("kind", "speaker"), [("agent", "bob"), ("standard", "alice")])
async def test_only_an_agent_writes_down_what_others_say(kind: str, speaker: str) -> None:
    sfu = FakeSfu()
    request = JoinRequest(RoomName("r"), Identity("alice"), kind=KINDS[kind])
    alice = await sfu.join(request, lambda event: None)
    bob = await sfu.join(JoinRequest(RoomName("r"), Identity("bob")), lambda event: None)
    said = models.Transcription(transcribed_participant_identity="bob")
    assert route(alice, models.DataPacket(transcription=said)) is None
    (packet,) = received(bob)
    assert packet.transcription.transcribed_participant_identity == speaker


@pytest.mark.parametrize(
    "value",
    [
        {"user": models.UserPacket(payload=b"x")},
        {"chat_message": models.ChatMessage(id="1", message="hello")},
        {"transcription": models.Transcription(transcribed_participant_identity="alice")},
        {"sip_dtmf": models.SipDTMF(code=1)},
        {"rpc_request": models.RpcRequest(id="1", method="m")},
        {"rpc_ack": models.RpcAck(request_id="1")},
        {"rpc_response": models.RpcResponse(request_id="1", payload="p")},
        {"stream_header": models.DataStream.Header(stream_id="s")},
        {"stream_chunk": models.DataStream.Chunk(stream_id="s", content=b"c")},
        {"stream_trailer": models.DataStream.Trailer(stream_id="s")},
        {"encrypted_packet": models.EncryptedPacket(encrypted_value=b"e", iv=b"i")},
    ],
    ids=lambda value: next(iter(value)),
)
@pytest.mark.parametrize("kind", [DataKind.RELIABLE, DataKind.LOSSY])
async def test_payloads_pass_unchanged(value: dict[str, Any], kind: DataKind) -> None:
    alice, bob = await room_of("alice", "bob")
    packet = models.DataPacket(**value)
    assert route(alice, packet, kind) is None
    assert bob.data[0][0] is kind
    (got,) = received(bob)
    name = next(iter(value))
    if name == "user":
        got.user.participant_identity = got.user.participant_sid = ""
    assert getattr(got, name) == getattr(packet, name)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (models.DataPacket(speaker=models.ActiveSpeakerUpdate()), "payload_not_allowed"),
        (models.DataPacket(metrics=metrics.MetricsBatch()), "no_destination"),
        (models.DataPacket(), "payload_not_allowed"),
        (b"", "payload_not_allowed"),
        (b"\xff\xff\xff", "malformed"),
        (models.DataPacket(user=models.UserPacket(destination_sids=["PA_none"])), "no_destination"),
        (models.DataPacket(user=models.UserPacket(), destination_identities=["x"] * 1001), "no_destination"),
    ],
)  # fmt: skip
async def test_what_does_not_go_on(packet: models.DataPacket | bytes, reason: str) -> None:
    alice, bob = await room_of("alice", "bob")
    assert route(alice, packet) == reason
    assert reason in data.DROP_REASONS
    assert bob.data == []


async def test_metrics_reach_those_who_may_have_them() -> None:
    sfu = FakeSfu()
    alice, bob, carol = [
        await sfu.join(
            JoinRequest(RoomName("r"), Identity(name), permissions=Permissions(can_subscribe_metrics=name == "carol")),
            lambda event: None,
        )
        for name in ("alice", "bob", "carol")
    ]
    batch = metrics.MetricsBatch(timestamp_ms=7, str_data=["x"])
    # Whom the client names does not matter.
    assert route(alice, models.DataPacket(metrics=batch, destination_identities=["bob"])) is None
    assert [packet.metrics for packet in received(carol)] == [batch]
    assert bob.data == []


async def test_without_the_grant_nothing_goes_on() -> None:
    alice, bob = await room_of("alice", "bob", can_publish_data=False)
    assert route(alice, models.DataPacket(user=models.UserPacket(payload=b"x"))) == "not_allowed"
    assert bob.data == []


async def test_destinations_in_every_form() -> None:
    alice, bob, carol = await room_of("alice", "bob", "carol")
    carol_id = carol.info.participant_id
    for packet in (
        models.DataPacket(destination_identities=["carol"], user=models.UserPacket(payload=b"1")),
        models.DataPacket(user=models.UserPacket(destination_identities=["carol"], payload=b"2")),
        models.DataPacket(user=models.UserPacket(destination_sids=[carol_id, "PA_gone"], payload=b"3")),
        models.DataPacket(destination_identities=["carol", "carol", "nobody"], user=models.UserPacket(payload=b"4")),
    ):
        assert route(alice, packet) is None
    assert bob.data == []
    packets = received(carol)
    assert [packet.user.payload for packet in packets] == [b"1", b"2", b"3", b"4"]
    assert all("carol" in packet.destination_identities for packet in packets)


async def test_after_the_end_nothing_is_raised() -> None:
    (alice,) = await room_of("alice")
    alice.leave()
    assert route(alice, models.DataPacket(user=models.UserPacket())) == "refused"


async def test_data_is_routed_while_the_websocket_is_away(server: Server) -> None:
    alice, _bob = await server.join("alice"), await server.join("bob")
    await alice.ws.close()
    packet = models.DataPacket(user=models.UserPacket(payload=b"still here"))
    server.sfu.session_of("lobby", "alice").receive_data(DataKind.RELIABLE, packet.SerializeToString())
    assert received(server.sfu.session_of("lobby", "bob"))[0].user.payload == b"still here"


async def test_drops_are_counted(server: Server) -> None:
    _alice = await server.join("alice")
    server.sfu.session_of("lobby", "alice").receive_data(DataKind.LOSSY, b"\xff")
    assert server.value("ting_data_packets_dropped_total", reason="malformed") == 1


@relaxed
@given(st.binary(max_size=300))
async def test_any_bytes_are_forwarded_with_the_right_sender_or_dropped(payload: bytes) -> None:
    alice, bob = await room_of("alice", "bob")
    reason = route(alice, payload)
    assert reason is None or reason in data.DROP_REASONS
    for packet in received(bob):
        assert (packet.participant_identity, packet.participant_sid) == ("alice", alice.info.participant_id)
