"""Whether a server's media ports are reached from this machine: binding requests to its candidates (RFC 8445 §7.2.2)
over UDP and over TCP (RFC 6544, framed by RFC 4571), and allocations on its TURN servers (RFC 8656)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from aioice import stun, turn

from sfu.api import Check, TurnServer

RETRANSMIT_S = (0.25, 0.5, 1.0)
"""After each of these a datagram is sent once more, as RFC 8489 §6.2.1 does, sooner given up."""
PRIORITY = 1 << 24


@dataclass(frozen=True, slots=True)
class Credentials:
    """ICE user fragments and the server's password."""

    local_ufrag: str
    remote_ufrag: str
    remote_pwd: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Where the server says that it takes media."""

    protocol: str
    """udp or tcp."""
    host: str
    port: int

    @property
    def text(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def candidates_of(sdp: str) -> list[Candidate]:
    """Each once, in their order; lines that cannot be read are left out (RFC 8839 §5.1)."""
    found: dict[Candidate, None] = {}
    for line in sdp.splitlines():
        words = line.removeprefix("a=candidate:").split() if line.startswith("a=candidate:") else []
        if len(words) >= 8 and words[2].lower() in ("udp", "tcp") and words[5].isdecimal():
            found[Candidate(words[2].lower(), words[4], int(words[5]))] = None
    return list(found)


async def check_media(sdp: str, local_ufrag: str, turn_servers: Sequence[TurnServer], timeout_s: float) -> list[Check]:
    """`sdp` is an offer of the server whose answer has `local_ufrag`. Never raises."""
    values = dict(line[2:].split(":", 1) for line in sdp.splitlines() if line.startswith("a=") and ":" in line)
    credentials = Credentials(local_ufrag, values.get("ice-ufrag", ""), values.get("ice-pwd", ""))
    candidates = candidates_of(sdp)
    if not candidates:
        return [Check("media", False, "the server offers no address for media: set `advertise`")]
    reached = await asyncio.gather(*(_reaches(one, credentials, timeout_s) for one in candidates))
    outcomes = dict(zip(candidates, reached, strict=True))
    checks = [
        _judge("media over UDP", "udp", outcomes, "rtc_udp_port"),
        _judge("media over TCP", "tcp", outcomes, "rtc_tcp_port"),
    ]
    return checks + await asyncio.gather(*(check_turn(one, timeout_s) for one in turn_servers))


def _judge(name: str, protocol: str, outcomes: dict[Candidate, bool], port_key: str) -> Check:
    mine = {one: good for one, good in outcomes.items() if one.protocol == protocol}
    places = ", ".join(one.text for one in mine)
    if not mine:
        return Check(name, None if protocol == "tcp" else False, f"none is offered: set `{port_key}`")
    good = [one.text for one, is_good in mine.items() if is_good]
    if good:
        return Check(name, True, ", ".join(good))
    if not any(_is_global(one.host) for one in mine):
        return Check(
            name, False, f"no answer from {places}, which are addresses of the server's own network: "
            "set `advertise` to its public address",
        )  # fmt: skip
    if all(":" in one.host for one in mine):
        return Check(name, False, f"no answer from {places}, and only IPv6 is offered: `advertise` an IPv4 address too")
    return Check(name, False, f"no answer from {places}: the firewall must let {protocol.upper()} in (`{port_key}`)")


def _is_global(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True


async def _reaches(candidate: Candidate, credentials: Credentials, timeout_s: float) -> bool:
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{credentials.remote_ufrag}:{credentials.local_ufrag}"
    request.attributes["PRIORITY"] = PRIORITY
    request.attributes["ICE-CONTROLLING"] = secrets.randbits(64)
    request.add_message_integrity(credentials.remote_pwd.encode())
    request.add_fingerprint()
    exchange = _over_udp if candidate.protocol == "udp" else _over_tcp
    with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        async with asyncio.timeout(timeout_s):
            answer = stun.parse_message(await exchange(candidate, bytes(request)))
            return answer.transaction_id == request.transaction_id and answer.message_class is stun.Class.RESPONSE
    return False


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.first.done():
            self.first.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.first.done():
            self.first.set_exception(exc)


async def _over_udp(candidate: Candidate, request: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, answers = await loop.create_datagram_endpoint(_Answers, remote_addr=(candidate.host, candidate.port))
    try:
        for wait_s in RETRANSMIT_S:
            transport.sendto(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    return await asyncio.shield(answers.first)
        transport.sendto(request)
        return await answers.first
    finally:
        answers.first.cancel()
        transport.close()


async def _over_tcp(candidate: Candidate, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(candidate.host, candidate.port)
    try:
        writer.write(len(request).to_bytes(2, "big") + request)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()


class _Relay(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def check_turn(server: TurnServer, timeout_s: float) -> Check:
    """Allocates on it, and lets go."""
    name = f"TURN {server.url}"
    scheme, _, rest = server.url.partition(":")
    place, _, query = rest.partition("?")
    host, _, port = place.rpartition(":") if place.rpartition(":")[2].isdecimal() else (place, "", "")
    is_tls = scheme == "turns"
    transport = "tcp" if is_tls or "transport=tcp" in query else "udp"
    try:
        async with asyncio.timeout(timeout_s):
            allocation, relay = await turn.create_turn_endpoint(
                _Relay,
                (host.strip("[]"), int(port or (5349 if is_tls else 3478))),
                server.username,
                server.credential,
                ssl=is_tls,
                transport=transport,
            )
    except stun.TransactionFailed as error:
        reason = error.response.attributes.get("ERROR-CODE", (0, "refused"))
        return Check(name, False, f"refuses ({reason[0]}): does its shared secret equal that of `turn`, and its clock?")
    except (OSError, TimeoutError, ValueError, stun.TransactionError) as error:
        return Check(name, False, f"cannot be reached ({type(error).__name__}): see `turn`, and the firewall")
    allocation.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await relay.closed.wait()
    return Check(name, True, "gives relayed addresses")
