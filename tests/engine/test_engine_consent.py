"""Consent checks that the engine answers itself: which ones, with which bytes, and which it hands up."""

from __future__ import annotations

import os
import random

import pytest

from sfu.engine import create_engine, engine_name, stun
from sfu.engine.api import EngineStats, PacketEngine, Path, StunReceived, TransportConfig
from sfu.engine.reference.consent import MAX_ANSWERED
from sfu.errors import EngineError
from sfu.ids import TransportHandle
from tests.engine.harness import make_keys
from tests.engine.twin import TwinEngine

LOCAL = ("192.0.2.1", 7882)
HERE = Path("udp", LOCAL, ("198.51.100.7", 4000))
OTHER = Path("udp", LOCAL, ("198.51.100.7", 4001))
NOBODY = Path("udp", LOCAL, ("203.0.113.1", 1))
UFRAG, PWD, PEER = "ours1234", "p" * 32, "peer"


def connect(engine: PacketEngine | TwinEngine, path: Path = HERE) -> TransportHandle:
    transport: TransportHandle = engine.add_transport(TransportConfig())  # type: ignore[union-attr]
    engine.set_srtp(transport, make_keys("one"))  # type: ignore[union-attr]
    engine.set_path(transport, path)  # type: ignore[union-attr]
    engine.set_ice(transport, UFRAG, PWD, PEER)  # type: ignore[union-attr]
    return transport


def request(
    *attributes: tuple[int, bytes], username: str = f"{UFRAG}:{PEER}", pwd: str = PWD, transaction_id: bytes = b""
) -> bytes:
    return stun.build_binding_request(transaction_id or os.urandom(12), username, pwd, attributes)


def answer(engine: PacketEngine | TwinEngine, data: bytes, path: Path = HERE, now_ns: int = 5) -> bytes | None:
    """The reply; None where the datagram was handed up instead, as it came."""
    engine.handle_datagram(now_ns, path, data)
    transmit, event = engine.poll_transmit(), engine.poll_event()
    assert engine.poll_transmit() is None
    assert engine.poll_event() is None
    if transmit is None:
        assert event == StunReceived(path, data)
        return None
    assert event is None
    assert transmit.path == path
    return transmit.data


def test_a_check_on_the_current_path_is_answered(engine: PacketEngine) -> None:
    transport = connect(engine)
    assert engine.last_check_ns(transport) is None
    for index, extra in enumerate(([], [(stun.Attribute.PRIORITY, b"1234")], [(stun.Attribute.USE_CANDIDATE, b"")])):
        transaction_id = os.urandom(12)
        assert not engine.has_answered(transport, transaction_id)
        reply = answer(engine, request(*extra, transaction_id=transaction_id), now_ns=100 + index)
        assert reply == stun.build_success(transaction_id, HERE.remote, PWD)
        assert engine.has_answered(transport, transaction_id)
        assert engine.last_check_ns(transport) == 100 + index
    stats = engine.stats()
    assert stats.checks_answered == 3
    assert (stats.packets_received, stats.packets_sent) == (0, 0), "media only"


def test_the_address_of_an_ipv6_peer(engine: PacketEngine) -> None:
    path = Path("udp", ("2001:db8::1", 7882), ("2001:db8::2:3", 4000))
    connect(engine, path)
    reply = answer(engine, request(transaction_id=bytes(12)), path)
    assert reply == stun.build_success(bytes(12), path.remote, PWD)


@pytest.mark.parametrize(
    "data",
    [
        request(pwd="q" * 32),
        request(username=f"{UFRAG}:else"),
        request(username=f"other123:{PEER}"),
        request(username=UFRAG),
        request(username=""),
        request((stun.Attribute.ICE_CONTROLLED, bytes(8))),
        request((0x0077, b"what")),
        request(*[(stun.Attribute.PRIORITY, b"1234")] * 48),
        request()[:-8],
        stun.build_success(bytes(12), HERE.remote, PWD),
        stun.build_error(bytes(12), 420, PWD, [1]),
    ],
    ids=[
        "wrong_pwd",
        "wrong_peer",
        "wrong_ufrag",
        "no_peer",
        "nobody",
        "controlled",
        "unknown",
        "many",
        "cut",
        "success",
        "error",
    ],
)
def test_anything_unusual_goes_up(engine: PacketEngine, data: bytes) -> None:
    transport = connect(engine)
    assert answer(engine, data) is None
    assert engine.last_check_ns(transport) is None
    assert engine.stats().checks_answered == 0
    assert answer(engine, request()) is not None


