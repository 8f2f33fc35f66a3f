"""ST1 to ST7: what may be thrown at the one UDP port, with a call in progress and a bystander beside it."""

from __future__ import annotations

import asyncio
import os
import random
import struct
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sfu.engine import stun
from sfu.engine.api import Path
from sfu.transport.ice_lite import IceRegistry
from tests.sfu.transport_rig import Call, Server, UdpPeer, until


class Scene:
    """A server with a victim and a bystander in calls, and a stranger's socket."""

    def __init__(self, server: Server, victim: Call, bystander: Call, stranger: UdpPeer) -> None:
        self.server = server
        self.victim = victim
        self.bystander = bystander
        self.stranger = stranger

    @property
    def handled(self) -> int:
        """Datagrams that the server took from its socket."""
        return self.server.runtime.io_stats()["datagrams_received"]

    @property
    def waiting(self) -> int:
        """Events on their way from the engine's thread, where it has one."""
        return self.server.runtime.io_stats().get("events_waiting", 0)

    async def throw(self, source: UdpPeer, datagrams: list[bytes]) -> None:
        """Send all and wait until the server has taken them; in portions that its socket buffer holds."""
        for start in range(0, len(datagrams), 100):
            portion = datagrams[start : start + 100]
            target = self.handled + len(portion)
            for data in portion:
                source.send(data)
            await until(lambda target=target: self.handled >= target and not self.waiting)  # type: ignore[misc]

    async def check_calls(self) -> None:
        await asyncio.gather(self.victim.ping(), self.bystander.ping())
        for call in (self.victim, self.bystander):
            assert call.transport.connected
            assert call.log.closed == []
            assert call.log.connected == 1

    def dropped(self) -> int:
        return self.server.registry.drops.total() + sum(self.server.engine.stats().drops.values())


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Server() as server:
        victim, bystander = await Call.connect(server), await Call.connect(server)
        stranger = await UdpPeer(server.address).open()
        yield Scene(server, victim, bystander, stranger)
        stranger.close()
        await victim.close()
        await bystander.close()


def valid(call: Call, **changes: str) -> bytes:
    return call.udp.request(call.transport.local(), **changes)


@pytest.mark.parametrize("source", ["unknown", "known"])
async def test_st1_every_short_length_gets_no_reply(scene: Scene, source: str) -> None:
    noise = random.Random(1)
    datagrams = []
    for length in range(65):
        datagrams += [bytes(length), b"\xff" * length, noise.randbytes(length), b"\x00\x01" + noise.randbytes(length)]
    sender = scene.stranger if source == "unknown" else scene.victim.udp
    before = sender.replies
    drops = scene.dropped() + scene.victim.transport.counters.total()
    await scene.throw(sender, datagrams)
    assert sender.replies == before
    assert scene.dropped() + scene.victim.transport.counters.total() == drops + len(datagrams)
    await scene.check_calls()


def malformed(request: bytes) -> Iterator[bytes]:
    """ST2: structure that lies."""
    body = request[20:]
    for length in (0, 1, 2, 4, len(body) - 4, len(body) + 4, 0xFFFF):
        yield request[:2] + struct.pack("!H", length) + request[4:]
    yield from (request[:cut] for cut in range(20, len(request)))
    yield request + b"\0\0\0\0"
    for attribute in (b"\x00\x06\xff\xff", b"\x00\x08\x00\x13", b"\x80\x28\x00\x00", b"\x00\x24\x7f\xff"):
        yield request[:2] + struct.pack("!H", len(body) + 4) + request[4:20] + attribute + body
    yield request[:4] + b"\x21\x12\xa4\x43" + request[8:]
    yield request[:4] + bytes(4) + request[8:]
    for top in (0x4001, 0x8001, 0xC001):
        yield struct.pack("!H", top) + request[2:]


