"""Publishers whose line takes less than the layers that they send: they are asked for fewer, and later for more again.

An encoder of several layers gives the lowest what is usual for it, even where the line takes less and the others get
nothing (libwebrtc: 150 kbit/s of 320x180, in pictures that are lost on the way). Alone, the lowest bends to what there
is. Sound is left as it is, and the lowest layer is never taken away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from sfu.control.adapt.downlink import SteadyBitrates
from sfu.control.adapt.rooms import AdaptedRoom
from sfu.control.context import ControlContext
from sfu.control.publish.publication import Publication
from sfu.engine.api import HIGHEST_LAYER, OVERHEAD_BYTES, LayerStats
from sfu.ids import TrackHandle, TrackId, TransportHandle
from sfu.kind import Kind

CONFIRMED_S = 5.0
"""A line is narrow when it was said to be twice within that time: once may be a moment of somebody else's."""
CLEAR_PERCENT = 50
"""One that takes less than that share of what all layers take is too narrow at once; if it is not said again, all of
them are tried together afterwards."""
TRIAL_S = 10.0
"""When it is said so soon after more was asked for, that was too much."""
ROOM_PERCENT = 90
"""What layers may take of the line."""
SOUND_OVERHEAD_BPS = 8 * 50 * OVERHEAD_BYTES
"""Beside the payload of a sound: 50 packets a second."""


class Uplink:
    """Of one publisher."""

    def __init__(self, retry_s: float, max_retry_s: float) -> None:
        self._retry_s, self._max_retry_s = retry_s, max_retry_s
        self._narrow_at_s = self._raised_at_s = -math.inf
        self._due_s = math.inf
        self.is_sure = False
        self.before: dict[TrackId, int] = {}
        """The ceilings before the last try."""

    def narrowed(self, now_s: float, *, is_clear: bool) -> bool:
        """The line was said to take little. Whether less is to be asked for."""
        is_trial = now_s - self._raised_at_s < TRIAL_S
        self.is_sure = is_trial or now_s - self._narrow_at_s < CONFIRMED_S
        self._narrow_at_s = now_s
        if is_trial:
            self._retry_s = min(2 * self._retry_s, self._max_retry_s)
            self._raised_at_s = -math.inf
        else:
            self.before.clear()
        if self.is_sure or is_clear:
            self._due_s = now_s + self._retry_s
        return self.is_sure or is_clear

    def may_raise(self, now_s: float) -> bool:
        """Whether it is time to ask for more."""
        if now_s < self._due_s:
            return False
        self._raised_at_s, self._due_s = now_s, now_s + max(self._retry_s, TRIAL_S)
        return True

    def is_over(self, now_s: float) -> bool:
        """With everything asked for: whether nothing was said for as long as it would count."""
        return now_s - max(self._raised_at_s, self._narrow_at_s) >= max(self._retry_s, TRIAL_S)


