"""Consent checks (RFC 7675, RFC 8445 §7.3) on the path that media takes already: answered without the control plane."""

from __future__ import annotations

from sfu.engine import stun
from sfu.engine.api import Address

MAX_ANSWERED = 512
"""Transactions that are remembered, so that none of them can be replayed from another address."""


class Ice:
    """Credentials of one transport, and what was answered with them."""

    __slots__ = ("answered", "checked_at_ns", "pwd", "username")

    def __init__(self, local_ufrag: str, local_pwd: str, remote_ufrag: str, before: Ice | None) -> None:
        """What was answered and heard before (`before`) counts with new credentials as well."""
        self.username = f"{local_ufrag}:{remote_ufrag}"
        self.pwd = local_pwd
        self.answered: dict[bytes, None] = before.answered if before is not None else {}
        self.checked_at_ns: int | None = before.checked_at_ns if before is not None else None

    def answer(self, now_ns: int, remote: Address, data: bytes) -> bytes | None:
        """The success response to `data`; None when it is anything but an authentic binding request of the peer that
        asks for nothing new."""
        try:
            request = stun.parse_binding_request(data)
        except stun.StunError:
            return None
        if (
            request.username != self.username
            or request.unknown
            or request.controlled
            or not stun.has_integrity(data, request, self.pwd)
        ):
            return None
        if request.transaction_id not in self.answered:
            if len(self.answered) >= MAX_ANSWERED:
                del self.answered[next(iter(self.answered))]
            self.answered[request.transaction_id] = None
        self.checked_at_ns = now_ns
        return stun.build_success(request.transaction_id, remote, self.pwd)
