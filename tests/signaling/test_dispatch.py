"""The table of messages, and that no message can do more than be answered."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from sfu.api import JoinRequest, LeaveReason
from sfu.ids import Identity, RoomName
from signaling.livekit.dispatch import ROUTES, dispatch
from signaling.livekit.frames import parse_request
from tests.signaling.fake_sfu import FakeSession, FakeSfu
from tests.signaling.harness import relaxed


class Recorder:
    """A connection without a socket."""

    def __init__(self, session: FakeSession) -> None:
        self.session = session
        self.max_metadata_bytes = 8_192
        self.sealed = False
        self.sent: list[rtc.SignalResponse] = []
        self.violations: list[str] = []
        self.refusals: list[str] = []
        self.left: list[tuple[LeaveReason, bool]] = []
        self.broken: list[bool] = []
        self.preferred: list[int] = []

    def send(self, response: rtc.SignalResponse) -> None:
        self.sent.append(response)

    def count_violation(self, reason: str) -> None:
        self.violations.append(reason)

    def count_refusal(self, reason: str) -> None:
        self.refusals.append(reason)

    def add_track_later(self, message: rtc.AddTrackRequest) -> bool:
        return False

    def leave(self, reason: LeaveReason, *, tell: bool) -> None:
        self.left.append((reason, tell))

    def break_next_resume(self, *, silent: bool) -> None:
        self.broken.append(silent)

    def prefer_protocol(self, protocol: rtc.CandidateProtocol) -> None:
        self.preferred.append(protocol)


async def recorder() -> Recorder:
    return Recorder(await FakeSfu().join(JoinRequest(RoomName("r"), Identity("a")), lambda event: None))


def test_the_table_knows_every_message_of_the_protocol() -> None:
    assert set(ROUTES) == {field.name for field in rtc.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields}


@pytest.mark.parametrize(
    "message",
    [
        {"offer": rtc.SessionDescription(type="answer", sdp="v=0")},
        {"offer": rtc.SessionDescription(type="offer", sdp="nonsense")},
        {"answer": rtc.SessionDescription(type="offer", sdp="v=0")},
        {"answer": rtc.SessionDescription(type="answer", sdp="")},
        {"trickle": rtc.TrickleRequest()},
        {"trickle": rtc.TrickleRequest(candidateInit="{")},
        {"trickle": rtc.TrickleRequest(candidateInit="[]")},
        {"trickle": rtc.TrickleRequest(candidateInit='{"candidate":7}')},
        {"trickle": rtc.TrickleRequest(candidateInit='{"candidate":"%s"}' % ("x" * 5000))},
        {"trickle": rtc.TrickleRequest(candidateInit="[" * 4000)},
        {"add_track": rtc.AddTrackRequest(cid="c", type=models.TrackType.DATA)},
        {"add_track": rtc.AddTrackRequest(type=models.TrackType.AUDIO)},
        {"add_track": rtc.AddTrackRequest(cid="c" * 300)},
        {"add_track": rtc.AddTrackRequest(cid="c", name="n" * 300)},
        {"add_track": rtc.AddTrackRequest(cid="c", type=1, layers=[models.VideoLayer()] * 9)},
        {"add_track": rtc.AddTrackRequest(cid="c", type=1, layers=[models.VideoLayer(quality=3)])},
        {"add_track": rtc.AddTrackRequest(cid="c", audio_features=[1] * 33)},
        {"add_track": rtc.AddTrackRequest(cid="c", type=1, sid="s" * 300)},
        {"add_track": rtc.AddTrackRequest(cid="c", type=1, simulcast_codecs=[{"codec": "vp9"}, {"codec": "x" * 300}])},
        {"update_layers": rtc.UpdateVideoLayers(track_sid="TR_x")},
        {"update_layers": rtc.UpdateVideoLayers(track_sid="TR_x", layers=[models.VideoLayer()] * 9)},
        {"update_layers": rtc.UpdateVideoLayers(track_sid="TR_x", layers=[models.VideoLayer(quality=3)])},
        {"add_track": rtc.AddTrackRequest(cid="c", packet_trailer_features=[1] * 33)},
    ],
)
async def test_what_breaks_the_protocol_is_counted_and_answered(message: dict[str, Any]) -> None:
    context = await recorder()
    await dispatch(context, rtc.SignalRequest(**message))
    assert len(context.violations) == 1
    (response,) = context.sent
    assert response.request_response.reason == rtc.RequestResponse.INVALID_REQUEST
    assert response.request_response.message
    assert response.ByteSize() < 5000


async def test_an_empty_message_is_ignored_and_an_unknown_one_refused() -> None:
    context = await recorder()
    await dispatch(context, rtc.SignalRequest())
    assert context.sent == []
    future = rtc.SignalRequest.FromString(b"\xfa\x3f\x02\x08\x01")  # field 1023, not of this protocol
    await dispatch(context, future)
    assert [one.request_response.reason for one in context.sent] == [rtc.RequestResponse.UNSUPPORTED_TYPE]
    assert context.refusals == ["unknown_message"] * 2


async def test_a_second_codec_names_its_track() -> None:
    context = await recorder()
    message = rtc.AddTrackRequest(cid="c", sid="TR_x", type=1, simulcast_codecs=[{"codec": "vp8", "cid": "c"}])
    await dispatch(context, rtc.SignalRequest(add_track=message))
    (request,) = [call[1] for call in context.session.calls if call[0] == "add_track"]
    assert (request.track_id, request.mime_type) == ("TR_x", "video/VP8")


async def test_the_backup_codec_is_announced_with_the_track() -> None:
    context = await recorder()
    codecs = [{"codec": "vp9", "cid": "c"}, {"codec": "vp8"}]
    await dispatch(context, rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="c", type=1, simulcast_codecs=codecs)))
    (request,) = [call[1] for call in context.session.calls if call[0] == "add_track"]
    assert (request.mime_type, request.backup_mime_type) == ("video/VP9", "video/VP8")


async def test_new_sizes_of_layers_reach_the_session() -> None:
    context = await recorder()
    layers = [models.VideoLayer(quality=quality, width=100 << quality, height=50 << quality) for quality in range(3)]
    await dispatch(context, rtc.SignalRequest(update_layers=rtc.UpdateVideoLayers(track_sid="TR_x", layers=layers)))
    (call,) = [call for call in context.session.calls if call[0] == "update_video_layers"]
    assert (call[1], [layer.width for layer in call[2]]) == ("TR_x", [100, 200, 400])
    assert context.sent == []


async def test_after_the_end_requests_are_refused() -> None:
    context = await recorder()
    context.session.leave()
    await dispatch(context, rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_x")))
    assert context.sent[0].request_response.reason == rtc.RequestResponse.UNCLASSIFIED_ERROR


async def test_leave_is_not_echoed() -> None:
    context = await recorder()
    await dispatch(context, rtc.SignalRequest(leave=rtc.LeaveRequest()))
    assert (context.left, context.sent) == ([(LeaveReason.CLIENT_INITIATED, False)], [])


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05ab", "", "{", "[]", "null", '"x"', "7", '{"ping":"x"}',
        '{"ping":NaN}',
        '{"ping":1,"ping":2}', '{"ping":1e999}', '{"offer":7}', '{"offer":{"sdp":"\\ud800"}}', "[" * 120_000,
        '{"offer":' * 5000, '{"ping":' + "9" * 5000 + "}", '{"ping":1,"leave":{}}',
    ],
)  # fmt: skip
def test_malformed_frames_are_none(payload: bytes | str) -> None:
    assert parse_request(payload) is None


def test_unknown_json_fields_are_ignored() -> None:
    request = parse_request('{"ping": "5", "__proto__": {}, "futureField": [1]}')
    assert request is not None
    assert request.ping == 5


@relaxed
@given(st.binary(max_size=400) | st.text(max_size=400))
async def test_no_frame_raises(payload: bytes | str) -> None:
    request = parse_request(payload)
    if request is not None:
        await dispatch(await recorder(), request)


MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "sid": st.text(max_size=8), "type": st.integers(0, 5) | st.sampled_from(["AUDIO", "VIDEO", "offer", "answer"]),
        "cid": st.text(max_size=8), "sdp": st.text(max_size=8), "muted": st.booleans(),
        "width": st.integers(0, 2**32 - 1),
        "trackSids": st.lists(st.text(max_size=8), max_size=3), "candidateInit": st.text(max_size=20),
        "quality": st.integers(-(2**31), 2**31 - 1), "layers": st.lists(st.just({"quality": 1}), max_size=10),
    },
)  # fmt: skip


@relaxed
@given(st.sampled_from([name for name in ROUTES if name != "ping"]), MESSAGES)
async def test_no_message_raises(name: str, fields: dict[str, Any]) -> None:
    camel = "".join(part.title() if index else part for index, part in enumerate(name.split("_")))
    request = rtc.SignalRequest()
    getattr(request, name).SetInParent()
    try:
        json_format.ParseDict({camel: fields}, request, ignore_unknown_fields=True)
    except json_format.ParseError:
        request = rtc.SignalRequest()
        getattr(request, name).SetInParent()
    context = await recorder()
    await dispatch(context, request)
    for response in context.sent:
        response.SerializeToString()
