"""The lite agent without sockets: who is answered, which path is taken, when credentials end."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sfu.engine import stun
from sfu.engine.api import EngineCommands, Path
from sfu.ids import TransportHandle
from sfu.transport.ice_lite import (
    MAX_REMEMBERED_TRANSACTIONS,
    PWD_LENGTH,
    UFRAG_LENGTH,
    IceAgent,
    IceRegistry,
    new_credentials,
)
from tests.sfu.demux_engine import DemuxEngine

SERVER = ("192.0.2.10", 7882)


def path(port: int, address: str = "198.51.100.1") -> Path:
    return Path("udp", SERVER, (address, port))


class Runtime:
    """An `EngineRuntime` that keeps what is sent."""

    name = "test"

    def __init__(self) -> None:
        self.engine = DemuxEngine()
        self.commands: EngineCommands = self.engine
        self.sent: list[tuple[Path, bytes]] = []

    async def open(self, listen: Any, on_event: Any) -> None: ...

    def send(self, path: Path, data: bytes) -> None:
        self.sent.append((path, data))

    def now_ns(self) -> int:
        return 0

    def io_stats(self) -> Mapping[str, int]:
        return {}

    async def close(self) -> None: ...


class Rig:
    def __init__(self, **limits: int) -> None:
        self.runtime = Runtime()
        self.registry = IceRegistry(self.runtime, **limits)
        self.nominated: list[Path] = []
        self.agent = self.add()

    def add(self) -> IceAgent:
        from sfu.engine.api import TransportConfig

        return self.registry.add(self.runtime.engine.add_transport(TransportConfig()), self.nominated.append)

    def check(
        self,
        from_path: Path,
        *,
        agent: IceAgent | None = None,
        credentials: Any = None,
        remote: str = "peer",
        nominate: bool = False,
        transaction_id: bytes | None = None,
        extra: Sequence[tuple[int, bytes]] = (),
        now_ns: int = 0,
    ) -> bytes | None:
        local = credentials or (agent or self.agent).local
        attributes = [*extra, *([(stun.Attribute.USE_CANDIDATE, b"")] if nominate else [])]
        request = stun.build_binding_request(
            transaction_id or os.urandom(12), f"{local.ufrag}:{remote}", local.pwd, attributes
        )
        return self.registry.handle(now_ns, from_path, request)


def is_success(reply: bytes | None) -> bool:
    return reply is not None and reply[:2] == b"\x01\x01"


def test_credentials_have_the_bits_that_they_should() -> None:
    """ST6: 24 and 128 random bits at the least; ours have 6 per character."""
    assert UFRAG_LENGTH * 6 >= 24
    assert PWD_LENGTH * 6 >= 128
    made = [new_credentials() for _ in range(200)]
    assert len({item.ufrag for item in made}) == 200
    assert len({item.pwd for item in made}) == 200
    allowed = set(string.ascii_letters + string.digits + "+/")
    seen = set("".join(item.pwd for item in made))
    assert seen == allowed
    assert all((len(item.ufrag), len(item.pwd)) == (UFRAG_LENGTH, PWD_LENGTH) for item in made)


def test_check_without_nomination_validates_and_does_not_move() -> None:
    rig = Rig()
    assert is_success(rig.check(path(1)))
    assert rig.agent.paths == [path(1)]
    assert rig.agent.path is None
    assert rig.nominated == []
    assert rig.runtime.engine._paths == {path(1): rig.agent.handle}


def test_nomination_moves_once_and_again_only_to_another_path() -> None:
    rig = Rig()
    rig.check(path(1), nominate=True)
    rig.check(path(1), nominate=True)
    assert rig.nominated == [path(1)]
    rig.check(path(2), nominate=True)
    assert rig.nominated == [path(1), path(2)]
    assert rig.runtime.engine.current[rig.agent.handle] == path(2)


def test_request_with_only_username_and_use_candidate_is_accepted() -> None:
    """FFmpeg 8.0 leaves PRIORITY and ICE-CONTROLLING out."""
    rig = Rig()
    assert is_success(rig.check(path(1), nominate=True))
    assert rig.agent.path == path(1)


def test_remote_ufrag_counts_once_it_is_known() -> None:
    rig = Rig()
    assert is_success(rig.check(path(1), remote="anyone"))
    rig.agent.set_remote_ufrag("peer")
    assert rig.check(path(1), remote="anyone") is None
    assert rig.registry.drops["unknown_user"] == 1
    assert is_success(rig.check(path(1), remote="peer"))


def test_replay_from_another_address_does_not_move_and_gets_no_answer() -> None:
    """ST5."""
    rig = Rig()
    recorded = os.urandom(12)
    rig.check(path(1), nominate=True, transaction_id=recorded)
    assert rig.check(path(9), nominate=True, transaction_id=recorded) is None
    assert rig.agent.path == path(1)
    assert rig.agent.paths == [path(1)]
    assert rig.registry.drops["replayed"] == 1
    # The peer's own retransmission is answered.
    assert is_success(rig.check(path(1), nominate=True, transaction_id=recorded))
    # And a fresh one from elsewhere moves.
    assert is_success(rig.check(path(9), nominate=True))
    assert rig.agent.path == path(9)


def test_remembered_transactions_are_bounded_and_the_newest_stay() -> None:
    rig = Rig()
    recorded = [os.urandom(12) for _ in range(MAX_REMEMBERED_TRANSACTIONS + 50)]
    for transaction_id in recorded:
        rig.check(path(1), nominate=True, transaction_id=transaction_id)
    assert len(rig.agent._transactions) == MAX_REMEMBERED_TRANSACTIONS
    assert all(rig.check(path(9), transaction_id=item) is None for item in recorded[-MAX_REMEMBERED_TRANSACTIONS:])


def test_at_most_four_paths_and_the_current_one_is_kept() -> None:
    """ST5."""
    rig = Rig()
    rig.check(path(1), nominate=True)
    for port in range(2, 12):
        rig.check(path(port))
        assert len(rig.agent.paths) <= 4
        assert path(1) in rig.agent.paths
        assert sorted(rig.agent.paths) == sorted(rig.runtime.engine._paths)
    assert rig.agent.path == path(1)
    # The last ones are still good for a nomination.
    rig.check(path(11), nominate=True)
    assert rig.agent.path == path(11)


def test_a_path_that_another_transport_took_is_bound_again_by_the_next_check() -> None:
    rig = Rig()
    other = rig.add()
    rig.check(path(1), nominate=True)
    rig.check(path(1), agent=other)
    assert rig.runtime.engine._paths[path(1)] == other.handle
    rig.check(path(1))
    assert rig.runtime.engine._paths[path(1)] == rig.agent.handle


def test_role_conflict_leaves_us_controlled() -> None:
    """ST7, RFC 8445 §7.3.1.1."""
    rig = Rig()
    reply = rig.check(path(1), nominate=True, extra=[(stun.Attribute.ICE_CONTROLLED, bytes(8))])
    assert reply is not None
    assert reply[:2] == b"\x01\x11"
    assert b"\x00\x00\x04\x57" in reply
    assert rig.agent.path is None
    assert rig.agent.last_check_ns is None


def test_unknown_required_attribute_gets_420_when_authenticated_only() -> None:
    rig = Rig()
    reply = rig.check(path(1), extra=[(0x7001, b"x")])
    assert reply is not None
    assert b"\x00\x00\x04\x14" in reply
    assert rig.agent.paths == []
    wrong = type(rig.agent.local)(rig.agent.local.ufrag, "x" * 32)
    assert rig.check(path(1), credentials=wrong, extra=[(0x7001, b"x")]) is None
    assert rig.registry.drops["bad_integrity"] == 1


def test_restart_old_credentials_end_with_the_first_nomination_of_the_new() -> None:
    rig = Rig()
    old = rig.agent.local
    rig.agent.set_remote_ufrag("peer")
    rig.check(path(1), nominate=True)
    new = rig.registry.restart(rig.agent)
    rig.agent.set_remote_ufrag("peer2")
    assert rig.agent.local == new
    assert is_success(rig.check(path(1), credentials=old, nominate=True))
    assert is_success(rig.check(path(1), credentials=new, remote="peer2"))
    assert is_success(rig.check(path(1), credentials=old))
    assert rig.check(path(1), credentials=new, remote="peer") is None
    assert is_success(rig.check(path(1), credentials=new, remote="peer2", nominate=True))
    assert rig.check(path(1), credentials=old) is None
    assert rig.nominated == [path(1)]


def test_many_restarts_leave_two_credentials_at_most() -> None:
    rig = Rig()
    first = rig.agent.local
    for _ in range(10):
        last = rig.registry.restart(rig.agent)
    assert rig.agent.ufrags == [first.ufrag, last.ufrag]
    assert len(rig.registry._agents) == 2
    rig.registry.remove(rig.agent)
    assert rig.registry._agents == {}


def test_consent() -> None:
    rig = Rig()
    assert not rig.registry.consent_expired(rig.agent, 10**12, 30)
    assert rig.registry.heard_at_ns(rig.agent) is None
    rig.check(path(1), now_ns=100)
    assert not rig.registry.consent_expired(rig.agent, 129, 30)
    assert rig.registry.consent_expired(rig.agent, 130, 30)
    rig.check(path(1), now_ns=130)
    assert not rig.registry.consent_expired(rig.agent, 159, 30)
    assert rig.registry.heard_at_ns(rig.agent) == 130
    # The engine has heard the peer since.
    rig.runtime.engine.checked_ns[rig.agent.handle] = 190
    assert rig.registry.heard_at_ns(rig.agent) == 190
    assert not rig.registry.consent_expired(rig.agent, 219, 30)
    assert rig.registry.consent_expired(rig.agent, 220, 30)


def test_the_engine_gets_the_credentials_of_the_path_that_media_takes() -> None:
    rig = Rig()
    handle, lent = rig.agent.handle, rig.runtime.engine.ice
    rig.check(path(1))
    rig.check(path(1), nominate=True)
    assert lent == {}, "nobody knows yet whose checks these are"
    rig.agent.set_remote_ufrag("peer")
    rig.check(path(2))
    assert lent == {}
    rig.check(path(1))
    first = rig.agent.local
    assert lent == {handle: (first.ufrag, first.pwd, "peer")}
    # A restart counts when it is nominated.
    second = rig.registry.restart(rig.agent)
    rig.agent.set_remote_ufrag("other")
    rig.check(path(1), credentials=first)
    assert lent == {handle: (first.ufrag, first.pwd, "peer")}
    rig.check(path(1), credentials=second, remote="other", nominate=True)
    assert lent == {handle: (second.ufrag, second.pwd, "other")}


def test_what_the_engine_answered_is_a_replay_from_elsewhere() -> None:
    """ST5: the engine has seen it on the current path, the agent has not."""
    rig = Rig()
    rig.check(path(1), nominate=True)
    recorded = os.urandom(12)
    rig.runtime.engine.answered.add(recorded)
    assert rig.check(path(2), nominate=True, transaction_id=recorded) is None
    assert rig.registry.drops["replayed"] == 1
    assert rig.agent.path == path(1)
    assert is_success(rig.check(path(1), transaction_id=recorded))


def test_consent_is_not_renewed_by_what_is_not_authenticated_or_replayed() -> None:
    rig = Rig()
    recorded = os.urandom(12)
    rig.check(path(1), now_ns=100, transaction_id=recorded)
    rig.check(path(1), now_ns=200, remote="peer", credentials=type(rig.agent.local)(rig.agent.local.ufrag, "x" * 32))
    rig.check(path(2), now_ns=200, transaction_id=recorded)
    assert rig.agent.last_check_ns == 100


@pytest.mark.parametrize("same_address", [True, False])
def test_half_open_agents_are_limited_by_address_and_in_all(same_address: bool) -> None:
    """DT5."""
    rig = Rig(max_half_open=6, max_half_open_per_address=3)
    agents = [rig.agent, *(rig.add() for _ in range(9))]
    paths = [path(index, "198.51.100.1" if same_address else f"198.51.100.{index}") for index in range(10)]
    answered = [is_success(rig.check(where, agent=agent)) for agent, where in zip(agents, paths, strict=True)]
    allowed = 3 if same_address else 6
    assert answered == [True] * allowed + [False] * (10 - allowed)
    assert rig.registry.half_open == allowed
    assert rig.registry.drops["half_open_limit"] == 10 - allowed
    # Finished DTLS and closing make room.
    rig.registry.mark_established(agents[0])
    assert is_success(rig.check(paths[8], agent=agents[8]))
    rig.registry.remove(agents[1])
    assert is_success(rig.check(paths[9], agent=agents[9]))
    assert is_success(rig.check(paths[0], agent=agents[0]))
    for agent in agents:
        rig.registry.remove(agent)
    assert rig.registry.half_open == 0
    assert not rig.registry._half_open_by_address.total()


def test_reply_is_sent_to_where_the_request_came_from() -> None:
    rig = Rig()
    request = stun.build_binding_request(bytes(12), f"{rig.agent.local.ufrag}:x", rig.agent.local.pwd)
    rig.registry.handle_stun(0, path(7), request)
    [(where, reply)] = rig.runtime.sent
    assert where == path(7)
    assert is_success(reply)
    rig.registry.handle_stun(0, path(7), b"\x00\x01")
    assert len(rig.runtime.sent) == 1


def test_handles_are_those_of_the_engine() -> None:
    rig = Rig()
    assert rig.agent.handle == TransportHandle(1)
