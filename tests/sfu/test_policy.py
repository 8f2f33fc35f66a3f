"""Pure policy of the control plane: layers, speakers, token buckets."""

from __future__ import annotations

import pytest

from sfu.api import (
    AddTrackRequest,
    ParticipantInfo,
    ParticipantState,
    Permissions,
    TrackSettings,
    TrackSource,
    VideoLayerInfo,
)
from sfu.control.publish.pending import ABANDONED_S, PendingTracks
from sfu.control.speakers import HOLD_INTERVALS, SpeakerDetector
from sfu.control.subscribe.target_layer import target_layer
from sfu.control.talk_times import TalkTimes
from sfu.engine.api import HIGHEST_LAYER
from sfu.ids import Identity, ParticipantId
from sfu.kind import Kind
from sfu.limits import TokenBucket

LAYERS = (VideoLayerInfo(0, 320, 180), VideoLayerInfo(1, 640, 360), VideoLayerInfo(2, 1280, 720))
ADA, BOB = ParticipantId("PA_ada"), ParticipantId("PA_bob")


@pytest.mark.parametrize(
    ("settings", "spatial"),
    [
        (TrackSettings(), HIGHEST_LAYER),
        (TrackSettings(quality=0), 0),
        (TrackSettings(quality=1), 1),
        (TrackSettings(quality=2), 2),
        (TrackSettings(width=100, height=50), 0),
        (TrackSettings(width=320, height=180), 0),
        (TrackSettings(width=321, height=180), 1),
        (TrackSettings(width=640, height=360), 1),
        (TrackSettings(width=4000, height=3000), 2),
        # A size says more than a quality.
        (TrackSettings(quality=2, width=320, height=180), 0),
    ],
)
def test_spatial_target(settings: TrackSettings, spatial: int) -> None:
    assert target_layer(LAYERS, settings)[0] == spatial


def test_without_layers_the_best_is_wanted() -> None:
    assert target_layer((), TrackSettings(quality=0)) == (HIGHEST_LAYER, HIGHEST_LAYER)


def test_quality_below_every_layer_takes_the_lowest() -> None:
    assert target_layer(LAYERS[1:], TrackSettings(quality=0))[0] == 0


@pytest.mark.parametrize(("fps", "temporal"), [(0, HIGHEST_LAYER), (5, 0), (8, 0), (15, 1), (24, HIGHEST_LAYER)])
def test_temporal_target(fps: int, temporal: int) -> None:
    assert target_layer(LAYERS, TrackSettings(fps=fps))[1] == temporal


def test_speech_makes_a_speaker_and_silence_ends_it_after_the_hold() -> None:
    detector = SpeakerDetector(300)
    first = detector.update({ADA: (20, 280)})
    assert [(speaker.participant_id, speaker.active) for speaker in first] == [(ADA, True)]
    assert 0 < first[0].level <= 1
    for _ in range(HOLD_INTERVALS):
        assert all(speaker.active for speaker in detector.update({ADA: (127, 0)}))
    assert [(s.active, s.level) for s in detector.update({ADA: (127, 0)})] == [(False, 0.0)]
    assert detector.update({ADA: (127, 0)}) == []
    assert detector.active() == []


def test_noise_that_is_short_or_quiet_is_no_speech() -> None:
    detector = SpeakerDetector(300)
    assert detector.update({ADA: (20, 20), BOB: (70, 300)}) == []


def test_a_constant_level_is_reported_until_it_has_settled_and_then_no_more() -> None:
    detector = SpeakerDetector(300)
    reports = [detector.update({ADA: (15, 300)}) for _ in range(20)]
    assert reports[0]
    assert not any(reports[-5:])


def test_a_participant_whose_packets_stop_is_told_and_forgotten() -> None:
    detector = SpeakerDetector(300)
    detector.update({ADA: (10, 300), BOB: (10, 300)})
    endings = [detector.update({BOB: (10, 300)}) for _ in range(HOLD_INTERVALS + 2)]
    ended = [speaker for changed in endings for speaker in changed if not speaker.active]
    assert [speaker.participant_id for speaker in ended] == [ADA]
    assert [speaker.participant_id for speaker in detector.active()] == [BOB]


def test_louder_speakers_come_first() -> None:
    detector = SpeakerDetector(300)
    assert [s.participant_id for s in detector.update({ADA: (30, 300), BOB: (5, 300)})] == [BOB, ADA]


def test_bucket_allows_the_burst_then_the_rate() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=3)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.05)
    assert bucket.take(0.15)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_the_wait_of_a_bucket_is_until_it_gives() -> None:
    bucket = TokenBucket(4.0, 2.0)
    assert bucket.delay_s(0.0) == 0
    assert bucket.take(0.0, 2.0)
    assert bucket.delay_s(0.0) == pytest.approx(0.25)
    assert bucket.delay_s(0.125) == pytest.approx(0.125)
    assert not bucket.take(0.125)
    assert bucket.delay_s(0.25) == 0
    assert bucket.take(0.25)


def test_tracks_that_no_offer_brings_are_given_up_after_a_while() -> None:
    pending = PendingTracks()
    for cid in ("early", "late"):
        pending.announce(AddTrackRequest(cid=cid, kind=Kind.AUDIO, source=TrackSource.MICROPHONE), None)
    pending.forget_abandoned(1000.0)
    assert len(pending) == 2, "no offer has come yet"
    pending.note_offer(1000.0)
    pending.announce(AddTrackRequest(cid="new", kind=Kind.AUDIO, source=TrackSource.MICROPHONE), None)
    pending.note_offer(1000.0 + ABANDONED_S)
    pending.forget_abandoned(1000.0 + ABANDONED_S)
    assert [one.cid for one in pending] == ["new"]


def talker(name: str) -> ParticipantInfo:
    return ParticipantInfo(
        ParticipantId(f"PA_{name}"), Identity(name), name, ParticipantState.ACTIVE, 0, 1, Permissions()
    )


def test_of_too_many_talkers_the_one_who_talked_least_is_forgotten() -> None:
    times = TalkTimes(2)
    for name, seconds in (("ada", 3.0), ("bob", 1.0), ("ada", 3.0), ("cem", 2.0)):
        times.count(talker(name), seconds)
    assert [(one.identity, one.seconds) for one in times.all()] == [("ada", 6.0), ("cem", 2.0)]


def test_who_goes_to_another_room_takes_what_they_talked_along() -> None:
    here, there = TalkTimes(9), TalkTimes(9)
    here.count(talker("ada"), 3.0)
    there.count(talker("ada"), 1.0)
    there.take_over(here, Identity("ada"))
    there.take_over(here, Identity("nobody"))
    assert here.all() == []
    assert [one.seconds for one in there.all()] == [4.0]
