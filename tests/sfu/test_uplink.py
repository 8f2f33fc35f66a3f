"""A publisher whose line is too narrow for its layers: asked for fewer, and for more again later. Virtual time."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.api import PublicationInfo, TrackSettings, TrackSource, VideoLayerInfo
from sfu.control.adapt.downlink import SteadyBitrates
from sfu.control.adapt.uplink import CONFIRMED_S, SOUND_OVERHEAD_BPS, TRIAL_S, Uplinks
from sfu.control.publish.dynacast import LayerDemand
from sfu.control.publish.publication import Publication
from sfu.control.subscribe.subscription import Subscription
from sfu.engine.api import HIGHEST_LAYER, LayerStats
from sfu.ids import SubscriptionHandle, TrackHandle, TrackId, TransportHandle
from sfu.kind import Kind
from sfu.sdp.model import Ssrcs

LINE = TransportHandle(7)
RETRY_S, MAX_RETRY_S = 8.0, 30.0
SOUND_BPS = 40_000
LAYERS = ((320, 180, 150_000), (640, 360, 450_000), (1280, 720, 1_700_000))
ALL_BPS = sum(bitrate_bps for _, _, bitrate_bps in LAYERS)


def video(call: Call, *, layers: int = 3, streams: int | None = None, announced: bool = True) -> Publication:
    infos = tuple(
        VideoLayerInfo(width=width, height=height, quality=quality, bitrate_bps=bitrate_bps if announced else 0)
        for quality, (width, height, bitrate_bps) in enumerate(LAYERS[:layers])
    )
    streams = layers if streams is None else streams
    track = SimpleNamespace(layers=[None] * streams)
    primary: Any = SimpleNamespace(
        name="vp8", cid="", track=TrackHandle(len(call.publications) + 1),
        received=SimpleNamespace(mid="1", mime_type="video/VP8", track=track),
        target_layers=lambda: infos if len(infos) > 1 else (),
    )  # fmt: skip
    owner: Any = SimpleNamespace(info=SimpleNamespace(participant_id="PA_1", identity="ada"))
    publication = Publication(
        owner,
        PublicationInfo(TrackId(f"TR_{len(call.publications)}"), Kind.VIDEO, TrackSource.CAMERA, layers=infos),
        primary,
        "",
    )
    publication.demand = LayerDemand("vp8", publication.measure_demand, call.note, call.loop, 2.0)
    receiver: Any = SimpleNamespace(note_switch=lambda switch: None)
    subscription = Subscription(publication, receiver, Ssrcs(1))
    subscription.handle, subscription.encoding = SubscriptionHandle(len(call.publications) + 1), primary
    publication.subscriptions["PA_2"] = subscription  # type: ignore[index]
    subscription.apply_settings(call.engine)
    call.publications.append(publication)
    return publication


def layer_stats(bitrate_bps: int, *, active: bool) -> LayerStats:
    return LayerStats(0, 1, 1, 1, 0, 0.0, 0, 0, 0, bitrate_bps if active else 0, active)


class Call:
    """One publisher, and somebody who gets all of it."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.told: list[tuple[float, int]] = []
        """(when, best quality that is asked for)."""
        self.targets: dict[int, int] = {}
        self.publications: list[Publication] = []
        self.scale = 1.0
        self.loop: Any = SimpleNamespace(time=lambda: self.now_s)
        self.engine: Any = SimpleNamespace(
            set_target_layer=lambda handle, spatial, temporal: self.targets.__setitem__(handle, spatial),
            set_subscription_paused=lambda handle, paused: None,
        )
        config = SimpleNamespace(uplink_retry_s=RETRY_S, uplink_retry_max_s=MAX_RETRY_S)
        self.counters: Counter[str] = Counter()
        context: Any = SimpleNamespace(loop=self.loop, config=config, engine=self.engine, counters=self.counters)
        participant = SimpleNamespace(uplink=LINE, publications=self.publications)
        rooms: Any = lambda: [SimpleNamespace(participants=lambda: [participant])]  # noqa: E731
        self.uplinks = Uplinks(context, rooms)

    def note(self, wanted: Any) -> None:
        self.told.append((self.now_s, wanted["vp8"]))

    def narrow(self, bitrate_bps: int, times: int = 2) -> None:
        for _ in range(times):
            self.now_s += 0.4
            layers = self.look()
            bitrates = SteadyBitrates()
            bitrates.update(self.now_s, {track: [one.bitrate_bps for one in said] for track, said in layers.items()})
            self.uplinks.handle_narrow(LINE, bitrate_bps, layers, bitrates)
            self.uplinks.run(self.now_s, self.look)

    def look(self) -> dict[TrackHandle, list[LayerStats]]:
        return {one.primary.track: self.layers_of(one) for one in self.publications}

    def layers_of(self, publication: Publication) -> list[LayerStats]:
        """What arrives of it: every layer that is asked for, with `scale` of what was announced."""
        if publication.info.kind is Kind.AUDIO:
            return [layer_stats(SOUND_BPS, active=True)]
        sizes = [round(bitrate_bps * self.scale) for _, _, bitrate_bps in LAYERS]
        count = len(publication.primary.received.track.layers)
        return [layer_stats(sizes[index], active=index <= publication.ceiling) for index in range(count)]

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.now_s += 1.0
            self.uplinks.run(self.now_s, self.look)


