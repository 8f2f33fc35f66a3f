"""ICE-lite (RFC 8445 §2.5, §7.3) and consent (RFC 7675) for all transports of a node: no socket, no clock.

`IceRegistry` finds the agent of a binding request by its local ufrag, and answers nothing that is not authenticated.
An `IceAgent` holds the credentials of one transport, the paths that its peer proved, and the one that media takes.
"""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sfu.engine import stun
from sfu.engine.api import MAX_PATHS, EngineRuntime, Path
from sfu.ids import TransportHandle
from sfu.sdp.model import IceCredentials

UFRAG_LENGTH = 8
"""48 random bits; RFC 8839 §5.4 asks for 24."""
PWD_LENGTH = 32
"""192 random bits; RFC 8839 §5.4 asks for 128."""
MAX_REMEMBERED_TRANSACTIONS = 512
"""Per agent. A request older than that many fresh ones could be replayed from another address (about 20 minutes of
consent checks)."""
MAX_HALF_OPEN = 4000
"""Agents of one node that have a path and no DTLS yet."""
MAX_HALF_OPEN_PER_ADDRESS = 500
"""The same for one remote IP address; a company behind one NAT must fit."""


def new_credentials() -> IceCredentials:
    """Fresh credentials from a CSPRNG, in the ice-char alphabet."""
    return IceCredentials(_random_ice_chars(UFRAG_LENGTH), _random_ice_chars(PWD_LENGTH))


def _random_ice_chars(length: int) -> str:
    """Base64 has just this alphabet (RFC 8839 §5.4), and one draw is enough for all."""
    return base64.b64encode(secrets.token_bytes(length)).decode()[:length]


@dataclass(slots=True)
class _Generation:
    """One pair of credentials: a new one begins with each ICE restart. `remote_ufrag` None: any is taken."""

    local: IceCredentials
    remote_ufrag: str | None = None


class IceAgent:
    """One transport's side of ICE, always lite and controlled. Made by `IceRegistry.add`."""

    def __init__(self, handle: TransportHandle, on_nominated: Callable[[Path], None]) -> None:
        self.handle = handle
        self.path: Path | None = None
        """Where media goes: the path of the last fresh authenticated nomination."""
        self.last_check_ns: int | None = None
        """Time of the last fresh authenticated request that was not the engine's to answer."""
        self.established = False
        """DTLS is up: the agent no longer counts as half open."""
        self._on_nominated = on_nominated
        self._generations = [_Generation(new_credentials())]
        self.nominated: _Generation | None = None
        """The credentials of the last nomination."""
        self.lent: _Generation | None = None
        """Those that the engine answers with."""
        self._paths: dict[Path, None] = {}
        self._transactions: dict[bytes, Path] = {}

    @property
    def local(self) -> IceCredentials:
        """The newest credentials."""
        return self._generations[-1].local

    @property
    def ufrags(self) -> list[str]:
        """Every local ufrag that is valid now: during a restart the old one too."""
        return [generation.local.ufrag for generation in self._generations]

    @property
    def paths(self) -> list[Path]:
        """The remembered paths, oldest first."""
        return list(self._paths)

    @property
    def remote_ufrag(self) -> str | None:
        return self._generations[-1].remote_ufrag

    def set_remote_ufrag(self, ufrag: str) -> None:
        self._generations[-1].remote_ufrag = ufrag

    def find_password(self, local_ufrag: str, remote_ufrag: str) -> str | None:
        for generation in self._generations:
            if generation.local.ufrag == local_ufrag and generation.remote_ufrag in (None, remote_ufrag):
                return generation.local.pwd
        return None

    def add_generation(self) -> IceCredentials:
        """New credentials. The generation in use stays valid; one that was never nominated is replaced."""
        self._generations = [self._generations[0], _Generation(new_credentials())]
        return self.local

    def is_replay(self, transaction_id: bytes, path: Path) -> bool:
        """True for a known transaction from another path; remembers new ones. A retransmission is no replay."""
        before = self._transactions.setdefault(transaction_id, path)
        if len(self._transactions) > MAX_REMEMBERED_TRANSACTIONS:
            del self._transactions[next(iter(self._transactions))]
        return before != path

    def remember_path(self, path: Path) -> None:
        """At most `MAX_PATHS`; the oldest that is not the current one makes room, as in the engine."""
        if path in self._paths:
            return
        if len(self._paths) >= MAX_PATHS:
            del self._paths[next(known for known in self._paths if known != self.path)]
        self._paths[path] = None

    def nominate(self, local_ufrag: str, path: Path) -> list[str]:
        """Take `path`; return the ufrags that end with this (the first nomination after a restart ends the old)."""
        ended: list[str] = []
        if local_ufrag == self._generations[-1].local.ufrag:
            ended = self.ufrags[:-1]
            self._generations = self._generations[-1:]
        self.nominated = next(one for one in self._generations if one.local.ufrag == local_ufrag)
        self.path = path
        return ended

    def notify_nominated(self) -> None:
        if self.path is not None:
            self._on_nominated(self.path)


