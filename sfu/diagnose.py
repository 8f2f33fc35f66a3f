"""`ting doctor`, the media half: what would stop a call on this machine."""

from __future__ import annotations

import ipaddress
import resource
import socket

from sfu.api import Check
from sfu.config import SfuConfig
from sfu.engine import engine_name, engine_note
from sfu.errors import SfuError
from sfu.transport.candidates import local_addresses

# A participant needs no socket of its own over UDP; ICE-TCP and the WebSocket take one each.
WANTED_FILES = 4096
WANTED_BUFFER_BYTES = 2 * 1024 * 1024


def run_checks(config: SfuConfig) -> list[Check]:
    """Each check stands alone: one that fails does not hide the others."""
    checks = [_check_engine(config), _check_advertise(config), _check_files(), _check_buffers()]
    addresses = local_addresses(config)
    checks.append(
        Check(
            "interfaces", bool(addresses), ", ".join(addresses) if addresses else "no usable address on any interface"
        )
    )
    for address in addresses:
        checks.append(_check_port(address, config.rtc_udp_port, socket.SOCK_DGRAM, "UDP"))
        if config.rtc_tcp_port:
            checks.append(_check_port(address, config.rtc_tcp_port, socket.SOCK_STREAM, "TCP"))
    return checks


def _check_engine(config: SfuConfig) -> Check:
    try:
        name = engine_name(config.engine)
    except SfuError as error:
        return Check("engine", False, str(error))
    note = engine_note(config.engine)
    if note:
        return Check("engine", None, note)
    return Check("engine", True, f"{name} engine")


def _check_advertise(config: SfuConfig) -> Check:
    if not config.advertise:
        private = all(not ipaddress.ip_address(address).is_global for address in local_addresses(config))
        if private:
            return Check(
                "advertised address",
                None,
                "no interface has a public address: callers outside this network need `advertise` and open ports",
            )
        return Check("advertised address", True, "the addresses of the interfaces")
    return Check("advertised address", True, ", ".join(config.advertise))


def _check_files() -> Check:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft >= WANTED_FILES or soft == resource.RLIM_INFINITY
    message = f"{soft} open files allowed"
    advice = (
        f"{WANTED_FILES} are better: `LimitNOFILE={WANTED_FILES}` in the unit, or `ulimit -n {WANTED_FILES}` before it"
    )
    return Check("file limit", True if enough else None, message if enough else f"{message}; {advice}")


def _check_buffers() -> Check:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WANTED_BUFFER_BYTES)
        # Linux reports twice the size that it grants, for its own bookkeeping.
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted >= WANTED_BUFFER_BYTES:
        return Check("socket buffers", True, f"{granted // 1024} KiB")
    return Check(
        "socket buffers",
        None,
        f"{granted // 1024} KiB; for large rooms raise net.core.rmem_max and net.core.wmem_max to "
        f"{WANTED_BUFFER_BYTES}",
    )


def _check_port(address: str, port: int, kind: socket.SocketKind, label: str) -> Check:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    name = f"{label} port {port} on {address}"
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            key = "rtc_udp_port" if kind is socket.SOCK_DGRAM else "rtc_tcp_port"
            return Check(name, False, f"cannot be opened: {error.strerror}; end what has it, or set `{key}`")
    return Check(name, True, "free")
