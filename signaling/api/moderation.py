"""Moderation of a call over REST, and the people at its door."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from signaling.api.typed import Access, Input, Struct, route
from signaling.rooms.knocks import Answer, Knocks
from signaling.rooms.moderation import Moderation
from signaling.rooms.roles import Actor, member_id_of
from signaling.rooms.spotlight import Shown


class Source(StrEnum):
    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"


class WhatToStop(Input):
    source: Source = Source.MICROPHONE


class WhatIsFirst(Input):
    identity: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    shown: Shown = Shown.CAMERA


class TalkTimeView(Struct):
    identity: str
    member_id: str
    name: str
    seconds: float
    present: bool
    """Whether they are in the call now."""


class TalkTimes(Struct):
    people: list[TalkTimeView]
    """Who has talked, longest first."""


class Stopped(Struct):
    tracks: int
    """How many were on."""


class KnockView(Struct):
    knock_id: str
    member_id: str
    name: str
    note: str


class KnockList(Struct):
    knocks: list[KnockView]


class ModerationEndpoint:
    def __init__(self, moderation: Moderation, knocks: Knocks) -> None:
        self._moderation = moderation
        self._knocks = knocks

    @route(
        "POST", "/api/v1/rooms/{room}/participants/{identity}/stop", access=Access.MODERATOR,
        errors=("not_found", "forbidden"),
    )  # fmt: skip
    async def stop(self, actor: Actor, identity: str, body: WhatToStop) -> Stopped:
        """Mute somebody, or stop their video or their screen."""
        return Stopped(tracks=await self._moderation.stop(actor, identity, body.source.value))

    @route("POST", "/api/v1/rooms/{room}/stop-all", access=Access.MODERATOR)
    async def stop_all(self, actor: Actor, body: WhatToStop) -> Stopped:
        """Mute everybody but owners and moderators."""
        return Stopped(tracks=await self._moderation.stop_all(actor, body.source.value))

    @route(
        "POST", "/api/v1/rooms/{room}/participants/{identity}/ask-to-unmute", access=Access.MODERATOR,
        errors=("not_found",),
    )  # fmt: skip
    async def ask_to_unmute(self, actor: Actor, identity: str) -> None:
        """Ask somebody to speak; they decide."""
        await self._moderation.ask_to_unmute(actor, identity)

    @route("POST", "/api/v1/rooms/{room}/lower-hands", access=Access.MODERATOR)
    async def lower_hands(self, actor: Actor) -> None:
        """Lower all hands."""
        await self._moderation.lower_hands(actor)

    @route("PUT", "/api/v1/rooms/{room}/spotlight", access=Access.MODERATOR, errors=("not_found",))
    async def put_first(self, actor: Actor, body: WhatIsFirst) -> None:
        """Put a person or a shared screen first for everybody in the call, instead of what was first before.

        Clients see it as the attribute `ting.spotlight` of the participant (`camera` or `screen`), and in
        `ting.spotlight_by` the name of who wanted it. It lasts until it is ended or the call is over.
        """
        await self._moderation.put_first(actor, body.identity, body.shown)

    @route("DELETE", "/api/v1/rooms/{room}/spotlight", access=Access.MODERATOR)
    async def end_spotlight(self, actor: Actor) -> None:
        """Nobody comes first any more."""
        await self._moderation.end_spotlight(actor)

    @route("GET", "/api/v1/rooms/{room}/talk-times", access=Access.GUEST)
    async def get_talk_times(self, actor: Actor) -> TalkTimes:
        """Who has talked how long in the call that is under way, those who have left included.

        The server counts while somebody is an active speaker; in a sealed room too, where it knows the loudness of what
        it cannot hear.
        """
        return TalkTimes(
            people=[
                TalkTimeView(
                    identity=one.identity, member_id=member_id_of(one.identity), name=one.name,
                    seconds=round(one.seconds, 1), present=present,
                )
                for one, present in self._moderation.talk_times(actor)
            ]
        )  # fmt: skip

    @route(
        "POST", "/api/v1/rooms/{room}/members/{member}/kick", access=Access.MODERATOR,
        errors=("not_found", "forbidden"),
    )  # fmt: skip
    async def kick(self, actor: Actor, member: str) -> None:
        """Put somebody out of the call, and for a while out of the room."""
        await self._moderation.kick(actor, member)

    @route("POST", "/api/v1/rooms/{room}/end-call", access=Access.MODERATOR, errors=("not_found",))
    async def end_call(self, actor: Actor) -> None:
        """End the call for all."""
        await self._moderation.end_call(actor)

    # --- the door -------------------------------------------------------------------------------------------

    @route("GET", "/api/v1/rooms/{room}/knocks", access=Access.MODERATOR)
    async def get_knocks(self, actor: Actor) -> KnockList:
        """Who waits at the door, longest first."""
        return KnockList(
            knocks=[
                KnockView(knock_id=one.knock_id, member_id=one.member_id, name=one.name, note=one.note)
                for one in self._knocks.waiting(actor.room_key)
            ]
        )

    @route("POST", "/api/v1/rooms/{room}/knocks/{knock}/admit", access=Access.MODERATOR, errors=("knock_not_found",))
    async def admit(self, actor: Actor, knock: str) -> None:
        """Let somebody in."""
        await self._moderation.answer_knock(actor, knock, Answer.ADMITTED)

    @route("POST", "/api/v1/rooms/{room}/knocks/{knock}/deny", access=Access.MODERATOR, errors=("knock_not_found",))
    async def deny(self, actor: Actor, knock: str) -> None:
        """Do not let somebody in."""
        await self._moderation.answer_knock(actor, knock, Answer.DENIED)