class IceRegistry:
    """The agents of a node by local ufrag.

    `drops` counts by reason what got no answer: malformed, not_a_request, no_credentials, bad_fingerprint,
    unknown_user, bad_integrity, replayed, half_open_limit.
    """

    def __init__(
        self,
        runtime: EngineRuntime,
        *,
        max_half_open: int = MAX_HALF_OPEN,
        max_half_open_per_address: int = MAX_HALF_OPEN_PER_ADDRESS,
    ) -> None:
        self.drops: Counter[str] = Counter()
        self.transport_counters: Counter[str] = Counter()
        """The `counters` of transports that were closed, added up; for metrics."""
        self._runtime = runtime
        self._agents: dict[str, IceAgent] = {}
        self._max_half_open = max_half_open
        self._max_half_open_per_address = max_half_open_per_address
        self._half_open: dict[TransportHandle, str] = {}
        self._half_open_by_address: Counter[str] = Counter()

    @property
    def half_open(self) -> int:
        """Agents whose peer proved a path and has not finished DTLS."""
        return len(self._half_open)

    # --- agents -----------------------------------------------------------------------------------------------

    def add(self, handle: TransportHandle, on_nominated: Callable[[Path], None]) -> IceAgent:
        """Make and register an agent. `on_nominated` hears each nomination that gives it a path or moves it."""
        agent = IceAgent(handle, on_nominated)
        self._agents[agent.local.ufrag] = agent
        return agent

    def restart(self, agent: IceAgent) -> IceCredentials:
        """New credentials for an ICE restart (RFC 8839 §4.4.1.1.1); the old ones work until the new are nominated."""
        before = agent.ufrags
        credentials = agent.add_generation()
        for ufrag in set(before) - set(agent.ufrags):
            del self._agents[ufrag]
        self._agents[credentials.ufrag] = agent
        return credentials

    def mark_established(self, agent: IceAgent, established: bool = True) -> None:
        """DTLS came up, or (False) starts anew."""
        agent.established = established
        if established:
            self._release_half_open(agent)

    def heard_at_ns(self, agent: IceAgent) -> int | None:
        """When the peer last proved to be there; None before the first check."""
        handled_ns = agent.last_check_ns
        if handled_ns is None:
            return None
        # The engine has answered since, most of the time: it takes the checks on the path of the media.
        return max(handled_ns, self._runtime.commands.last_check_ns(agent.handle) or 0)

    def consent_expired(self, agent: IceAgent, now_ns: int, timeout_ns: int) -> bool:
        """Whether the peer was last heard `timeout_ns` ago or longer (RFC 7675 §5.1). False before the first check."""
        heard_at_ns = self.heard_at_ns(agent)
        return heard_at_ns is not None and now_ns - heard_at_ns >= timeout_ns

    def remove(self, agent: IceAgent) -> None:
        for ufrag in agent.ufrags:
            self._agents.pop(ufrag, None)
        self._release_half_open(agent)

    # --- checks -----------------------------------------------------------------------------------------------

    def handle_stun(self, now_ns: int, path: Path, data: bytes) -> None:
        """Answer one STUN datagram, or count why not. Never raises for what `data` holds."""
        reply = self.handle(now_ns, path, data)
        if reply is not None:
            self._runtime.send(path, reply)

    def handle(self, now_ns: int, path: Path, data: bytes) -> bytes | None:
        """The reply to one STUN datagram (RFC 8445 §7.3), after paths were updated; None for silence."""
        try:
            request = stun.parse_binding_request(data)
        except stun.StunError as error:
            self.drops[error.reason] += 1
            return None
        local_ufrag, _, remote_ufrag = request.username.partition(":")
        agent = self._agents.get(local_ufrag)
        pwd = agent.find_password(local_ufrag, remote_ufrag) if agent is not None else None
        if agent is None or pwd is None:
            self.drops["unknown_user"] += 1
            return None
        if not stun.has_integrity(data, request, pwd):
            self.drops["bad_integrity"] += 1
            return None
        if request.unknown:
            return stun.build_error(request.transaction_id, stun.UNKNOWN_ATTRIBUTE, pwd, request.unknown)
        if request.controlled:
            # RFC 8445 §7.3.1.1: a lite agent cannot control, so the peer has to.
            return stun.build_error(request.transaction_id, stun.ROLE_CONFLICT, pwd)
        if self._is_replay(agent, request.transaction_id, path):
            self.drops["replayed"] += 1
            return None
        if not self._admit_half_open(agent, path):
            self.drops["half_open_limit"] += 1
            return None
        self._validate(now_ns, agent, path)
        if request.use_candidate:
            self._nominate(agent, local_ufrag, path)
        if path == agent.path:
            self._lend_credentials(agent)
        return stun.build_success(request.transaction_id, path.remote, pwd)

    def _is_replay(self, agent: IceAgent, transaction_id: bytes, path: Path) -> bool:
        """Also of what the engine answered, which it does on the current path only."""
        has_answered = self._runtime.commands.has_answered
        return (path != agent.path and has_answered(agent.handle, transaction_id)) or agent.is_replay(
            transaction_id, path
        )

    def _validate(self, now_ns: int, agent: IceAgent, path: Path) -> None:
        agent.last_check_ns = now_ns
        agent.remember_path(path)
        # Each time, and not only for new paths: another transport may have taken the path over since.
        self._runtime.commands.allow_path(agent.handle, path)

    def _nominate(self, agent: IceAgent, local_ufrag: str, path: Path) -> None:
        moved = agent.path != path
        for ufrag in agent.nominate(local_ufrag, path):
            self._agents.pop(ufrag, None)
        if moved:
            self._runtime.commands.set_path(agent.handle, path)
            agent.notify_nominated()

    def _lend_credentials(self, agent: IceAgent) -> None:
        """From now on the engine answers the checks that say nothing new (RFC 7675)."""
        nominated = agent.nominated
        if nominated is None or nominated.remote_ufrag is None or agent.lent is nominated:
            return
        agent.lent = nominated
        local = nominated.local
        self._runtime.commands.set_ice(agent.handle, local.ufrag, local.pwd, nominated.remote_ufrag)

    # --- half-open agents ---------------------------------------------------------------------------------------

    def _admit_half_open(self, agent: IceAgent, path: Path) -> bool:
        if agent.established or agent.handle in self._half_open:
            return True
        address = path.remote[0]
        if (
            len(self._half_open) >= self._max_half_open
            or self._half_open_by_address[address] >= self._max_half_open_per_address
        ):
            return False
        self._half_open[agent.handle] = address
        self._half_open_by_address[address] += 1
        return True

    def _release_half_open(self, agent: IceAgent) -> None:
        address = self._half_open.pop(agent.handle, None)
        if address is None:
            return
        self._half_open_by_address[address] -= 1
        if self._half_open_by_address[address] <= 0:
            del self._half_open_by_address[address]
