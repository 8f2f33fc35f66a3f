"""A publisher's offer to our answer: codecs, layers, extensions, feedback, and the text."""

from __future__ import annotations

import pytest

from sfu.engine.api import Codec, Extension, InboundLayer, Kind
from sfu.errors import SdpError
from sfu.sdp.layers import MAX_LAYERS
from sfu.sdp.model import Direction, PublishHint, ReceivedMedia, Setup
from tests.sfu.sdp_rig import BASE, LOCAL, OFFERS, answer, changed, parse, publish, sections_of, vector


def only_video(text: str, hint: PublishHint | None = None) -> ReceivedMedia:
    cid = parse(text).sections[-1].msid_track
    return next(m for m in publish(text, {cid: hint} if hint else {}).received if m.kind is Kind.VIDEO)


def rids(media: ReceivedMedia) -> list[str | None]:
    return [layer.rid for layer in media.track.layers]


# --- what is received -------------------------------------------------------------------------------------


def test_chromium_simulcast() -> None:
    negotiation = publish(vector("chromium_simulcast"))
    audio, video = negotiation.received
    assert negotiation.data_section
    assert negotiation.remote_max_message_size == 262_144
    assert (audio.mid, audio.cid, audio.mime_type) == ("1", "3d3f18db-d4f7-4883-b580-de819e8b4fbd", "audio/red")
    assert [(p.payload_type, p.codec) for p in audio.track.payloads] == [(63, Codec.RED), (111, Codec.OPUS)]
    assert audio.track.layers == (InboundLayer(ssrc=2343042713),)
    assert audio.variants == {63: "red", 111: "opus"}
    assert not audio.track.nack
    assert (video.mid, video.mime_type) == ("2", "video/VP8")
    assert rids(video) == ["q", "h", "f"]
    assert video.track.nack
    assert video.track.pli
    assert video.variants == {
        96: "vp8", 102: "h264/42001f/1", 108: "h264/42e01f/1", 116: "h264/4d001f/1",
        45: "av1/0", 98: "vp9/0", 100: "vp9/2",
    }  # fmt: skip
    assert {p.payload_type: p.rtx_payload_type for p in video.track.payloads} == {
        96: 97, 102: 103, 108: 109, 116: 117, 45: 46, 98: 99, 100: 101,
    }  # fmt: skip
    assert video.track.extensions[Extension.TRANSPORT_CC] == 3
    assert video.track.extensions[Extension.DEPENDENCY_DESCRIPTOR] == 12
    assert Extension.AUDIO_LEVEL in audio.track.extensions


def test_sections_that_send_nothing_are_inactive_not_rejected() -> None:
    negotiation = publish(vector("libwebrtc_sdk"))
    assert negotiation.received == ()
    assert all(section.accepted for section in negotiation.answer)
    assert {section.direction for section in negotiation.answer[:6]} == {Direction.INACTIVE}
    assert negotiation.data_section


def test_obs_layers_from_low_to_high_but_rids_in_the_order_offered() -> None:
    """OBS gives rid 0 to the full-size encoder, and aborts unless the answer has as many streams as its offer."""
    negotiation = publish(vector("obs_simulcast"))
    audio, video = negotiation.received
    assert rids(video) == ["2", "1", "0"]
    assert "a=simulcast:recv 0;1;2" in sections_of(answer(negotiation))[1]
    assert audio.stereo
    assert (video.mime_type, video.variants) == ("video/H264", {96: "h264/42e01f/1"})


def test_firefox_rids_in_reverse() -> None:
    video = only_video(vector("firefox_simulcast"))
    assert rids(video) == ["q", "h", "f"]
    assert Extension.PLAYOUT_DELAY not in video.track.extensions
    negotiation = publish(vector("firefox_simulcast"))
    assert "a=simulcast:recv f;h;q" in sections_of(answer(negotiation))[2]
    assert all(lines[0].split(" ")[1] == "9" for lines in sections_of(answer(negotiation)))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [("q;h;f", "qhf"), ("f;q", "qf"), ("h;m;l", "lmh"), ("0;1", "10"), ("10;9", ["9", "10"][::-1]), ("b;a", "ba")],
)
def test_layer_order_by_rid(declared: str, expected: str | list[str]) -> None:
    lines = "".join(f"a=rid:{rid} send\r\n" for rid in declared.split(";")) + f"a=simulcast:send {declared}\r\n"
    text = BASE + "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n" + lines
    assert rids(only_video(text)) == list(expected)


