"""The node's DTLS certificate."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from aiortc import RTCCertificate

from sfu.sdp.model import Fingerprint


class Certificate:
    """A self-signed ECDSA P-256 certificate (RFC 8827 §6.5), one per node and process, never written to disk."""

    def __init__(self, certificate: RTCCertificate) -> None:
        self.rtc_certificate = certificate
        self.fingerprints: Sequence[Fingerprint] = tuple(
            Fingerprint(fingerprint.algorithm, fingerprint.value)
            for fingerprint in certificate.getFingerprints()
            if fingerprint.algorithm == "sha-256"
        )

    @classmethod
    def generate(cls) -> Certificate:
        return cls(RTCCertificate.generateCertificate())

    @property
    def expires_at(self) -> datetime.datetime:
        """When the certificate stops being valid (UTC). WebRTC peers check the fingerprint only (RFC 8122 §5.1), so
        running calls do not end then."""
        expires: datetime.datetime = self.rtc_certificate.expires
        return expires
