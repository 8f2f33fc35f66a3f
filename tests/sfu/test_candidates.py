"""Which addresses are offered, and how."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

import pytest

from sfu.config import SfuConfig
from sfu.transport import candidates
from sfu.transport.candidates import local_addresses, local_candidates
from sfu.transport.certificate import Certificate


def interfaces(monkeypatch: pytest.MonkeyPatch, *addresses: str, down: tuple[str, ...] = ()) -> None:
    ips = [SimpleNamespace(ip=(address, 0, 0) if ":" in address else address) for address in addresses]
    monkeypatch.setattr(candidates.ifaddr, "get_adapters", lambda: [SimpleNamespace(ips=ips)])
    monkeypatch.setattr(candidates, "_can_bind", lambda address: str(address) not in down)


def test_link_local_and_loopback_are_left_out_and_ipv4_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces(monkeypatch, "127.0.0.1", "::1", "fd00::2", "fe80::1%eth0", "169.254.3.4", "192.0.2.2", "192.0.2.2")
    assert local_addresses(SfuConfig()) == ["192.0.2.2", "fd00::2"]
    assert local_addresses(SfuConfig(include_loopback=True)) == ["192.0.2.2", "127.0.0.1", "fd00::2", "::1"]


def test_loopback_when_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces(monkeypatch, "127.0.0.1", "192.0.2.2", down=("192.0.2.2",))
    assert local_addresses(SfuConfig()) == ["127.0.0.1"]


def test_configured_addresses_win(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces(monkeypatch, "192.0.2.2")
    assert local_addresses(SfuConfig(rtc_addresses=("10.0.0.1", "FD00:0::7"))) == ["10.0.0.1", "fd00::7"]


def test_this_machine_has_an_address_that_binds() -> None:
    """The real interfaces."""
    assert "127.0.0.1" in local_addresses(SfuConfig(include_loopback=True))
    assert local_addresses(SfuConfig())


def test_candidates_udp_before_tcp_with_falling_priorities() -> None:
    found = local_candidates(SfuConfig(rtc_udp_port=1000, rtc_tcp_port=2000), ["192.0.2.2", "fd00::2"])
    assert [(item.protocol, item.address) for item in found] == [
        ("udp", ("192.0.2.2", 1000)),
        ("udp", ("fd00::2", 1000)),
        ("tcp", ("192.0.2.2", 2000)),
        ("tcp", ("fd00::2", 2000)),
    ]
    priorities = [item.priority for item in found]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == 4
    # RFC 8445 §5.1.2.1: type preference 126, local preference 65535, component 1.
    assert priorities[0] == 2130706431
    # RFC 6544 §4.2: direction preference 4 of a passive candidate in the upper three bits of the local preference.
    assert all(item.priority >> 24 == 126 and item.priority & 0xFF == 255 for item in found)
    assert len({item.foundation for item in found}) == 4
    assert found == local_candidates(SfuConfig(rtc_udp_port=1000, rtc_tcp_port=2000), ["192.0.2.2", "fd00::2"])


def test_no_tcp_candidates_without_tcp() -> None:
    assert {item.protocol for item in local_candidates(SfuConfig(rtc_tcp_port=0), ["192.0.2.2"])} == {"udp"}


def test_many_addresses_keep_valid_priorities() -> None:
    found = local_candidates(SfuConfig(), [f"10.0.{index // 250}.{index % 250 + 1}" for index in range(300)])
    assert all(0 < item.priority < 2**31 for item in found)


@pytest.mark.parametrize(
    ("advertise", "expected"),
    [
        (("203.0.113.5",), ["203.0.113.5", "fd00::2"]),
        (("2001:db8::5",), ["192.0.2.2", "2001:db8::5"]),
        (("2001:db8::5", "203.0.113.5"), ["203.0.113.5", "2001:db8::5"]),
    ],
)
def test_advertised_addresses_replace_their_family(advertise: tuple[str, ...], expected: list[str]) -> None:
    found = local_candidates(SfuConfig(advertise=advertise, rtc_tcp_port=0), ["192.0.2.2", "127.0.0.1", "fd00::2"])
    shown = [item.address[0] for item in found]
    assert shown == expected


def test_certificate_has_one_sha256_fingerprint_and_an_end() -> None:
    first, second = Certificate.generate(), Certificate.generate()
    [fingerprint] = first.fingerprints
    assert fingerprint.algorithm == "sha-256"
    assert len(fingerprint.value) == 32 * 3 - 1
    assert fingerprint.value == fingerprint.value.upper()
    assert first.fingerprints != second.fingerprints
    assert first.expires_at > datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(days=7)
