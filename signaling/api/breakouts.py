"""Breakout rooms over REST."""

from __future__ import annotations

from typing import Annotated

import msgspec

from signaling.api.typed import Access, Input, Struct, convert, route
from signaling.rooms.breakouts import Breakouts, How
from signaling.rooms.roles import Actor

Number = Annotated[int, msgspec.Meta(ge=0, lt=1000)]
EndsIn = Annotated[float, msgspec.Meta(gt=0)]


class NewBreakouts(Input):
    rooms: Annotated[int, msgspec.Meta(ge=1, lt=1000)]
    how: How = How.HAND
    """`hand`: as `places` says; `random`: everybody but owners and moderators, evenly; `choice`: people go by
    themselves."""
    places: dict[str, Number] = msgspec.field(default_factory=dict)
    """By member id. Whoever is not named stays in the main room, 0."""
    ends_in_s: EndsIn | None = None


class Timer(Input):
    ends_in_s: EndsIn | None = None
    """None: they stay until somebody ends them."""


class Where(Input):
    number: Number
    """0: the main room."""


class Help(Input):
    on: bool = True


class MemberName(Struct):
    member_id: str
    name: str


class BreakoutRoom(Struct):
    number: int
    """0: the main room."""
    people: list[MemberName]
    """Who is there now."""


class BreakoutsView(Struct):
    open: bool
    how: How = How.HAND
    rooms: list[BreakoutRoom] = msgspec.field(default_factory=list)
    ends_in_ms: int | None = None
    """From now on, because clocks differ."""
    help: list[MemberName] = msgspec.field(default_factory=list)
    """Who asks for a host."""
    hosts: list[str] = msgspec.field(default_factory=list)
    """The member ids of the owners and moderators that are in the call."""


class BreakoutsEndpoint:
    def __init__(self, breakouts: Breakouts) -> None:
        self._breakouts = breakouts

    @route("GET", "/api/v1/rooms/{room}/breakouts", access=Access.GUEST)
    async def get(self, actor: Actor) -> BreakoutsView:
        """The breakout rooms of the call, and who is where."""
        return self._view(actor)

    @route(
        "POST", "/api/v1/rooms/{room}/breakouts", access=Access.MODERATOR, errors=("not_found", "limit_reached"),
        status=201,
    )  # fmt: skip
    async def open(self, actor: Actor, body: NewBreakouts) -> BreakoutsView:
        """Divide the call into breakout rooms.

        Each is a call of its own, of which the others see and hear nothing; door, roles, bans and log are those of the
        room. Everybody is moved with their connection, and back again when the rooms end.
        """
        await self._breakouts.open(actor, body.rooms, body.how, body.places, body.ends_in_s)
        return self._view(actor)

    @route("PATCH", "/api/v1/rooms/{room}/breakouts", access=Access.MODERATOR, errors=("not_found", "limit_reached"))
    async def set_timer(self, actor: Actor, body: Timer) -> BreakoutsView:
        """Say anew when the breakout rooms end by themselves."""
        self._breakouts.end_in(actor, body.ends_in_s)
        return self._view(actor)

    @route("DELETE", "/api/v1/rooms/{room}/breakouts", access=Access.MODERATOR, errors=("not_found",))
    async def close(self, actor: Actor) -> None:
        """End the breakout rooms: everybody comes back to the main room."""
        await self._breakouts.close(actor)

    @route("PUT", "/api/v1/rooms/{room}/breakouts/people/{member}", access=Access.MODERATOR, errors=("not_found",))
    async def move(self, actor: Actor, member: str, body: Where) -> None:
        """Send somebody to another breakout room, or back."""
        self._breakouts.move(actor, member, body.number)

    @route("POST", "/api/v1/rooms/{room}/breakouts/go", access=Access.GUEST, errors=("not_found",))
    async def go(self, actor: Actor, body: Where) -> None:
        """Go to a breakout room oneself: hosts to every one, others where people choose, everybody back to the main
        room."""
        self._breakouts.choose(actor, body.number)

    @route("POST", "/api/v1/rooms/{room}/breakouts/help", access=Access.GUEST, errors=("not_found",))
    async def ask_for_help(self, actor: Actor, body: Help) -> None:
        """Ask for a host, or take that back. It is over when a host comes into the room."""
        self._breakouts.ask_for_help(actor, body.on)

    def _view(self, actor: Actor) -> BreakoutsView:
        view: BreakoutsView = convert(self._breakouts.view(actor.room), BreakoutsView)
        return view
