"""Which rooms with a call are sealed, for what is asked at every message: whoever is in such a call came past the door,
which has looked the room up."""

from __future__ import annotations

from sfu.ids import RoomName
from signaling.errors import TokenError
from signaling.grants import Grants
from signaling.rooms.homes import Homes
from signaling.rooms.policy import Kind, Policy
from signaling.rooms.records import Room, RoomStores

SEALED_ATTRIBUTE = "ting.sealed"
"""Of participants that encrypt what they send; "1" in the token is their word for it."""
REFUSAL = (
    "this room is sealed: join with a client that encrypts (LiveKit SDKs: with a key of the room), and say so by the "
    "token's attribute ting.sealed"
)


class SealedRooms:
    def __init__(self, stores: RoomStores, homes: Homes) -> None:
        self._stores = stores
        self._homes = homes
        self._keys: dict[str, int] = {}
        """Of sealed rooms, by name."""

    def __contains__(self, room: str) -> bool:
        """Whether the room, into which somebody came by the door of this process, is sealed now."""
        return self._homes.home_of(room) in self._keys

    def note(self, room: Room) -> bool:
        """Whether it is sealed."""
        sealed = room.policy.kind is Kind.SEALED
        if sealed:
            self._keys[room.name] = room.room_key
        else:
            self._keys.pop(room.name, None)
        return sealed

    async def look(self, room: RoomName) -> bool:
        """Whether the room is sealed, also one into which nobody came yet. Raises `DatabaseError`."""
        if not self._stores.has_data:
            return False
        found = await (await self._stores.rooms()).find_room(self._homes.home_of(room))
        return found is not None and self.note(found)

    async def handle_policy(self, room_key: int, policy: Policy) -> None:
        """A room that is opened is open at once."""
        if policy.kind is Kind.OPEN:
            self.forget(room_key)

    def forget(self, room_key: int) -> None:
        for name in [name for name, key in self._keys.items() if key == room_key]:
            del self._keys[name]


def require_encryption(grants: Grants) -> None:
    """Of whoever wants into a call. Raises `TokenError` sealed_room."""
    if grants.sealed and grants.attributes.get(SEALED_ATTRIBUTE) != "1":
        raise TokenError("sealed_room", REFUSAL)
