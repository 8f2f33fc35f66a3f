"""What all handshakes of a node have in common: OpenSSL's context, the SRTP profiles, the check of certificates."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from OpenSSL import SSL

from sfu.engine.api import SrtpKeys, SrtpProfile
from sfu.sdp.model import Fingerprint
from sfu.transport.certificate import SUPPORTED_DIGESTS, Certificate

_DTLS_1_2 = 0xFEFD
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"
)
_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"
_PROFILES: dict[bytes, tuple[SrtpProfile, int, int]] = {
    b"SRTP_AEAD_AES_128_GCM": (SrtpProfile.AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AEAD_AES_256_GCM": (SrtpProfile.AEAD_AES_256_GCM, 32, 12),
    b"SRTP_AES128_CM_SHA1_80": (SrtpProfile.AES128_CM_SHA1_80, 16, 14),
}
"""OpenSSL's name to ours, bytes of a key, bytes of a salt (RFC 5764 §4.1.2, RFC 7714 §14.2), in our order of
preference, which a DTLS server enforces."""

_contexts: weakref.WeakKeyDictionary[Certificate, SSL.Context] = weakref.WeakKeyDictionary()


def context_of(certificate: Certificate) -> SSL.Context:
    """One for all handshakes with this certificate, of both roles."""
    found = _contexts.get(certificate)
    if found is None:
        found = _contexts[certificate] = _make_context(certificate)
    return found


def _make_context(certificate: Certificate) -> SSL.Context:
    key, signed = certificate.pair
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_cipher_list(_CIPHERS)
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # Between two records a session needs no buffers: 14 of its 80 KiB.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # Any certificate, since nobody signs those of peers: `matches` checks it against the description.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept)
    context.use_certificate(signed)
    context.use_privatekey(key)
    context.set_tlsext_use_srtp(b":".join(_PROFILES))
    return context


def _accept(*_arguments: object) -> bool:
    return True


def matches(connection: SSL.Connection, fingerprints: Sequence[Fingerprint]) -> bool:
    """Whether the peer's certificate is what its description says: by each fingerprint that we can check, and by one
    of them at least (RFC 8122 §5)."""
    certificate = connection.get_peer_certificate()
    checkable = [one for one in fingerprints if one.algorithm.lower() in SUPPORTED_DIGESTS]
    if certificate is None or not checkable:
        return False
    # OpenSSL's names have no hyphen. It need not be parsed for that.
    return all(
        one.value.upper() == certificate.digest(one.algorithm.lower().replace("-", "")).decode() for one in checkable
    )


def export_keys(connection: SSL.Connection, *, is_server: bool) -> SrtpKeys | None:
    """Of a finished handshake (RFC 5764 §4.2); None when no profile was agreed on."""
    agreed = _PROFILES.get(connection.get_selected_srtp_profile())
    if agreed is None:
        return None
    profile, key_bytes, salt_bytes = agreed
    material = connection.export_keying_material(_EXPORTER_LABEL, 2 * (key_bytes + salt_bytes))
    keys, salts = material[: 2 * key_bytes], material[2 * key_bytes :]
    client, server = (keys[:key_bytes], salts[:salt_bytes]), (keys[key_bytes:], salts[salt_bytes:])
    (rx_key, rx_salt), (tx_key, tx_salt) = (client, server) if is_server else (server, client)
    return SrtpKeys(profile, rx_key=rx_key, rx_salt=rx_salt, tx_key=tx_key, tx_salt=tx_salt)
