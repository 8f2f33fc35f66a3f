"""The node's DTLS certificate."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from sfu.sdp.model import Fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate as X509

    Pair = tuple[EllipticCurvePrivateKey, X509]

SUPPORTED_DIGESTS = frozenset({"sha-256", "sha-384", "sha-512"})
"""Of a peer's certificate (RFC 8122 §5): anything weaker proves nothing."""
LIFETIME = datetime.timedelta(days=30)


class Certificate:
    """A self-signed ECDSA P-256 certificate (RFC 8827 §6.5), one per node and process, never written to disk."""

    def __init__(self, given: Pair | None = None) -> None:
        """`given`: a private key and its certificate, instead of new ones."""
        self._given = given

    @classmethod
    def generate(cls) -> Certificate:
        """A new one, made when it is first looked at: that loads libraries (see `loading`)."""
        return cls()

    @cached_property
    def pair(self) -> Pair:
        """The private key and what it signed."""
        return self._given or _self_signed()

    @cached_property
    def fingerprints(self) -> Sequence[Fingerprint]:
        from cryptography.hazmat.primitives import hashes

        return (Fingerprint("sha-256", self.pair[1].fingerprint(hashes.SHA256()).hex(":").upper()),)

    @property
    def expires_at(self) -> datetime.datetime:
        """When the certificate stops being valid (UTC). WebRTC peers check the fingerprint only (RFC 8122 §5.1), so
        running calls do not end then."""
        return self.pair[1].not_valid_after_utc


def _self_signed() -> Pair:
    """Its name says nothing about the node."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(16))])
    now = datetime.datetime.now(tz=datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        # Peers whose clock is behind ours must not find it too young.
        not_valid_before=now - datetime.timedelta(days=1),
        not_valid_after=now + LIFETIME,
    )
    return key, builder.sign(key, hashes.SHA256())
