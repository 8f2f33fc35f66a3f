"""Who was let into a call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

MAX_ADMITTED = 10_000
_MAX_ADDRESSES = 8


class Admissions:
    """During the present call: they need not knock again after a reload. With the hashes of their addresses, for a
    ban; what is too much is forgotten, the oldest first."""

    def __init__(self) -> None:
        self._admitted: OrderedDict[tuple[int, str], dict[str, None]] = OrderedDict()

    def __contains__(self, key: tuple[int, str]) -> bool:
        """Of a room, and a member."""
        return key in self._admitted

    def add(self, room_key: int, member_id: str, addresses: Iterable[str]) -> None:
        known = self._admitted.setdefault((room_key, member_id), {})
        known.update(dict.fromkeys(addresses))
        while len(known) > _MAX_ADDRESSES:
            del known[next(iter(known))]
        self._admitted.move_to_end((room_key, member_id))
        while len(self._admitted) > MAX_ADMITTED:
            self._admitted.popitem(last=False)

    def all(self) -> Mapping[tuple[int, str], Iterable[str]]:
        return self._admitted

    def addresses_of(self, room_key: int, member_id: str) -> tuple[str, ...]:
        return tuple(self._admitted.get((room_key, member_id), ()))

    def forget(self, room_key: int, member_id: str | None = None) -> None:
        """Who was put out, or (None) everybody: the call is over."""
        gone = [key for key in self._admitted if key[0] == room_key and member_id in (None, key[1])]
        for key in gone:
            del self._admitted[key]
