"""The call format of `sealed/core/src/wire.rs`: fields of bytes, each behind its length (32 bits, little-endian)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sealed.mls.errors import Failure, MlsError

Field = bytes | str | int | Sequence["Field"]
T = TypeVar("T")

_LENGTH = struct.Struct("<I")
_NUMBER = struct.Struct("<Q")


def _parts(fields: Sequence[Field]) -> Iterator[bytes]:
    for field in fields:
        if isinstance(field, str):
            yield field.encode()
        elif isinstance(field, int):
            yield _NUMBER.pack(field)
        elif isinstance(field, bytes):
            yield field
        else:
            yield from _parts([len(field), *field])


def encode(fields: Sequence[Field]) -> bytes:
    """Bytes of a call: a list is its length, then its fields."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in _parts(fields))


class Reader:
    """Reads the fields of an answer in their order. Raises MlsError BAD_CALL where one is missing."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._at = 0

    def data(self) -> bytes:
        start = self._at + _LENGTH.size
        if start > len(self._answer):
            raise MlsError(Failure.BAD_CALL, "a field is missing")
        end = start + _LENGTH.unpack_from(self._answer, self._at)[0]
        if end > len(self._answer):
            raise MlsError(Failure.BAD_CALL, "a field is cut off")
        self._at = end
        return self._answer[start:end]

    def text(self) -> str:
        return self.data().decode()

    def number(self) -> int:
        field = self.data()
        if len(field) != _NUMBER.size:
            raise MlsError(Failure.BAD_CALL, "a number has eight bytes")
        value: int = _NUMBER.unpack(field)[0]
        return value

    def flag(self) -> bool:
        return self.number() == 1

    def items(self, read: Callable[[Reader], T]) -> list[T]:
        return [read(self) for _ in range(self.number())]