def test_rids_without_their_extension_are_one_open_stream() -> None:
    text = changed("a=ssrc-group:FID 200 201\r\na=ssrc:200 cname:c\r\na=ssrc:201 cname:c\r\n", "")
    text += "a=rid:q send\r\na=rid:h send\r\na=simulcast:send q;h\r\n"
    negotiation = publish(text)
    assert negotiation.received[1].track.layers == (InboundLayer(),)
    assert "a=simulcast" not in answer(negotiation)


def test_layers_by_ssrc_groups() -> None:
    video = only_video(vector("ssrc_simulcast"))
    assert video.track.layers == (InboundLayer(11, 12), InboundLayer(21, 22), InboundLayer(31, 32))


def test_one_stream_with_its_retransmissions() -> None:
    audio, video = publish(BASE).received
    assert audio.track.layers == (InboundLayer(ssrc=100),)
    assert video.track.layers == (InboundLayer(ssrc=200, rtx_ssrc=201),)


def test_ffmpeg() -> None:
    negotiation = publish(vector("ffmpeg"))
    audio, video = negotiation.received
    assert video.track.layers == (InboundLayer(1532592267, 1532592268),)
    assert video.variants == {106: "h264/42001f/1"}
    assert video.track.extensions == {}
    assert video.track.nack
    assert not video.track.pli
    assert audio.variants == {111: "opus"}
    text = answer(negotiation, Setup.ACTIVE)
    assert "a=setup:active" in text
    # Its answer parser takes the first UDP host candidate.
    candidates = [line for line in text.splitlines() if line.startswith("a=candidate")]
    assert candidates[0] == "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host"
    assert candidates[2] == "a=candidate:2 1 tcp 1671430143 127.0.0.1 7881 typ host tcptype passive"


# --- codecs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mime_type", ["video/VP8", "video/vp9", "video/AV1", "VIDEO/h264"])
def test_the_announced_codec_comes_first(mime_type: str) -> None:
    video = only_video(vector("chromium_simulcast"), PublishHint(mime_type=mime_type))
    assert video.mime_type.lower() == mime_type.lower()
    assert len(video.variants) == 7


def test_red_comes_first_unless_disabled() -> None:
    text = vector("chromium_audio")
    cid = parse(text).sections[1].msid_track
    assert publish(text).received[0].mime_type == "audio/red"
    without = publish(text, {cid: PublishHint(disable_red=True)})
    assert without.received[0].variants == {111: "opus"}
    assert "red/48000" not in answer(without)
    assert publish(text, audio_codecs=("opus",)).received[0].variants == {111: "opus"}


@pytest.mark.parametrize("parameters", ["96/96", "111/96", "111/x", ""])
def test_red_of_something_else_is_not_taken(parameters: str) -> None:
    text = vector("chromium_audio").replace("a=fmtp:63 111/111", f"a=fmtp:63 {parameters}")
    assert publish(text).received[0].variants == {111: "opus"}


