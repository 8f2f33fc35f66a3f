"""A passkey authenticator in software (Web Authentication Level 2, 6): ES256 or EdDSA, discoverable, with user
verification."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

UP, UV, AT = 0x01, 0x04, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(value: Any) -> bytes:
    """As much of RFC 8949 as an attestation needs."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    assert isinstance(value, dict)
    return _head(5, len(value)) + b"".join(cbor(key) + cbor(entry) for key, entry in value.items())


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    if number < 256:
        return bytes([major << 5 | 24, number])
    return bytes([major << 5 | 25]) + struct.pack("!H", number)


@dataclass
class Authenticator:
    origin: str
    """What its browser calls the page."""
    eddsa: bool = False
    counts: bool = True
    key: Any = None
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""
    rp_id: str = ""
    sign_count: int = 0

    def create(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
        """PublicKeyCredential as JSON. `lies`: see `_client_data` and `_authenticator_data`."""
        self.key = ed25519.Ed25519PrivateKey.generate() if self.eddsa else ec.generate_private_key(ec.SECP256R1())
        self.user_handle, self.rp_id = unb64(options["user"]["id"]), options["rp"]["id"]
        data = self._authenticator_data(UP | UV | AT, lies)
        data += bytes(16) + struct.pack("!H", len(self.credential_id)) + self.credential_id + self._cose_key()
        attestation = cbor({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": b64(self._client_data("webauthn.create", options["challenge"], lies)),
            "attestationObject": b64(attestation),
        }
        return self._credential(response)

    def get(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
        """The same for signing in. `lies` also: signature, user_handle (None: left out)."""
        self.sign_count += self.counts
        client_data = self._client_data("webauthn.get", options["challenge"], lies)
        data = self._authenticator_data(UP | UV, lies)
        signed = data + hashlib.sha256(client_data).digest()
        signature = self.key.sign(signed) if self.eddsa else self.key.sign(signed, ec.ECDSA(SHA256()))
        handle = lies.get("user_handle", self.user_handle)
        response = {
            "clientDataJSON": b64(client_data),
            "authenticatorData": b64(data),
            "signature": b64(lies.get("signature", signature)),
            **({} if handle is None else {"userHandle": b64(handle)}),
        }
        return self._credential(response)

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        name = b64(self.credential_id)
        return {
            "id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }  # fmt: skip

    def _client_data(self, kind: str, challenge: str, lies: dict[str, Any]) -> bytes:
        data = {
            "type": lies.get("type", kind),
            "challenge": lies.get("challenge", challenge),
            "origin": lies.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(data).encode()

    def _authenticator_data(self, flags: int, lies: dict[str, Any]) -> bytes:
        rp_id = lies.get("rp_id", self.rp_id)
        flags = lies.get("flags", flags)
        count = lies.get("sign_count", self.sign_count)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + struct.pack("!I", count)

    def _cose_key(self) -> bytes:
        public = self.key.public_key()
        if self.eddsa:
            return cbor({1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()})
        numbers = public.public_numbers()
        return cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
