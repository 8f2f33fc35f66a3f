"""Signatures of tokens, by PyJWT. Loaded with the first token: PyJWT brings `cryptography`, which costs 10 MiB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

_READERS: Mapping[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
_RSA_BITS = range(2048, 8193)
_RSA_EXPONENTS = range(3, 2**32)
_jws = jwt.PyJWS(algorithms=["HS256", *_READERS])


def sign(payload: bytes, secret: str) -> str:
    """The payload as a token, signed with HS256."""
    return _jws.encode(payload, secret, algorithm="HS256", headers={"typ": "JWT"})


def is_signed(token: str, key: Any, algorithm: str) -> bool:
    """Whether the token's signature is that of the key, by this algorithm and no other."""
    try:
        _jws.decode(token, key, algorithms=[algorithm])
    except (PyJWTError, ValueError, RecursionError):
        return False
    return True


def read_key(entry: Mapping[str, Any], algorithm: str) -> Any | None:
    """The public key of a JSON Web Key; None when it is not a sound one for this algorithm."""
    try:
        key = _READERS[algorithm].from_jwk(dict(entry))
        if algorithm == "RS256":
            numbers = key.public_numbers()
            if key.key_size not in _RSA_BITS or numbers.e not in _RSA_EXPONENTS or numbers.e % 2 == 0:
                return None
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    return key
