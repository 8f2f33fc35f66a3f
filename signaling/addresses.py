"""Where a request really comes from."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAX_HOPS = 32


@dataclass(frozen=True, slots=True)
class AddressSettings:
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For is believed."""
    max_tracked_addresses: int = 10_000
    """Addresses that each of the limits per address remembers."""


class ClientAddresses:
    """Tells the address of a request, behind the proxies of the settings."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = parse_networks(trusted_proxies)

    def of(self, request: web.BaseRequest) -> str:
        """As `client_address`."""
        return client_address(request, self._trusted)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether the address, parsed, lies in one of the networks; IPv4-mapped IPv6 counts as IPv4."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)


def client_address(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The peer's address, or, when the peer is a trusted proxy, the last address of X-Forwarded-For that no trusted
    proxy has written. Empty when there is none (a socket that is gone)."""
    address = request.remote or ""
    if not trusted or not is_in(address, trusted):
        return address
    hops = [hop.strip() for value in request.headers.getall("X-Forwarded-For", ()) for hop in value.split(",")]
    for hop in reversed(hops[-_MAX_HOPS:]):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            return address
        address = hop
        if not is_in(address, trusted):
            break
    return address


def is_global(address: str) -> bool:
    """Whether it is one of the Internet's, and not of a local network or of this machine."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False