def test_other_paths_and_unready_transports_go_up(engine: PacketEngine) -> None:
    transport = connect(engine)
    engine.allow_path(transport, OTHER)
    assert answer(engine, request(), OTHER) is None
    assert answer(engine, request(), NOBODY) is None
    unready = engine.add_transport(TransportConfig())
    engine.set_path(unready, NOBODY)
    engine.set_ice(unready, UFRAG, PWD, PEER)
    assert answer(engine, request(), NOBODY) is None, "its DTLS has not finished"
    engine.forget_path(HERE)
    assert answer(engine, request(), HERE) is None


def test_new_credentials_replace_the_old_and_remember_their_transactions(engine: PacketEngine) -> None:
    transport = connect(engine)
    assert answer(engine, request(transaction_id=bytes(12)), now_ns=7) is not None
    engine.set_ice(transport, "again", "n" * 32, "new")
    assert answer(engine, request()) is None
    assert (engine.has_answered(transport, bytes(12)), engine.last_check_ns(transport)) == (True, 7)
    assert answer(engine, request(username="again:new", pwd="n" * 32)) is not None


def test_remembered_transactions_are_bounded(engine: PacketEngine) -> None:
    transport = connect(engine)
    ids = [index.to_bytes(12, "big") for index in range(MAX_ANSWERED + 1)]
    for transaction_id in [*ids, ids[-1]]:
        assert answer(engine, request(transaction_id=transaction_id)) is not None
    assert [engine.has_answered(transport, one) for one in (ids[0], ids[1], ids[-1])] == [False, True, True]


def test_unknown_transports(engine: PacketEngine) -> None:
    calls = [
        lambda: engine.set_ice(TransportHandle(9), "a", "b", "c"),
        lambda: engine.last_check_ns(TransportHandle(9)),
        lambda: engine.has_answered(TransportHandle(9), bytes(12)),
    ]
    for call in calls:
        with pytest.raises(EngineError) as caught:
            call()  # type: ignore[no-untyped-call]
        assert caught.value.code == "unknown_transport"


def needs_both() -> None:
    try:
        engine_name("rust")
    except EngineError:
        pytest.skip("the Rust engine is not built")


def test_both_engines_say_the_same_of_damaged_requests() -> None:
    """ST1 to ST4 on the path of the media: every length, every byte changed, and random attributes."""
    needs_both()
    twin = TwinEngine(seed=1)
    connect(twin)
    whole = request((stun.Attribute.PRIORITY, b"1234"), (stun.Attribute.USE_CANDIDATE, b""), transaction_id=bytes(12))
    assert answer(twin, whole) is not None
    rng = random.Random(5)
    damaged = [whole[:length] for length in range(1, len(whole))]
    damaged += [whole[:at] + bytes((whole[at] ^ 1 << rng.randrange(8),)) + whole[at + 1 :] for at in range(len(whole))]
    damaged += [whole + bytes(count) for count in range(1, 9)]
    for length in range(65):
        damaged += [bytes(length), b"\0" + rng.randbytes(length), whole[:20] + rng.randbytes(length)]
    for data in damaged:
        twin.handle_datagram(9, HERE, data)
    for _ in range(300):
        kinds = [0x0006, 0x0024, 0x0025, 0x8022, 0x802A, 0xC057, 0x0020]
        attributes = [(rng.choice(kinds), rng.randbytes(rng.randrange(9))) for _ in range(rng.randrange(6))]
        if rng.random() < 0.2:
            attributes.append((rng.choice([0x0077, 0x8029, 0x0009]), b"1234"))
        data = request(*attributes, transaction_id=rng.randbytes(12))
        if rng.random() < 0.3:
            # Behind the integrity: not looked at.
            extra = b"\x80\x29\x00\x04\x00\x00\x00\x00"
            data = data[:2] + (len(data) - 20 - 8 + len(extra)).to_bytes(2, "big") + data[4:-8] + extra
        twin.handle_datagram(11, HERE, data)
    stats: EngineStats = twin.stats()
    assert stats.checks_answered > 100


def test_engines_are_built_alike() -> None:
    """What `sfu.transport.ice_lite` would answer is what the engine answers, to the byte."""
    engine = create_engine("reference", seed=1)
    connect(engine)
    data = request(transaction_id=b"0123456789ab")
    parsed = stun.parse_binding_request(data)
    assert stun.has_integrity(data, parsed, PWD)
    assert answer(engine, data) == stun.build_success(parsed.transaction_id, HERE.remote, PWD)