async def test_st2_malformed_requests(scene: Scene) -> None:
    datagrams = [*malformed(valid(scene.victim))]
    local = scene.victim.transport.local()
    many = [(0x8022, b"")] * 200
    datagrams.append(stun.build_binding_request(os.urandom(12), f"{local.ice.ufrag}:x", local.ice.pwd, many))
    before = scene.stranger.received_bytes
    path = scene.victim.transport._agent.path
    await scene.throw(scene.stranger, datagrams)
    assert scene.stranger.received_bytes == before
    assert scene.victim.transport._agent.path == path
    await scene.check_calls()


async def test_st3_unauthenticated_requests_get_silence(scene: Scene) -> None:
    request = valid(scene.victim)
    integrity_at = len(request) - 8 - 24
    bad_integrity = bytearray(request[:-8])
    bad_integrity[-1] ^= 1
    bad_integrity[2:4] = struct.pack("!H", len(bad_integrity) - 20)
    bad_fingerprint = request[:-1] + bytes([request[-1] ^ 1])
    without = request[:2] + struct.pack("!H", integrity_at - 20) + request[4:integrity_at]
    truncated = without + struct.pack("!HH", 8, 16) + request[integrity_at + 4 : integrity_at + 20]
    truncated = truncated[:2] + struct.pack("!H", len(truncated) - 20) + truncated[4:]
    datagrams = [
        valid(scene.victim, ufrag="unknown1"),
        valid(scene.victim, remote_ufrag="stranger"),
        valid(scene.victim, pwd="x" * 32),
        valid(scene.victim, pwd=scene.bystander.transport.local().ice.pwd),
        valid(scene.victim, ufrag=""),
        bytes(bad_integrity),
        bad_fingerprint,
        without,
        truncated,
    ]
    drops = scene.dropped()
    path = scene.victim.transport._agent.path
    await scene.throw(scene.stranger, datagrams)
    assert scene.stranger.received_bytes == 0
    assert scene.dropped() == drops + len(datagrams)
    assert {"unknown_user", "bad_integrity", "bad_fingerprint", "no_credentials", "malformed"} <= set(
        scene.server.registry.drops
    )
    assert scene.victim.transport._agent.path == path
    assert len(scene.victim.transport._agent.paths) == 1
    await scene.check_calls()


async def test_st4_attributes_behind_integrity_do_not_nominate(scene: Scene) -> None:
    sealed = scene.stranger.request(
        scene.victim.transport.local(), nominate=False, remote_ufrag=scene.victim.udp.ice.ufrag
    )
    sealed = sealed[:-8]
    tail = struct.pack("!HH", stun.Attribute.USE_CANDIDATE, 0) + struct.pack("!HHBBHI", 0x20, 8, 0, 1, 9, 0x7F000001)
    path = scene.victim.transport._agent.path
    await scene.throw(
        scene.stranger, [sealed[:2] + struct.pack("!H", len(sealed) - 20 + len(tail)) + sealed[4:] + tail]
    )
    await until(lambda: scene.stranger.stun)
    assert scene.stranger.stun[0][:2] == b"\x01\x01"
    assert scene.victim.transport._agent.path == path
    await scene.check_calls()


async def test_st5_recorded_request_from_elsewhere_moves_nothing(scene: Scene) -> None:
    recorded = valid(scene.victim)
    scene.victim.udp.send(recorded)
    await until(lambda: len(scene.victim.udp.stun) >= 2)
    path = scene.victim.transport._agent.path
    thieves = [await UdpPeer(scene.server.address).open() for _ in range(6)]
    for thief in thieves:
        await scene.throw(thief, [recorded] * 3)
    assert scene.server.registry.drops["replayed"] == 18
    assert sum(thief.received_bytes for thief in thieves) == 0
    assert scene.victim.transport._agent.path == path
    assert scene.victim.transport._agent.paths == [path]
    # The rightful peer moves through six networks: four are remembered, the last is used, the one before still works.
    for mover in thieves:
        mover.ice = scene.victim.udp.ice
        await mover.check(scene.victim.transport.local())
        assert len(scene.victim.transport._agent.paths) <= 4
    agent = scene.victim.transport._agent
    assert agent.path == Path("udp", scene.server.address, thieves[-1].address)
    assert Path("udp", scene.server.address, thieves[-2].address) in agent.paths
    await thieves[-2].check(scene.victim.transport.local())
    await scene.victim.udp.check(scene.victim.transport.local())
    await scene.check_calls()
    for thief in thieves:
        thief.close()


