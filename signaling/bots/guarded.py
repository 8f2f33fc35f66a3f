"""Requests to addresses that somebody else chose: never to this machine or its network, unless the operator says so.

The address is checked after the name was resolved and is the one that is connected to, so that a name cannot mean one
thing when it is looked at and another when it is used; redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from signaling.addresses import Network, is_global

_MAX_URL_LENGTH = 2048


class RefusedAddressError(OSError):
    """It is not the Internet's."""


class GuardedResolver(AbstractResolver):
    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        good = [result for result in found if may_reach(result["host"], self._allowed)]
        if not good:
            raise RefusedAddressError("the address is not allowed")
        return good

    async def close(self) -> None:
        await self._resolver.close()


def may_reach(address: str, allowed: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # Forms that carry an IPv4 address reach that one: mapped, 6to4, NAT64 (RFC 6052).
        inner = ip.ipv4_mapped or ip.sixtofour or _nat64(ip)
        if inner is not None:
            ip = inner
    if any(ip.version == network.version and ip in network for network in allowed):
        return True
    return is_global(str(ip)) and not ip.is_multicast


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip not in ipaddress.ip_network("64:ff9b::/96"):
        return None
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)


def is_acceptable(url: str, allowed: Sequence[Network]) -> bool:
    """What can be said of a URL before its name is resolved."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    if not good or parts.username or parts.password or parts.fragment or len(url) > _MAX_URL_LENGTH:
        return False
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return True
    return may_reach(parts.hostname or "", allowed)


def guarded_session(allowed: Sequence[Network], timeout_s: float) -> aiohttp.ClientSession:
    connector = _GuardedConnector(allowed)
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())


class _GuardedConnector(aiohttp.TCPConnector):
    """An address that stands in the URL itself is not resolved, and checked here."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        super().__init__(resolver=GuardedResolver(allowed), use_dns_cache=False, force_close=True, limit=20)
        self._allowed = allowed

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> list[ResolveResult]:
        found = await super()._resolve_host(host, port, traces)
        if not all(may_reach(result["host"], self._allowed) for result in found):
            raise RefusedAddressError("the address is not allowed")
        return found
