"""How a call goes, and went, over REST."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec

from sfu.api import CallTimeline
from signaling.api.typed import Access, Input, Struct, route
from signaling.log.entries import Seq
from signaling.log.timelines import MAX_PAGE, Kept, KeptTimelines
from signaling.rooms.roles import Actor, member_id_of
from signaling.rooms.timelines import CallTimelines

_MemberId = Annotated[str, msgspec.Meta(max_length=512)]


class CallQuery(Input):
    member: _MemberId = ""
    """Whose; empty: of everybody whose one may see."""
    entries: bool = True
    """Whether what was noted so far is among it, and not only how it goes now."""


class KeptQuery(Input):
    member: _MemberId = ""
    before: Seq | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = 20


class MissingView(Struct):
    identity: str
    member_id: str
    name: str


class CallTimelinesView(Struct):
    timelines: list[CallTimeline]
    missing: list[MissingView]
    """Who is in the call on another node, which did not answer: of them nothing is known here now."""


class KeptView(Struct):
    seq: int
    """Of the log's entry that keeps it."""
    call: str
    member_id: str
    name: str
    joined_at_ms: int | None
    left_at_ms: int
    leave_reason: str | None
    entries: list[dict[str, Any]]
    """As `entries` of a call under way, with the figures of `line` beside the rest, `of` as a member id, and without
    what is not known."""


class KeptTimelinesView(Struct):
    timelines: list[KeptView]
    """Newest first."""
    before: int | None
    """Ask with it for earlier ones; null: there are none."""


class Forgotten(Struct):
    timelines: int


class TimelinesEndpoint:
    def __init__(self, calls: CallTimelines, kept: KeptTimelines) -> None:
        self._calls = calls
        self._kept = kept

    @route("GET", "/api/v1/rooms/{room}/call-timelines", access=Access.GUEST, errors=("forbidden",))
    async def get_call_timelines(self, actor: Actor, query: CallQuery) -> CallTimelinesView:
        """How the call that is under way goes, and why it is bad where it is.

        For each participant: what their line was sent and what it takes (bits per second), what was lost (share of 1),
        the round-trip time, which layer of whose video they get, what decided that, and when it changed. Owners and
        moderators see everybody, those who have left included; others see themselves.
        """
        view = await self._calls.view(actor, query.member)
        missing = [
            MissingView(identity=one.identity, member_id=member_id_of(one.identity), name=one.name)
            for one in view.missing
        ]
        timelines = [one if query.entries else replace(one, entries=()) for one in view.timelines]
        return CallTimelinesView(timelines=timelines, missing=missing)

    @route("GET", "/api/v1/rooms/{room}/past-call-timelines", access=Access.GUEST, errors=("forbidden",))
    async def get_past_call_timelines(self, actor: Actor, query: KeptQuery) -> KeptTimelinesView:
        """How calls went that people have left, where the room's policy has `call_timelines`.

        The log keeps it with the entry of who left, for as long as that entry. Owners and moderators see everybody;
        others see themselves.
        """
        found, before = await self._kept.page(actor, query.member, query.before, query.limit)
        return KeptTimelinesView(timelines=[_view(one) for one in found], before=before)

    @route("DELETE", "/api/v1/rooms/{room}/past-call-timelines/{member}", access=Access.GUEST, errors=("forbidden",))
    async def delete_past_call_timelines(self, actor: Actor, member: str) -> Forgotten:
        """Remove what is kept of how calls went for oneself; owners and moderators may do it for others.

        That they were in the call stays in the log.
        """
        return Forgotten(timelines=await self._kept.forget(actor, member))


def _view(kept: Kept) -> KeptView:
    """An archive may have brought anything under these names."""
    joined, reason, entries = (kept.body.get(key) for key in ("joined_at_ms", "leave_reason", "timeline"))
    return KeptView(
        seq=kept.seq,
        call=str(kept.body.get("call", "")),
        member_id=kept.member_id,
        name=kept.name,
        joined_at_ms=joined if isinstance(joined, int) else None,
        left_at_ms=kept.left_at_ms,
        leave_reason=reason if isinstance(reason, str) else None,
        entries=[one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else [],
    )
