"""Guest keys: a secret that a browser keeps for one room, and what makes its bearer the same person again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from sfu.ids import Identity, RoomName

MIN_KEY_LENGTH = 32
MAX_KEY_LENGTH = 128
ACCOUNT_PREFIX = "account_"
GUEST_PREFIX = "guest_"


def new_key() -> str:
    """256 random bits in 43 characters (base64url)."""
    return secrets.token_urlsafe(32)


def is_key(text: str) -> bool:
    return MIN_KEY_LENGTH <= len(text) <= MAX_KEY_LENGTH and all(
        c.isascii() and (c.isalnum() or c in "-_") for c in text
    )


def member_id_of_key(room: RoomName, key: str) -> str:
    """The same for each visit to this room, and nothing that another room could recognise."""
    return GUEST_PREFIX + hashlib.sha256(f"ting guest key\n{room}\n{key}".encode()).hexdigest()[:32]


def member_id_of_account(account_id: str) -> str:
    return ACCOUNT_PREFIX + account_id


def account_of_member(member_id: str) -> str | None:
    """The id of the account; None of a guest."""
    return member_id.removeprefix(ACCOUNT_PREFIX) if member_id.startswith(ACCOUNT_PREFIX) else None


def second_identity(member_id: str) -> Identity:
    """For a second participant of the same person, from another tab or device."""
    return Identity(f"{member_id}~{secrets.token_hex(4)}")


def hash_secret(secret: str) -> str:
    """Of a random secret of full strength; passwords need argon2id instead."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hash_address(pepper: bytes, address: str) -> str:
    """An address is kept as a keyed hash only: it can be compared and not read."""
    return "address:" + hmac.new(pepper, address.encode(), hashlib.sha256).hexdigest()[:32]


def pepper_of(secrets: Mapping[str, str]) -> bytes:
    """For `hash_address`: the same after a restart, and nobody's who has only the database."""
    return hashlib.sha256(f"ting addresses\n{min(secrets.values(), default='')}".encode()).digest()
