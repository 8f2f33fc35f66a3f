"""The node's DTLS certificate."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from sfu.sdp.model import Fingerprint

if TYPE_CHECKING:
    from aiortc import RTCCertificate

SUPPORTED_DIGESTS = frozenset({"sha-256", "sha-384", "sha-512"})
"""Of a peer's certificate: those that aiortc can check."""


class Certificate:
    """A self-signed ECDSA P-256 certificate (RFC 8827 §6.5), one per node and process, never written to disk."""

    def __init__(self, given: RTCCertificate | None = None) -> None:
        self._given = given

    @classmethod
    def generate(cls) -> Certificate:
        """A new one, made when it is first looked at: that loads aiortc (see `loading`)."""
        return cls()

    @cached_property
    def rtc_certificate(self) -> RTCCertificate:
        from aiortc import RTCCertificate

        return self._given or RTCCertificate.generateCertificate()

    @cached_property
    def fingerprints(self) -> Sequence[Fingerprint]:
        return tuple(
            Fingerprint(fingerprint.algorithm, fingerprint.value)
            for fingerprint in self.rtc_certificate.getFingerprints()
            if fingerprint.algorithm == "sha-256"
        )

    @property
    def expires_at(self) -> datetime.datetime:
        """When the certificate stops being valid (UTC). WebRTC peers check the fingerprint only (RFC 8122 §5.1), so
        running calls do not end then."""
        expires: datetime.datetime = self.rtc_certificate.expires
        return expires
