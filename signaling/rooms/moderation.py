"""What owners and moderators do in a call: each act is checked here, written down, and carried out through the SFU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from sfu.api import ParticipantChanges, ParticipantInfo, Sfu, TalkTime, TrackSource
from sfu.errors import RequestError
from sfu.ids import Identity, RoomName
from signaling.errors import ApiError
from signaling.rooms.calls import RoomService
from signaling.rooms.door import ROLE_ATTRIBUTE, Door
from signaling.rooms.homes import Homes
from signaling.rooms.knocks import Answer, Knocks
from signaling.rooms.records import Ban, Chronicle, Member, RoomStores
from signaling.rooms.roles import Actor, Role, member_id_of
from signaling.rooms.settings import LastingRoomSettings
from signaling.rooms.spotlight import Shown, Spotlight, Spotlights

SOURCES = {
    "microphone": (TrackSource.MICROPHONE,),
    "camera": (TrackSource.CAMERA,),
    "screen": (TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO),
}
"""What a moderator names, and the tracks that are meant."""
EvictionListener = Callable[[int, str, str], None]
"""Called with the room's key, the member and the code of why, when somebody may no longer be in a room."""


class Moderation:
    """`clock` gives Unix time in seconds."""

    def __init__(
        self,
        stores: RoomStores,
        sfu: Sfu,
        calls: RoomService,
        door: Door,
        knocks: Knocks,
        chronicle: Chronicle,
        spotlights: Spotlights,
        homes: Homes,
        settings: LastingRoomSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._sfu = sfu
        self._calls = calls
        self._door = door
        self._knocks = knocks
        self._chronicle = chronicle
        self._spotlights = spotlights
        self._homes = homes
        self._settings = settings
        self._clock = clock
        self._listeners: list[EvictionListener] = []

    def add_listener(self, listener: EvictionListener) -> None:
        self._listeners.append(listener)

    # --- microphones, cameras, screens ----------------------------------------------------------------------

    async def stop(self, actor: Actor, identity: str, source: str) -> int:
        """Mute what `identity` sends of this kind; how many tracks were on. Raises `ApiError` not_found, forbidden."""
        room, person = self._find(actor, identity)
        await self._require_power(actor, member_id_of(identity))
        stopped = self._mute(room, person, SOURCES[source])
        if stopped:
            await self._note(actor, "mute", who=member_id_of(identity), who_name=person.name, source=source)
        return stopped

    async def stop_all(self, actor: Actor, source: str) -> int:
        """Everybody but whoever asks, and but owners and moderators; of breakout rooms only that of who asks."""
        stopped, roles, room = 0, await self._roles(actor.room_key), self._place(actor)
        for person in self._sfu.participants(room):
            member_id = member_id_of(person.identity)
            if member_id != actor.member_id and not roles.get(member_id, Role.GUEST).reaches(Role.MODERATOR):
                stopped += self._mute(room, person, SOURCES[source])
        await self._note(actor, "mute_all", source=source)
        return stopped

    def _mute(self, room: RoomName, person: ParticipantInfo, sources: tuple[TrackSource, ...]) -> int:
        tracks = [track for track in person.tracks if track.source in sources and not track.muted]
        for track in tracks:
            self._calls.mute(room, person.identity, track.track_id, True)
        return len(tracks)

    async def ask_to_unmute(self, actor: Actor, identity: str) -> None:
        """Only a wish; whoever is asked decides. Raises `ApiError` not_found."""
        _, person = self._find(actor, identity)
        await self._note(actor, "ask_unmute", who=member_id_of(identity), who_name=person.name)

    async def lower_hands(self, actor: Actor) -> None:
        await self._note(actor, "lower_hands")

    def talk_times(self, actor: Actor) -> list[tuple[TalkTime, bool]]:
        """Who has talked in the call, and whether they are there now."""
        rooms = self._homes.rooms_of(actor.room)
        present = {person.identity for room in rooms for person in self._sfu.participants(room)}
        times: dict[Identity, TalkTime] = {}
        for one in (one for room in rooms for one in self._sfu.talk_times(room)):
            before = times.get(one.identity)
            times[one.identity] = replace(one, seconds=one.seconds + (before.seconds if before else 0.0))
        return [(one, one.identity in present) for one in sorted(times.values(), key=lambda one: -one.seconds)]

    # --- what comes first -----------------------------------------------------------------------------------

    async def put_first(self, actor: Actor, identity: str, shown: Shown) -> None:
        """For everybody in the call, or in the breakout room in which they are. Raises `ApiError` not_found."""
        room, person = self._find(actor, identity)
        who = {"who": member_id_of(identity), "who_name": person.name}
        await self._note(actor, "spotlight", **who, source=shown.value)
        self._spotlights.put(room, Spotlight(Identity(identity), shown, actor.name))

    async def end_spotlight(self, actor: Actor) -> None:
        if self._spotlights.end(self._place(actor)):
            await self._note(actor, "end_spotlight")

    # --- putting out ----------------------------------------------------------------------------------------

    async def kick(self, actor: Actor, member_id: str) -> None:
        """Out of the call, and for a while out of the room. Raises `ApiError` not_found, forbidden."""
        people = self._people(actor.room, member_id)
        if not people:
            raise ApiError("not_found", "There is nobody of this identity in the call.")
        until_ms = self._now_ms() + round(self._settings.kick_s * 1000)
        await self._put_out(actor, member_id, people[0][1].name, "kick", until_ms)

    async def ban(self, actor: Actor, member_id: str, name: str) -> None:
        """For good, until somebody takes it back: the person, and the addresses from which it came in, as far as they
        are still known. Raises `ApiError` forbidden."""
        people = self._people(actor.room, member_id)
        await self._put_out(actor, member_id, people[0][1].name if people else name, "ban", None)

    async def _put_out(self, actor: Actor, member_id: str, name: str, kind: str, until_ms: int | None) -> None:
        await self._require_power(actor, member_id)
        await self._note(actor, kind, who=member_id, who_name=name)
        store, now_ms = await self._stores.rooms(), self._now_ms()
        addresses = self._door.addresses_of(actor.room_key, member_id) if kind == "ban" else ()
        await store.put_bans(
            actor.room_key,
            [Ban(subject, kind, member_id, name, now_ms, until_ms) for subject in (member_id, *addresses)],
        )
        self._door.forget(actor.room_key, member_id)
        for room, person in self._people(actor.room, member_id):
            try:
                self._calls.kick(room, person.identity)
            except RequestError:
                continue  # It has left meanwhile.
        for listener in self._listeners:
            listener(actor.room_key, member_id, "banned" if kind == "ban" else "kicked")

    async def bans(self, actor: Actor) -> list[Ban]:
        return await (await self._stores.rooms()).bans(actor.room_key, self._now_ms())

    async def lift(self, actor: Actor, member_id: str) -> None:
        """Raises `ApiError` not_found."""
        store = await self._stores.rooms()
        if not await store.remove_ban(actor.room_key, member_id):
            raise ApiError("not_found", "Nobody of this identity is kept out.")
        await self._note(actor, "unban", who=member_id)

    async def end_call(self, actor: Actor) -> None:
        """For all. Raises `ApiError` not_found."""
        await self._note(actor, "end_call")
        try:
            self._calls.end_room(actor.room)
        except RequestError:
            raise ApiError("not_found", "There is no call now.") from None
        self._door.forget(actor.room_key)

    # --- the door -------------------------------------------------------------------------------------------

    async def answer_knock(self, actor: Actor, knock_id: str, answer: Answer) -> None:
        """Raises `ApiError` knock_not_found, also when somebody else was faster."""
        knock = self._knocks.find(actor.room_key, knock_id)
        if not self._knocks.answer(knock, answer):
            raise ApiError("knock_not_found", "Nobody waits there any more.")
        act = "admit" if answer is Answer.ADMITTED else "deny"
        await self._note(actor, act, who=knock.member_id, who_name=knock.name)

    # --- roles ----------------------------------------------------------------------------------------------

    def show_role(self, room: RoomName, member_id: str, role: Role) -> None:
        """Tell everybody in the call of somebody's new role."""
        for place, person in self._people(room, member_id):
            session = self._sfu.find_participant(place, person.identity)
            if session is not None:
                session.update(ParticipantChanges(attributes={ROLE_ATTRIBUTE: role.value}))

    # --- helpers --------------------------------------------------------------------------------------------

    def _place(self, actor: Actor) -> RoomName:
        """The room or breakout room in which they are; the room itself where they are in none."""
        rooms = self._homes.rooms_of(actor.room)
        return next((room for room in rooms if self._sfu.find_participant(room, actor.identity)), actor.room)

    def _find(self, actor: Actor, identity: str) -> tuple[RoomName, ParticipantInfo]:
        """With the room or breakout room in which they are."""
        for room in self._homes.rooms_of(actor.room):
            session = self._sfu.find_participant(room, Identity(identity))
            if session is not None:
                return room, session.info
        raise ApiError("not_found", "There is nobody of this identity in the call.")

    def _people(self, home: RoomName, member_id: str) -> list[tuple[RoomName, ParticipantInfo]]:
        rooms = self._homes.rooms_of(home)
        people = ((room, one) for room in rooms for one in self._sfu.participants(room))
        return [(room, one) for room, one in people if member_id_of(one.identity) == member_id]

    async def _roles(self, room_key: int) -> dict[str, Role]:
        members: list[Member] = await (await self._stores.rooms()).members(room_key)
        return {member.member_id: member.role for member in members}

    async def _require_power(self, actor: Actor, member_id: str) -> None:
        """Moderators have none over owners and each other. Raises `ApiError` forbidden."""
        role = (await self._roles(actor.room_key)).get(member_id, Role.GUEST)
        if member_id == actor.member_id or actor.role.rank > role.rank:
            return
        raise ApiError("forbidden", "That one has as much to say here as you.")

    async def _note(self, actor: Actor, act: str, **details: object) -> None:
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, act, details)

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)
