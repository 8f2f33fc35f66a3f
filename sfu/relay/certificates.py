"""Mutual TLS between the nodes of a cluster, with nothing to hand out but one secret.

The key of the cluster's certificate authority is derived from the secret (HKDF, RFC 5869), so that every node has the
same one without a file. Each node makes itself a key at its start and signs a certificate for it. A peer is let in if
its certificate is signed by that authority, which says that it knows the secret, and is called by the name in it.
"""

from __future__ import annotations

import datetime
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

MIN_SECRET_LENGTH = 32
"""Characters."""
_LIFETIME = datetime.timedelta(days=3650)
_CLOCK_TOLERANCE = datetime.timedelta(days=1)
_AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ting cluster")])


def contexts(secret: str, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For taking connections and for making them: TLS 1.3, both ends with a certificate of the cluster."""
    key = _authority_key(secret)
    authority = _certificate(_AUTHORITY, key, key, is_authority=True)
    own_key = Ed25519PrivateKey.generate()
    own = _certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), own_key, key, is_authority=False)
    both = []
    for purpose in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(purpose)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # nodes are known by the authority and their name, wherever they are
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.public_bytes(Encoding.PEM).decode())
        _load(context, own, own_key)
        both.append(context)
    return both[0], both[1]


def peer_name(connection: ssl.SSLObject) -> str:
    """The name in the certificate of the other end; empty when it has none."""
    encoded = connection.getpeercert(binary_form=True)
    if encoded is None:
        return ""
    names = x509.load_der_x509_certificate(encoded).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _authority_key(secret: str) -> Ed25519PrivateKey:
    if len(secret) < MIN_SECRET_LENGTH:
        raise ValueError(f"a cluster secret has at least {MIN_SECRET_LENGTH} characters")
    derive = HKDF(hashes.SHA256(), length=32, salt=None, info=b"ting cluster authority 1")
    return Ed25519PrivateKey.from_private_bytes(derive.derive(secret.encode()))


def _certificate(
    subject: x509.Name, key: Ed25519PrivateKey, authority_key: Ed25519PrivateKey, *, is_authority: bool
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_AUTHORITY)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_TOLERANCE)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, None)
    )


def _load(context: ssl.SSLContext, certificate: x509.Certificate, key: Ed25519PrivateKey) -> None:
    """The ssl module takes keys from files only: one that only this user may read, gone at once."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "node.pem")
        file.touch(mode=0o600)
        file.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(file)
