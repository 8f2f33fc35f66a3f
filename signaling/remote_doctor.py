"""`ting doctor --from URL`: what a caller on this machine would meet on the way to a server elsewhere.

It goes the way of a page: HTTPS, the API, a token at the door of a room of its own, the WebSocket, and the ports for
media and the TURN servers that the server names there. A check that fails says what to change on the server; those that
need it are left out.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import secrets
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from sfu.api import Check, TurnServer
from sfu.factory import check_media
from signaling.config import is_loopback
from signaling.lifecycle import NOT_IN_CLUSTER, Phase

TIMEOUT_S = 10.0
"""For each step."""
MEDIA_TIMEOUT_S = 5.0
MAX_CLOCK_DIFFERENCE_S = 30.0
MAX_PHASE_BYTES = 64
_PROTOCOL = 15
_NAME = "ting doctor"


class _Stop(Exception):
    """Nothing beyond `check` can be tried."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.message)
        self.check = check


def _failed(name: str, message: str) -> _Stop:
    return _Stop(Check(name, False, message))


async def check_server(url: str, token: str = "") -> list[Check]:
    """`token` is a room token, for servers that let no guests in. Never raises."""
    checks: list[Check] = []
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as http:
            checks.append(_check_scheme(url))
            checks.append(await _check_addresses(url))
            checks += await _check_ready(http, url)
            signal_url, token = await _enter(http, url, token)
            checks.append(_check_public_url(url, signal_url))
            checks += await _check_call(http, url, token)
    except _Stop as stop:
        checks.append(stop.check)
    return checks


def _check_scheme(url: str) -> Check:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _failed("URL", "is not one: https://call.example.org, as callers open it")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        why = "none: browsers give camera and microphone to HTTPS pages only"
        return Check("HTTPS", False, f"{why}; set `tls_cert`, or put a proxy in front")
    return Check("HTTPS", True, "yes" if parts.scheme == "https" else "not needed on loopback")


async def _check_addresses(url: str) -> Check:
    host = urlsplit(url).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _failed("name", f"no address is known for {host}: its DNS entry is missing") from None
    families = {family for family, *_ in found}
    if families == {socket.AF_INET6}:
        return Check("name", None, "IPv6 only: callers without it cannot connect; add an A record")
    return Check("name", True, ", ".join(dict.fromkeys(str(address[0]) for *_, address in found)))


async def _check_ready(http: aiohttp.ClientSession, url: str) -> list[Check]:
    try:
        async with http.get(f"{url.rstrip('/')}/readyz") as response:
            body = await response.content.read(MAX_PHASE_BYTES)
    except aiohttp.ClientConnectorCertificateError as error:
        reason = error.certificate_error
        why = reason.verify_message if isinstance(reason, ssl.SSLCertVerificationError) else str(reason)
        raise _failed("certificate", f"{why}: see `tls_cert`, or the proxy's") from None
    except aiohttp.ClientConnectorSSLError:
        raise _failed("certificate", "nothing speaks TLS there: set `tls_cert`, or put a proxy in front") from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        why = f"cannot be reached ({type(error).__name__})"
        raise _failed("server", f"{why}: does it run, on that `host` and `port`, and is the firewall open?") from None
    phase = body.decode("ascii", "replace").strip()
    if phase == NOT_IN_CLUSTER:
        raise _failed("server", "is a node that its cluster does not know yet: is NATS where `cluster` says?")
    is_ours = phase in set(Phase)
    if response.status == 503 and is_ours:
        raise _failed("server", "is there and not ready: it starts, stops, or has lost its database (`database_url`)")
    if response.status != 200 or not is_ours:
        why = f"something else answers there (HTTP {response.status})"
        raise _failed("server", f"{why}: does the proxy lead to `host` and `port`?")
    return [Check("server", True, "ready"), _check_clock(response.headers.get("Date", ""))]


def _check_clock(date: str) -> Check:
    try:
        theirs = email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return Check("clock", None, "the server does not say its time")
    difference_s = theirs - time.time()
    if abs(difference_s) <= MAX_CLOCK_DIFFERENCE_S:
        return Check("clock", True, "as here")
    side = "ahead of" if difference_s > 0 else "behind"
    return Check("clock", False, f"the server's is {abs(difference_s):.0f} s {side} this machine's: set it by NTP")