def test_codecs_that_are_switched_off() -> None:
    text = vector("chromium_simulcast")
    assert set(only_video(text).variants.values()) >= {"vp8", "av1/0"}
    video = publish(text, video_codecs=("vp8",)).received[1]
    assert video.variants == {96: "vp8"}
    negotiation = publish(text, video_codecs=())
    assert [section.accepted for section in negotiation.answer] == [True, True, False]


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ("profile-level-id=42e034;packetization-mode=1", "h264/42e01f/1"),
        ("profile-level-id=42c01e;packetization-mode=1", "h264/42e01f/1"),
        ("profile-level-id=4d0032", "h264/4d001f/0"),
        ("profile-level-id=640C34;packetization-mode=1", "h264/640c1f/1"),
        ("profile-level-id=640034;packetization-mode=1", "h264/64001f/1"),
        ("", "h264/42001f/0"),
        ("profile-level-id=f4001f;packetization-mode=1", None),
        ("profile-level-id=42e01f;packetization-mode=2", None),
        ("profile-level-id=zzzzzz", None),
        ("profile-level-id=42e0", None),
    ],
)
def test_h264_is_matched_by_profile_and_mode(parameters: str, key: str | None) -> None:
    text = changed("a=rtpmap:96 VP8/90000", f"a=rtpmap:96 H264/90000\r\na=fmtp:96 {parameters}")
    negotiation = publish(text)
    assert [m.variants for m in negotiation.received if m.kind is Kind.VIDEO] == ([{96: key}] if key else [])


@pytest.mark.parametrize(
    ("rtpmap", "key"),
    [
        ("VP9/90000", "vp9/0"),
        ("vp9/90000\r\na=fmtp:96 profile-id=2", "vp9/2"),
        ("VP9/90000\r\na=fmtp:96 profile-id=1", None),
        ("AV1/90000", "av1/0"),
        ("AV1/90000\r\na=fmtp:96 profile=1", None),
        ("VP8/48000", None),
        ("opus/48000/2", None),
    ],
)
def test_other_video_codecs(rtpmap: str, key: str | None) -> None:
    negotiation = publish(changed("VP8/90000", rtpmap))
    assert [m.variants for m in negotiation.received if m.kind is Kind.VIDEO] == ([{96: key}] if key else [])


def test_payload_types_that_look_like_rtcp_are_not_taken() -> None:
    text = changed("SAVPF 96 97", "SAVPF 72 97").replace(":96 ", ":72 ").replace("apt=96", "apt=72")
    assert [media.kind for media in publish(text).received] == [Kind.AUDIO]


def test_opus_parameters_of_the_answer() -> None:
    def fmtp(hint: PublishHint) -> list[str]:
        lines = sections_of(answer(publish(BASE, {"microphone": hint})))[0]
        return next(line for line in lines if line.startswith("a=fmtp:111 ")).removeprefix("a=fmtp:111 ").split(";")

    assert fmtp(PublishHint()) == ["minptime=10", "useinbandfec=1", "usedtx=1"]
    assert fmtp(PublishHint(disable_dtx=True)) == ["minptime=10", "useinbandfec=1"]
    assert fmtp(PublishHint(stereo=True))[3:] == ["stereo=1", "maxaveragebitrate=510000"]


def test_feedback_is_the_common_part() -> None:
    lines = sections_of(answer(publish(vector("chromium_simulcast"))))[2]
    assert [line for line in lines if line.startswith("a=rtcp-fb:96 ")] == [
        "a=rtcp-fb:96 goog-remb",
        "a=rtcp-fb:96 transport-cc",
        "a=rtcp-fb:96 ccm fir",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
    ]
    lines = sections_of(answer(publish(vector("obs"))))[1]
    assert "a=rtcp-fb:96 goog-remb" in lines
    assert "a=rtcp-fb:96 transport-cc" not in lines
    # Feedback without the extension that carries the numbers is none.
    lines = sections_of(answer(publish(changed("a=rtcp-fb:96 nack", "a=rtcp-fb:96 transport-cc"))))[1]
    assert not [line for line in lines if line.startswith("a=rtcp-fb")]


def test_audio_nack_is_kept_when_offered() -> None:
    text = changed("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack")
    negotiation = publish(text)
    assert negotiation.received[0].track.nack
    assert "a=rtcp-fb:111 nack" in answer(negotiation)


# --- sections -----------------------------------------------------------------------------------------------


def test_unknown_media_is_rejected_alone() -> None:
    text = BASE.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + "m=text 9 RTP/AVP 98\r\na=mid:2\r\n"
    negotiation = publish(text)
    assert [section.accepted for section in negotiation.answer] == [True, True, False]
    rendered = answer(negotiation)
    assert "a=group:BUNDLE 0 1\r\n" in rendered
    assert sections_of(rendered)[2] == ["m=text 0 RTP/AVP 98", "c=IN IP4 0.0.0.0", "a=inactive", "a=mid:2"]