class Uplinks:
    def __init__(self, context: ControlContext, rooms: Callable[[], Iterable[AdaptedRoom]]) -> None:
        self._context = context
        self._rooms = rooms
        self._uplinks: dict[TransportHandle, Uplink] = {}
        """Of those whose line was too narrow a while ago."""

    def handle_narrow(
        self,
        transport: TransportHandle,
        bitrate_bps: int,
        layers: Mapping[TrackHandle, Sequence[LayerStats]],
        bitrates: SteadyBitrates,
    ) -> None:
        """A publisher's line takes no more than that; what it has sent lately is in the others."""
        publications = self._publications().get(transport, ())
        videos = [one for one in publications if _is_sent(one, Kind.VIDEO)]
        if not any(_top_layer(one) and one.heeds_ceiling for one in videos):
            return
        uplink = self._uplinks.get(transport)
        if uplink is None:
            config = self._context.config
            uplink = self._uplinks[transport] = Uplink(config.uplink_retry_s, config.uplink_retry_max_s)
        sent = {one.track_id: _sent_bps(one, layers, bitrates) for one in publications}
        sounds = (sum(sent[one.track_id]) for one in publications if _is_sent(one, Kind.AUDIO))
        sound_bps = sum(one + SOUND_OVERHEAD_BPS for one in sounds if one > 0)
        room_bps = max(0.0, bitrate_bps - sound_bps) * ROOM_PERCENT / 100
        video_bps = sum(sum(sent[one.track_id]) for one in videos)
        is_clear = room_bps * 100 < video_bps * CLEAR_PERCENT
        if not uplink.narrowed(self._context.loop.time(), is_clear=is_clear):
            return
        share = min(1.0, room_bps / video_bps) if video_bps > 0 else 1.0
        for one in videos:
            top = _top_layer(one)
            if not sent[one.track_id] or not one.heeds_ceiling:
                continue  # It has come a moment ago, and nobody has looked at it yet; or it would be of no use.
            layer = min(_highest_within(sent[one.track_id][: top + 1], share), uplink.before.get(one.track_id, top))
            if layer < min(one.ceiling, top):
                self._context.counters["uplink_cuts"] += 1
                one.set_ceiling(self._context.engine, layer)

    def run(self, now_s: float, look: Callable[[], Mapping[TrackHandle, Sequence[LayerStats]]]) -> None:
        """Now and then: ask for more again where it is time. `look` tells what tracks bring now."""
        if not self._uplinks:
            return
        publications = self._publications()
        for transport, uplink in list(self._uplinks.items()):
            videos = [one for one in publications.get(transport, ()) if one.is_limited]
            if videos:
                if uplink.may_raise(now_s):
                    self._context.counters["uplink_raises"] += 1
                    uplink.before = {one.track_id: one.ceiling for one in videos}
                    layers = look()
                    for one in videos:
                        one.heeds_ceiling = _heeds(one, layers.get(one.primary.track, ()))
                        more = one.ceiling + 1 if uplink.is_sure and one.heeds_ceiling else HIGHEST_LAYER
                        one.set_ceiling(self._context.engine, more)
            elif uplink.is_over(now_s):
                del self._uplinks[transport]

    def _publications(self) -> dict[TransportHandle, Sequence[Publication]]:
        return {
            participant.uplink: participant.publications
            for room in self._rooms()
            for participant in room.participants()
            if participant.uplink is not None
        }


def _is_sent(publication: Publication, kind: Kind) -> bool:
    return publication.info.kind is kind and not publication.info.muted


def _top_layer(publication: Publication) -> int:
    """Of layers that are streams of their own: what is in one stream is no easier to send without its upper layers."""
    streams = len(publication.primary.received.track.layers)
    return len(publication.primary.target_layers()) - 1 if streams > 1 else 0


def _heeds(publication: Publication, streams: Sequence[LayerStats]) -> bool:
    """Whether what is not asked for has become less than what is: in Firefox it goes on with two small pictures a
    second, and publishers over WHIP hear of no wishes at all."""
    bitrates, top = [one.bitrate_bps for one in streams], publication.ceiling
    return sum(bitrates[top + 1 :]) <= sum(bitrates[top : top + 1])


def _sent_bps(
    publication: Publication, layers: Mapping[TrackHandle, Sequence[LayerStats]], bitrates: SteadyBitrates
) -> list[float]:
    """What each stream takes, lowest first: 0 where it is not sent, and what was announced where it has only begun."""
    encoding = publication.primary
    announced, measured = encoding.target_layers(), bitrates.of(encoding.track)
    return [
        (measured[index] or (announced[index].bitrate_bps if index < len(announced) else 0)) if stream.active else 0.0
        for index, stream in enumerate(layers.get(encoding.track, ()))
    ]


def _highest_within(bitrates_bps: Sequence[float], share: float) -> int:
    """The highest layer up to which all together take no more than that share of what all of them take."""
    room_bps, layer = sum(bitrates_bps) * share, 0
    for index in range(1, len(bitrates_bps)):
        if sum(bitrates_bps[: index + 1]) <= room_bps:
            layer = index
    return layer
