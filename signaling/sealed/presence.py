"""Which devices are in a sealed room now, and which wait to be let into its group. In memory: it is about connections.

A device is there as long as it has the room open (`/api/v1/sync`). Whoever leaves is to be removed from the group by
those who stay, so nothing here waits for a slow or dead connection longer than `seal_silent_s` says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from signaling.errors import ApiError
from signaling.log.live import Listener, Live
from signaling.rooms.roles import Actor
from signaling.sealed.records import Join, Present
from signaling.sealed.settings import SealedSettings


@dataclass(slots=True)
class _Device:
    present: Present
    listeners: set[Listener]


@dataclass(slots=True)
class _Room:
    devices: dict[str, _Device] = field(default_factory=dict)
    """In the order in which they came."""
    joins: dict[str, tuple[float, Join]] = field(default_factory=dict)
    """With the time at which each is over; in the order in which they came."""
    came: dict[str, Present] = field(default_factory=dict)
    left: dict[str, Present] = field(default_factory=dict)
    untold: dict[str, None] = field(default_factory=dict)
    """Devices that wait since the others were told."""
    timer: asyncio.TimerHandle | None = None
    tell_at_s: float = 0.0
    """The loop's time before which nothing more is told."""


class Presence:
    """`clock` gives monotonic seconds."""

    def __init__(self, live: Live, settings: SealedSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._settings = settings
        self._clock = clock
        self._rooms: dict[int, _Room] = {}
        live.add_watcher(self._handle_listener)

    # --- devices --------------------------------------------------------------------------------------------

    def present(self, room_key: int) -> list[Present]:
        """Whoever came first is the first."""
        room = self._rooms.get(room_key)
        return [] if room is None else [one.present for one in room.devices.values()]

    def news(self, room_key: int) -> dict[str, Any]:
        """For whoever comes: who is there and who waits."""
        present = [_as_news(one) for one in self.present(room_key)]
        return {"present": present, "waiting": sorted(self.waiting(room_key))}

    def is_there(self, room_key: int, member_id: str, device: str) -> bool:
        room = self._rooms.get(room_key)
        found = None if room is None else room.devices.get(device)
        return found is not None and found.present.member_id == member_id

    def require_own(self, actor: Actor, device: str) -> None:
        """Raises `ApiError` taken when somebody else is there with this device."""
        room = self._rooms.get(actor.room_key)
        found = None if room is None else room.devices.get(device)
        if found is not None and found.present.member_id != actor.member_id:
            raise ApiError("taken", "Somebody else is here with this device.")

    def require_there(self, actor: Actor, device: str) -> None:
        """Raises `ApiError` not_present, taken."""
        self.require_own(actor, device)
        if not self.is_there(actor.room_key, actor.member_id, device):
            raise ApiError("not_present", "This device has not opened the room.")

    def _handle_listener(self, listener: Listener, is_there: bool) -> None:
        if not listener.device:
            return
        if is_there:
            self._come(listener)
        else:
            self._go(listener)

    def _come(self, listener: Listener) -> None:
        room = self._rooms.setdefault(listener.room_key, _Room())
        found = room.devices.get(listener.device)
        if found is not None:
            found.listeners.add(listener)
            return
        present = Present(listener.device, listener.member_id, listener.name)
        room.devices[listener.device] = _Device(present, {listener})
        if room.left.get(present.device) == present:
            del room.left[present.device]  # Only its connection was another one for a moment.
        else:
            room.came[present.device] = present
        self._tell_soon(listener.room_key, room)

    def _go(self, listener: Listener) -> None:
        room = self._rooms.get(listener.room_key)
        found = None if room is None else room.devices.get(listener.device)
        if room is None or found is None or listener not in found.listeners:
            return
        found.listeners.discard(listener)
        if found.listeners:
            return
        del room.devices[listener.device]
        room.joins.pop(listener.device, None)
        if room.came.pop(listener.device, None) is None:
            room.left[listener.device] = found.present
        self._tell_soon(listener.room_key, room)

    def _tell_soon(self, room_key: int, room: _Room) -> None:
        if room.timer is None:
            loop = asyncio.get_running_loop()
            room.timer = loop.call_at(max(loop.time(), room.tell_at_s), self._tell, room_key, room)

    def _tell(self, room_key: int, room: _Room) -> None:
        """All at once, so that each connection has one thing to send."""
        settings = self._settings
        wait_s = settings.presence_interval_s + len(room.devices) * settings.presence_device_interval_s
        room.timer, room.tell_at_s = None, asyncio.get_running_loop().time() + wait_s
        came, left = [_as_news(one) for one in room.came.values()], [_as_news(one) for one in room.left.values()]
        room.came.clear()
        room.left.clear()
        waiting = [device for device in room.untold if device in room.joins]
        room.untold.clear()
        if not room.devices:
            del self._rooms[room_key]
            return
        if came or left or waiting:
            news = {"type": "seal_changed", "came": came, "left": left, "waiting": waiting}
            self._live.tell(room_key, news, to=_has_device)

    # --- devices that wait ----------------------------------------------------------------------------------

    def joins(self, room_key: int) -> list[Join]:
        """Oldest first."""
        room = self._rooms.get(room_key)
        if room is None:
            return []
        now_s = self._clock()
        for device in [device for device, (over_s, _) in room.joins.items() if over_s <= now_s]:
            del room.joins[device]
        return [join for _, join in room.joins.values()]

    def waiting(self, room_key: int) -> frozenset[str]:
        """The devices of `joins`. Their key packages are large: whoever adds them fetches those once."""
        return frozenset(join.device for join in self.joins(room_key))

    def wait(self, actor: Actor, device: str, key_package: str, proof: str) -> None:
        """Those who are in the group hear of it soon. Raises `ApiError` not_present, taken, limit_reached."""
        self.require_there(actor, device)
        waiting = {join.device for join in self.joins(actor.room_key)}
        room = self._rooms[actor.room_key]
        if device not in waiting and len(waiting) >= self._settings.max_waiting_joins:
            raise ApiError("limit_reached", "Too many devices wait to be let into this room.")
        join = Join(device, actor.member_id, actor.name, key_package, proof)
        room.joins.pop(device, None)
        room.joins[device] = self._clock() + self._settings.waiting_join_s, join
        room.untold[device] = None
        self._tell_soon(actor.room_key, room)

    def welcome(self, room_key: int, devices: frozenset[str]) -> None:
        """They wait no more."""
        if (room := self._rooms.get(room_key)) is not None:
            for device in devices:
                room.joins.pop(device, None)


def _as_news(present: Present) -> dict[str, Any]:
    return {"device": present.device, "member_id": present.member_id, "name": present.name}


def _has_device(listener: Listener) -> bool:
    return bool(listener.device)