@pytest.mark.parametrize(("share", "expected"), [(0.05, 0), (0.2, 0), (0.3, 1), (0.9, 1), (1.2, HIGHEST_LAYER)])
def test_what_has_room_stays(share: float, expected: int) -> None:
    call = Call()
    one = video(call)
    call.narrow(round(share * ALL_BPS))
    assert one.ceiling == expected
    assert call.targets[1] == expected
    assert [quality for _, quality in call.told] == ([] if expected == HIGHEST_LAYER else [expected])


def test_once_is_chance_and_late_is_once() -> None:
    call = Call()
    one = video(call)
    for _ in range(5):
        call.narrow(round(0.7 * ALL_BPS), times=1)
        call.wait(CONFIRMED_S + 1)
    assert not one.is_limited
    assert call.told == []


def test_far_too_little_counts_at_once_and_all_is_tried_together() -> None:
    call = Call()
    one = video(call)
    call.narrow(round(0.2 * ALL_BPS), times=1)
    began_s = call.now_s
    assert one.ceiling == 0
    call.wait(RETRY_S + TRIAL_S + 1)
    assert [(round(at_s - began_s), quality) for at_s, quality in call.told] == [(0, 0), (RETRY_S, 2)]
    assert call.uplinks._uplinks == {}


def test_sound_has_its_part_of_the_line_first() -> None:
    call = Call()
    one = video(call)
    primary = SimpleNamespace(track=TrackHandle(9), target_layers=tuple)
    info = SimpleNamespace(kind=Kind.AUDIO, muted=False)
    sound: Any = SimpleNamespace(info=info, primary=primary, is_limited=False, track_id="TR_2")
    call.publications.append(sound)
    call.narrow(700_000 + SOUND_BPS + SOUND_OVERHEAD_BPS)
    assert one.ceiling == 1
    one.set_ceiling(call.engine, 2)
    call.narrow(600_000 + SOUND_BPS + SOUND_OVERHEAD_BPS)
    assert one.ceiling == 0


def test_more_is_tried_one_by_one_and_all_is_forgotten_when_it_holds() -> None:
    call = Call()
    one = video(call)
    call.narrow(200_000)
    began_s = call.now_s
    call.wait(60)
    assert [(round(at_s - began_s), quality) for at_s, quality in call.told] == [(0, 0), (8, 1), (18, 2)]
    assert call.targets[1] == HIGHEST_LAYER
    assert not one.is_limited
    call.wait(TRIAL_S)
    assert call.uplinks._uplinks == {}
    assert call.counters == {"uplink_cuts": 1, "uplink_raises": 2}


def test_a_try_that_is_too_much_ends_at_once_and_the_next_comes_later() -> None:
    call = Call()
    one = video(call)
    call.narrow(200_000)
    tries_s = []
    for _ in range(5):
        before_s = call.now_s
        while call.told[-1][1] != 1:
            call.wait(1)
        tries_s.append(round(call.now_s - before_s))
        call.narrow(200_000, times=1)
        assert one.ceiling == 0
    assert tries_s == [8, 16, 30, 30, 30]


