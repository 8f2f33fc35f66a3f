"""Which local addresses to listen on, and the host candidates that describe them (RFC 8445 §5.1)."""

from __future__ import annotations

import ipaddress
import socket
import zlib
from collections.abc import Sequence

import ifaddr

from sfu.sdp.model import LocalCandidate
from sfu.transport.settings import TransportSettings

HOST_TYPE_PREFERENCE = 126
COMPONENT_RTP = 1
_PREFERENCE_STEP = 256
_TCP_PASSIVE_DIRECTION = 4
"""RFC 6544 §4.2: direction preference of a passive host candidate among those of the same address."""


def local_addresses(config: TransportSettings) -> list[str]:
    """Addresses to listen on: `rtc_addresses`, else those of the interfaces that are up; IPv4 first.

    Link-local addresses are left out (their zone means nothing to a peer), loopback is only in with
    `include_loopback` or when there is nothing else.
    """
    if config.rtc_addresses:
        return [str(ipaddress.ip_address(address)) for address in config.rtc_addresses]
    found = [address for address in _interface_addresses() if not address.is_link_local and not address.is_unspecified]
    routable = [address for address in found if not address.is_loopback]
    chosen = found if config.include_loopback or not routable else routable
    unique = dict.fromkeys(chosen)
    return [str(address) for address in sorted(unique, key=lambda address: (address.version, address.is_loopback))]


def local_candidates(config: TransportSettings, addresses: Sequence[str]) -> list[LocalCandidate]:
    """One UDP and (with ICE-TCP on) one passive TCP host candidate per address; UDP first, in the order of `addresses`.

    `advertise` replaces the addresses family by family: a family that it does not name keeps its own.
    Priorities fall with the position (RFC 8445 §5.1.2.1); the foundation tells address and protocol (§5.1.1.3).
    """
    shown = _advertised(config, addresses)
    candidates = []
    for position, address in enumerate(shown):
        preference = max(0, 65_535 - position * _PREFERENCE_STEP)
        candidates.append(_candidate("udp", address, config.rtc_udp_port, preference))
    if config.rtc_tcp_port:
        for position, address in enumerate(shown):
            # RFC 6544 §4.2: 13 bits of preference under 3 bits of direction; this keeps TCP below every UDP candidate.
            preference = (_TCP_PASSIVE_DIRECTION << 13) - 1 - position * _PREFERENCE_STEP
            candidates.append(_candidate("tcp", address, config.rtc_tcp_port, max(0, preference)))
    return candidates


def _advertised(config: TransportSettings, addresses: Sequence[str]) -> list[str]:
    if not config.advertise:
        return list(addresses)
    advertised = [ipaddress.ip_address(address) for address in config.advertise]
    families = {address.version for address in advertised}
    kept = [
        address
        for address in map(ipaddress.ip_address, addresses)
        if address.version not in families and not address.is_loopback
    ]
    shown = dict.fromkeys([*advertised, *kept])
    return [str(address) for address in sorted(shown, key=lambda address: address.version)]


def _candidate(protocol: str, address: str, port: int, preference: int) -> LocalCandidate:
    priority = (HOST_TYPE_PREFERENCE << 24) | (preference << 8) | (256 - COMPONENT_RTP)
    foundation = str(zlib.crc32(f"host {protocol} {address}".encode()))
    return LocalCandidate(protocol, (address, port), priority, foundation)


def _interface_addresses() -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            # ifaddr gives IPv6 as (address, flow info, scope id).
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text.partition("%")[0])
            if _can_bind(address):
                addresses.append(address)
    return addresses


def _can_bind(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """False for addresses of interfaces that are down and for those that duplicate address detection still holds."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
