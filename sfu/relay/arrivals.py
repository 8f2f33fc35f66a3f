"""Publications of other nodes as rooms here have them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sfu.api import PublicationInfo
from sfu.control.context import ControlContext
from sfu.control.publish.dynacast import OFF
from sfu.control.publish.encoding import Encoding
from sfu.control.publish.publication import Publication, Reception
from sfu.control.remote import RemoteMember
from sfu.engine.api import InboundLayer, TrackConfig
from sfu.relay.link import EXTENSIONS, Link
from sfu.relay.messages import EncodingThere, EncodingWish

Wishes = Mapping[str, EncodingWish]


def arriving_track(there: EncodingThere) -> TrackConfig:
    """The track as it comes over a link: known by its SSRCs alone."""
    track = there.received.track
    return replace(
        track,
        layers=[InboundLayer(ssrc=ssrc, rtx_ssrc=rtx_ssrc) for ssrc, rtx_ssrc in there.ssrcs],
        mid=None,
        extensions=EXTENSIONS,
        # Its own node has held it to its limit.
        max_bitrate_bps=0,
    )


def arriving_encoding(context: ControlContext, link: Link, there: EncodingThere) -> Encoding:
    received = replace(there.received, track=arriving_track(there))
    return Encoding(
        there.name, there.cid, received, context.engine.add_track(link.handle, received.track), there.layers
    )


class Arrival(Publication):
    """A publication whose publisher is on another node. Of what nobody here wants nothing comes: `tell` takes what is
    wanted, whenever that changes; more at once, less only when it is still less a while later."""

    def __init__(
        self,
        owner: RemoteMember,
        info: PublicationInfo,
        encodings: Sequence[EncodingThere],
        stream_label: str,
        link: Link,
        context: ControlContext,
        tell: Callable[[Wishes], None],
    ) -> None:
        self._context = context
        self._link = link
        self._tell = tell
        self._told: Wishes = {}
        self._timer: asyncio.TimerHandle | None = None
        self._there = list(encodings)
        super().__init__(owner, info, arriving_encoding(context, link, encodings[0]), stream_label)
        self.info = info
        self._take_backup()
        self._enlist()

    def update(self, info: PublicationInfo) -> None:
        """What is to be seen of it has changed on its own node."""
        before, self.info = self.info, info
        if info.muted != before.muted:
            self._mute()
        if info.layers != before.layers:
            self.primary.layers = tuple(info.layers)
            for subscription in list(self.subscriptions.values()):
                subscription.apply_settings(self._context.engine)
                self.note_demand(subscription)

    def set_encodings(self, encodings: Sequence[EncodingThere]) -> None:
        """Those that its publisher sends now; the first one the same as ever, or with other streams."""
        if list(encodings) == self._there:
            return
        old = self.encodings
        self._there = list(encodings)
        first = self._there[0]
        received = replace(first.received, track=arriving_track(first))
        if received != self.primary.received:
            self.primary.received = received
            self._context.engine.set_track_config(self.primary.track, received.track)
        self._take_backup()
        self._enlist()
        self.reattach_all()
        for encoding in old:
            if encoding not in self.encodings:
                self._remove(encoding)

    def _take_backup(self) -> None:
        second = self._there[1] if len(self._there) > 1 else None
        if second is None:
            self.backup = None
        elif self.backup is None or self.backup.name != second.name:
            self.backup = arriving_encoding(self._context, self._link, second)

    def _enlist(self) -> None:
        for encoding in self.encodings:
            self._context.tracks[encoding.track] = self
        self._mute()

    def _mute(self) -> None:
        for encoding in self.encodings:
            self._context.engine.set_track_muted(encoding.track, self.info.muted)

    def _remove(self, encoding: Encoding) -> None:
        self._context.tracks.pop(encoding.track, None)
        self._context.engine.remove_track(encoding.track)

    def close(self) -> None:
        """Nobody here receives it any more; it may go on elsewhere."""
        if self._timer is not None:
            self._timer.cancel()
        for encoding in self.encodings:
            self._remove(encoding)

    # --- what is wanted of it -----------------------------------------------------------------------------

    def note_demand(self, subscription: Reception) -> None:
        self._review()

    def note_departure(self, subscription: Reception) -> None:
        self._review()

    def note_target(self) -> None:
        self._review()

    def _measure(self) -> dict[str, EncodingWish]:
        wishes: dict[str, EncodingWish] = {}
        for subscription in self.subscriptions.values():
            need = subscription.needs()
            if need is None:
                continue
            before = wishes.get(need.codec, EncodingWish((), 0, OFF))
            streams = {*before.streams, self._stream(need.codec, need.spatial)}
            wishes[need.codec] = EncodingWish(
                sorted(streams), max(before.spatial, need.spatial), max(before.quality, need.quality)
            )
        return wishes

    def _stream(self, codec: str, spatial: int) -> int:
        encoding = next((one for one in self.encodings if one.name == codec), self.primary)
        return min(spatial, len(encoding.received.track.layers) - 1)

    def _review(self) -> None:
        wanted = self._measure()
        both = {codec: _more(self._told.get(codec), wanted.get(codec)) for codec in {**self._told, **wanted}}
        if both != self._told:
            self._told = both
            self._tell(both)
        if wanted != self._told and self._timer is None:
            delay_s = self._context.config.dynacast_pause_delay_s
            self._timer = self._context.loop.call_later(delay_s, self._settle)

    def _settle(self) -> None:
        self._timer = None
        wanted = self._measure()
        if wanted != self._told:
            self._told = wanted
            self._tell(wanted)


def _more(told: EncodingWish | None, wanted: EncodingWish | None) -> EncodingWish:
    """Both of them."""
    one, other = told or EncodingWish((), 0, OFF), wanted or EncodingWish((), 0, OFF)
    return EncodingWish(
        sorted({*one.streams, *other.streams}), max(one.spatial, other.spatial), max(one.quality, other.quality)
    )