def test_sections_outside_the_bundle_are_rejected() -> None:
    negotiation = publish(changed("BUNDLE 0 1", "BUNDLE 0"))
    assert [section.accepted for section in negotiation.answer] == [True, False]


def test_without_a_bundle_group_the_first_section_is_taken_and_none_answered() -> None:
    negotiation = publish(changed("a=group:BUNDLE 0 1\r\n", ""))
    assert [section.accepted for section in negotiation.answer] == [True, False]
    assert "a=group" not in answer(negotiation)


def test_rtcp_mux_is_required() -> None:
    negotiation = publish(changed("a=rtcp-mux\r\n", "", count=1))
    assert [section.accepted for section in negotiation.answer] == [False, True]
    with pytest.raises(SdpError) as error:
        publish(changed("a=rtcp-mux\r\n", ""))
    assert error.value.code == "rtcp_mux_required"


def test_one_extension_id_for_two_uris_in_a_bundle() -> None:
    text = changed("a=mid:0\r\n", "a=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n")
    with pytest.raises(SdpError) as error:
        publish(text)
    assert error.value.code == "inconsistent_extensions"


def test_extension_ids_of_the_two_byte_form() -> None:
    video = only_video(changed("a=extmap:1 ", "a=extmap:255 "))
    assert video.track.extensions == {Extension.MID: 255}


@pytest.mark.parametrize("name", OFFERS)
def test_the_answer_mirrors_the_offer(name: str) -> None:
    offer, negotiation = parse(vector(name)), publish(vector(name))
    text = answer(negotiation)
    parsed = parse(text, "answer")
    assert parsed.ice_lite
    assert parsed.transport.ice == LOCAL.ice
    assert parsed.transport.fingerprints == tuple(LOCAL.fingerprints)
    assert parsed.bundle == offer.bundle
    assert parsed.extmap_allow_mixed == offer.extmap_allow_mixed
    for asked, given in zip(offer.sections, parsed.sections, strict=True):
        assert (given.mid, given.kind, given.protocol) == (asked.mid, asked.kind, asked.protocol)
        assert set(given.extensions.items()) <= set(asked.extensions.items())
        offered = {codec.payload_type: codec.name for codec in asked.codecs}
        assert all(offered[codec.payload_type] == codec.name for codec in given.codecs)
        assert given.rtcp_rsize == asked.rtcp_rsize
        for codec in given.codecs:
            original = next(c for c in asked.codecs if c.payload_type == codec.payload_type)
            assert set(codec.feedback) <= set(original.feedback)
    for lines, is_first in zip(sections_of(text), [True] + [False] * len(parsed.sections), strict=False):
        assert ("a=end-of-candidates" in lines) == is_first


def test_the_answer_ends_every_line_and_holds_nothing_of_the_offer_but_checked_values() -> None:
    marked = changed("cname:c", "cname:MARK").replace("s=-", "s=MARK").replace("o=- ", "o=MARK ")
    marked = marked.replace("a=msid:stream camera", "a=msid:MARK MARK").replace("a=mid:1", "a=mid:1\r\na=x:MARK")
    marked = marked.replace("a=fmtp:97 apt=96", "a=fmtp:97 apt=96;MARK=MARK\r\na=fmtp:96 MARK\r\na=rtcp-fb:96 MARK")
    text = answer(publish(marked))
    assert "MARK" not in text
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")


def test_at_most_four_layers() -> None:
    names = [f"r{i}" for i in range(20)]
    lines = "".join(f"a=rid:{name} send\r\n" for name in names) + "a=simulcast:send " + ";".join(names) + "\r\n"
    negotiation = publish(BASE + "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n" + lines)
    assert len(negotiation.received[1].track.layers) == MAX_LAYERS
    assert "a=simulcast:recv r0;r1;r2;r3\r\n" in answer(negotiation)