async def test_st6_flood_of_known_ufrags_does_not_hold_others_up(scene: Scene) -> None:
    """Reduced: 10,000 spoofed requests as fast as one sender gets them out; the bystander goes on meanwhile."""
    forged = [valid(scene.victim, pwd="x" * 32) for _ in range(100)]
    done = False

    async def flood() -> None:
        nonlocal done
        for _ in range(100):
            for data in forged:
                scene.stranger.send(data)
            await asyncio.sleep(0.001)
        done = True

    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(flood())
    slowest = 0.0
    pings = 0
    while not done:
        began = loop.time()
        await scene.bystander.ping()
        slowest = max(slowest, loop.time() - began)
        pings += 1
    await task
    assert pings >= 3
    assert slowest < 0.25
    assert scene.stranger.received_bytes == 0
    assert scene.server.registry.drops["bad_integrity"] > 1000
    await scene.check_calls()


async def test_st7_responses_indications_and_role_conflict(scene: Scene) -> None:
    local = scene.victim.transport.local()
    transaction_id = os.urandom(12)
    unsolicited = [
        stun.build_success(transaction_id, ("192.0.2.1", 9), local.ice.pwd),
        stun.build_error(transaction_id, 487, local.ice.pwd),
        stun.build_error(transaction_id, 420, local.ice.pwd, [1] * 50),
        b"\x00\x11" + valid(scene.victim)[2:],
    ]
    path = scene.victim.transport._agent.path
    before = scene.victim.udp.replies
    await scene.throw(scene.stranger, unsolicited)
    await scene.throw(scene.victim.udp, unsolicited)
    assert scene.stranger.received_bytes == 0
    assert scene.victim.udp.replies == before
    assert scene.server.registry.drops["not_a_request"] == 8

    username = f"{local.ice.ufrag}:{scene.victim.udp.ice.ufrag}"
    conflict = stun.build_binding_request(
        os.urandom(12),
        username,
        local.ice.pwd,
        [(stun.Attribute.ICE_CONTROLLED, bytes(8)), (stun.Attribute.USE_CANDIDATE, b"")],
    )
    await scene.throw(scene.stranger, [conflict])
    await until(lambda: scene.stranger.stun)
    assert scene.stranger.stun[0][:2] == b"\x01\x11"
    assert scene.victim.transport._agent.path == path
    await scene.check_calls()


async def test_random_mutations_of_a_valid_request(scene: Scene) -> None:
    noise = random.Random(7)
    datagrams = []
    for _ in range(1500):
        data = bytearray(valid(scene.victim))
        # Not FINGERPRINT at the end: what is in front of it is protected by MESSAGE-INTEGRITY.
        for position in noise.sample(range(len(data) - 8), noise.randint(1, 6)):
            data[position] ^= noise.randrange(1, 256)
        datagrams.append(bytes(data))
    path = scene.victim.transport._agent.path
    await scene.throw(scene.stranger, datagrams)
    assert scene.stranger.received_bytes == 0
    assert scene.victim.transport._agent.path == path
    await scene.check_calls()


async def test_half_open_calls_are_limited_per_address_and_end_with_their_transports() -> None:
    """DT5, the ICE half: a peer that proves paths and never begins DTLS."""
    async with Server() as server:
        server.registry = IceRegistry(server.runtime, max_half_open=8, max_half_open_per_address=5)
        transports = [server.transport() for _ in range(7)]
        lurker = await UdpPeer(server.address).open()
        for transport in transports:
            for _ in range(2):
                lurker.send(lurker.request(transport.local()))
        await until(lambda: server.registry.drops["half_open_limit"] == 4)
        assert server.registry.half_open == 5
        assert len(lurker.stun) <= 10
        late = server.now_ns() + int(server.config.transport_setup_timeout_s * 1e9) + 1
        for transport in transports:
            transport.poll(late)
        assert server.registry.half_open == 0
        assert server.transports == {}
        lurker.close()