def test_while_it_goes_on_nothing_more_is_tried() -> None:
    call = Call()
    one = video(call)
    for _ in range(30):
        call.narrow(100_000)
        call.wait(2)
    assert one.ceiling == 0
    assert len(call.told) == 1


def test_one_stream_is_left_as_it_is() -> None:
    """Also where it has layers inside: its upper ones cost the sender nothing to leave out by itself."""
    call = Call()
    for one in (video(call, layers=1), video(call, streams=1)):
        call.narrow(50_000)
        assert not one.is_limited
    assert call.told == []


def test_what_is_sent_counts_and_not_what_was_announced() -> None:
    """A picture in which nothing moves: that little arrives of it is no narrow line."""
    call = Call()
    one = video(call)
    call.scale = 0.05
    call.narrow(round(0.06 * ALL_BPS))
    assert not one.is_limited
    call.narrow(round(0.02 * ALL_BPS), times=1)
    assert one.ceiling == 1
    call = Call()
    one = video(call, announced=False)
    call.narrow(200_000)
    assert one.ceiling == 0


def test_what_is_not_asked_for_is_not_missed() -> None:
    """Only the lowest layer is wanted, and has room."""
    call = Call()
    one = video(call)
    one.set_ceiling(call.engine, 0)
    one.ceiling, before = HIGHEST_LAYER, len(call.told)
    call.layers_of = lambda publication: [  # type: ignore[method-assign]
        layer_stats(150_000, active=True), *[layer_stats(0, active=False)] * 2
    ]  # fmt: skip
    call.narrow(180_000)
    assert not one.is_limited
    assert len(call.told) == before


def test_nobody_is_asked_for_more_than_is_wanted() -> None:
    call = Call()
    one = video(call)
    subscription: Any = next(iter(one.subscriptions.values()))
    subscription.settings = TrackSettings(quality=0)
    one.set_ceiling(call.engine, 1)
    assert call.told[-1][1] == 0
    subscription.settings = TrackSettings()
    one.note_demand(subscription)
    assert call.told[-1][1] == 1
    one.set_ceiling(call.engine, 2)
    assert call.told[-1][1] == 2


def test_a_video_of_which_nothing_has_come_yet_is_left_as_it_is() -> None:
    """Figures are of a second ago: a picture that is published just now is in none of them."""
    call = Call()
    camera, screen = video(call), video(call)
    layers = {camera.primary.track: call.layers_of(camera)}
    bitrates = SteadyBitrates()
    bitrates.update(call.now_s, {track: [one.bitrate_bps for one in said] for track, said in layers.items()})
    call.uplinks.handle_narrow(LINE, round(0.3 * ALL_BPS), layers, bitrates)
    assert (camera.ceiling, screen.ceiling) == (1, HIGHEST_LAYER)


def test_who_sends_what_nobody_asks_for_is_not_asked_again() -> None:
    """A WHIP client, say, hears of no wishes: to give its viewers less would help nobody."""
    call = Call()
    one = video(call)
    call.layers_of = lambda publication: [layer_stats(bps, active=True) for _, _, bps in LAYERS]  # type: ignore[method-assign]
    call.narrow(round(0.3 * ALL_BPS))
    assert one.ceiling == 1
    call.wait(RETRY_S + 1)
    assert call.targets[1] == HIGHEST_LAYER
    for _ in range(3):
        call.narrow(round(0.3 * ALL_BPS))
        assert (one.ceiling, call.targets[1]) == (HIGHEST_LAYER, HIGHEST_LAYER)
        call.wait(60)


def test_what_a_client_still_sends_that_cannot_stop_a_layer_is_little() -> None:
    """In Firefox a layer that is not asked for goes on with two small pictures a second."""
    call = Call()
    one = video(call)
    call.layers_of = lambda publication: [  # type: ignore[method-assign]
        layer_stats(bps if index <= publication.ceiling else 20_000, active=True)
        for index, (_, _, bps) in enumerate(LAYERS)
    ]
    call.narrow(round(0.2 * ALL_BPS))
    assert one.ceiling == 0
    call.wait(RETRY_S + 1)
    call.narrow(round(0.2 * ALL_BPS))
    assert one.ceiling == 0
