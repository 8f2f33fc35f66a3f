"""Passwords: argon2id, in threads, a few at a time, so that guessing slows nobody's call."""

from __future__ import annotations

import asyncio
import os
from typing import Any

MAX_PASSWORD_LENGTH = 1024


class Passwords:
    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(max(1, os.cpu_count() or 1))
        self._made: Any = None

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(lambda: self._hasher().hash(password))

    async def matches(self, password: str, password_hash: str) -> bool:
        """Takes its time also for what cannot match."""
        async with self._slots:
            return await asyncio.to_thread(self._verify, password, password_hash)

    def _verify(self, password: str, password_hash: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        hasher = self._hasher()
        if not password_hash:
            hasher.hash(password)
            return False
        try:
            return bool(hasher.verify(password_hash, password))
        except (VerificationError, InvalidHashError):
            return False

    def _hasher(self) -> Any:
        # The library is loaded with the first password.
        if self._made is None:
            from argon2 import PasswordHasher

            self._made = PasswordHasher()
        return self._made
