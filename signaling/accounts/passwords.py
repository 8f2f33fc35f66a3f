"""Passwords, hashed with argon2id (RFC 9106) in threads, so that calls go on meanwhile.

As many are hashed at once as there are CPUs; of the others a bounded number waits.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from signaling.accounts.settings import AccountSettings
from signaling.errors import ApiError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

P = ParamSpec("P")
T = TypeVar("T")
_NOBODYS = "nobody has this one"


class Passwords:
    """`cpus`: how many are hashed at once."""

    def __init__(self, settings: AccountSettings, cpus: int | None = None) -> None:
        self._settings = settings
        self._running = asyncio.Semaphore(cpus or os.cpu_count() or 1)
        self._waiting = 0
        self._hasher: PasswordHasher | None = None
        self._nobodys_hash = ""

    def check_length(self, password: str) -> None:
        """Raises `ApiError` invalid_password."""
        least, most = self._settings.min_password_length, self._settings.max_password_length
        if not least <= len(password) <= most:
            raise ApiError("invalid_password", f"A password has {least} to {most} characters.")

    async def hash(self, password: str) -> str:
        """Raises `ApiError` invalid_password and unavailable."""
        self.check_length(password)
        return await self.renew(password)

    async def renew(self, password: str) -> str:
        """A hash with the settings of now, of a password that was taken before. Raises `ApiError` unavailable."""
        return await self._in_turn(_hash, password)

    async def verify(self, stored: str, password: str) -> bool:
        """Whether it is the one. Takes as long when there is none stored (an empty text): nobody is to learn from the
        time which names there are. Raises `ApiError` unavailable."""
        if len(password) > self._settings.max_password_length:
            return False
        if not self._nobodys_hash:
            self._nobodys_hash = await self._in_turn(_hash, _NOBODYS)
        right = await self._in_turn(_verify, stored or self._nobodys_hash, password)
        return right and bool(stored)

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with other settings than those of now."""
        return self._hasher is not None and self._hasher.check_needs_rehash(stored)

    async def _in_turn(self, work: Callable[Concatenate[PasswordHasher, P], T], *values: P.args, **more: P.kwargs) -> T:
        if self._waiting >= self._settings.max_waiting_passwords:
            raise ApiError("unavailable", "Too many sign in at this moment.", retry_after_s=1)
        self._waiting += 1
        try:
            async with self._running:
                if self._hasher is None:
                    self._hasher = await asyncio.to_thread(_load, self._settings)
                return await asyncio.to_thread(work, self._hasher, *values, **more)
        finally:
            self._waiting -= 1


def _load(settings: AccountSettings) -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=settings.password_passes, memory_cost=settings.password_memory_kib, parallelism=1)


def _hash(hasher: PasswordHasher, password: str) -> str:
    return hasher.hash(_normal(password))


def _verify(hasher: PasswordHasher, stored: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return hasher.verify(stored, _normal(password))
    except (InvalidHashError, VerificationError):
        return False


def _normal(password: str) -> bytes:
    """The same for the same keys on another keyboard (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