async def _enter(http: aiohttp.ClientSession, url: str, token: str) -> tuple[str, str]:
    """(where the server says that its WebSocket is, a token for a room of our own)."""
    if token:
        return "", token
    room = f"doctor-{secrets.token_hex(8)}"
    try:
        async with http.post(f"{url.rstrip('/')}/api/v1/rooms/{room}/tokens", json={"name": _NAME}) as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise _failed("API", f"does not answer ({type(error).__name__}): the proxy must pass /api on") from None
    if not isinstance(answer, dict) or not answer.get("token"):
        why = f"gives no token ({_code(answer)})"
        raise _Stop(Check("API", None, f"{why}: where guests are not let in, give one with --token"))
    return str(answer.get("url", "")), str(answer["token"])


def _code(answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    return str(error.get("code", "unknown")) if isinstance(error, dict) else "unknown"


def _check_public_url(url: str, signal_url: str) -> Check:
    here, theirs = urlsplit(url).netloc, urlsplit(signal_url).netloc
    if signal_url and theirs != here:
        return Check("public URL", False, f"the server takes itself for {theirs}: set `public_url`")
    return Check("public URL", True, here)


async def _check_call(http: aiohttp.ClientSession, url: str, token: str) -> list[Check]:
    query = {"protocol": str(_PROTOCOL), "sdk": "python", "version": "1.0.0"}
    headers = {"Authorization": f"Bearer {token}"}
    ws_url = f"{url.rstrip('/').replace('http', 'ws', 1)}/rtc"
    name = "WebSocket"
    try:
        async with http.ws_connect(ws_url, params=query, headers=headers) as signal, asyncio.timeout(TIMEOUT_S):
            return [Check(name, True, "opens"), *await _check_join(signal)]
    except aiohttp.WSServerHandshakeError as error:
        if error.status in (401, 403):
            return [Check(name, False, f"the token is refused (HTTP {error.status})")]
        why = f"does not open (HTTP {error.status})"
        return [Check(name, False, f"{why}: the proxy must pass `Upgrade` and `Connection` on")]
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return [Check(name, False, f"does not open ({type(error).__name__}): does the proxy pass WebSockets on?")]


async def _check_join(signal: aiohttp.ClientWebSocketResponse) -> list[Check]:
    join = (await _until(signal, "join")).join
    offer = (await _until(signal, "offer")).offer
    ufrag = secrets.token_hex(4)
    answer = rtc.SessionDescription(type="answer", sdp=_answer(offer.sdp, ufrag), id=offer.id)
    await signal.send_bytes(rtc.SignalRequest(answer=answer).SerializeToString())
    servers = [
        TurnServer(url, one.username, one.credential)
        for one in join.ice_servers
        for url in one.urls
        if url.startswith(("turn:", "turns:"))
    ]
    checks = await check_media(offer.sdp, ufrag, servers, MEDIA_TIMEOUT_S)
    leave = rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED)
    await signal.send_bytes(rtc.SignalRequest(leave=leave).SerializeToString())
    return checks


async def _until(signal: aiohttp.ClientWebSocketResponse, kind: str) -> rtc.SignalResponse:
    while True:
        message = await signal.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise aiohttp.ClientError("the server ended the connection")
        try:
            response = rtc.SignalResponse.FromString(message.data)
        except DecodeError:
            raise aiohttp.ClientError("the server speaks something else") from None
        if response.HasField(kind):
            return response


def _answer(offer: str, ufrag: str) -> str:
    """To the first offer, which has data channels alone. No DTLS follows, so that its fingerprint is of nothing."""
    mid = next((line[6:] for line in offer.splitlines() if line.startswith("a=mid:")), "0")
    password = base64.b64encode(secrets.token_bytes(18)).decode()
    digest = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    lines = [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mid}",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", f"a=mid:{mid}",
        f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}", f"a=fingerprint:sha-256 {digest}", "a=setup:active",
        "a=sctp-port:5000", "a=max-message-size:65536",
    ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"
