"""Moderation of a call over REST, and the people at its door."""

from __future__ import annotations

from enum import StrEnum

from signaling.api.typed import Access, Input, Struct, route
from signaling.rooms.knocks import Answer, Knocks
from signaling.rooms.moderation import Moderation
from signaling.rooms.roles import Actor


class Source(StrEnum):
    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"


class WhatToStop(Input):
    source: Source = Source.MICROPHONE


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
