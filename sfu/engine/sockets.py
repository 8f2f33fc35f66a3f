"""Sockets of the media ports."""

from __future__ import annotations

import socket

from sfu.errors import BindError


def bound_socket(address: str, port: int, kind: socket.SocketKind, *, shared: bool = False) -> socket.socket:
    """A non-blocking socket on `address`; `shared`: beside others of this user that share the port (SO_REUSEPORT).
    Raises `BindError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise bind_error("UDP" if kind == socket.SOCK_DGRAM else "TCP", address, port, error) from error
    return sock


def bind_error(protocol: str, address: str, port: int, error: OSError) -> BindError:
    return BindError(f"cannot open {protocol} port {port} on {address}: {error.strerror}")
