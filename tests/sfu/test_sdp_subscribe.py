"""Our offer to a subscriber, and what its answer means."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from sfu.engine.api import Codec, Extension, InboundLayer, InboundPayload, Kind, OutboundPayload, TrackConfig
from sfu.errors import SdpError
from sfu.sdp.capabilities import EXTENSIONS, VARIANTS
from sfu.sdp.model import AcceptedSection, Direction, ReceivedMedia, Redundancy, Setup
from sfu.sdp.negotiate import negotiate_subscribe, outbound_payloads, subscribe_variants
from tests.sfu.sdp_rig import (
    audio_section,
    closed,
    offer,
    parse,
    publish,
    sections_of,
    vector,
    video_section,
)


def received(*variants: tuple[int, str]) -> ReceivedMedia:
    found = [VARIANTS[key] for _, key in variants]
    payloads = [InboundPayload(pt, VARIANTS[key].codec, VARIANTS[key].clock_rate) for pt, key in variants]
    track = TrackConfig(kind=found[0].kind, payloads=payloads, layers=(InboundLayer(),))
    return ReceivedMedia("0", found[0].kind, "cid", track, dict(variants), found[0].mime_type)


def accepted(*keys: str, rtx: bool = True) -> AcceptedSection:
    found = [VARIANTS[key] for key in keys]
    payloads = {v.key: OutboundPayload(v.payload_type, v.rtx_payload_type if rtx else None) for v in found}
    return AcceptedSection("1", True, payloads, red_block_type=VARIANTS["opus"].payload_type)


def answer_to(text: str, *, setup: str = "active") -> str:
    """What a browser would answer that takes everything."""
    return text.replace("a=setup:actpass", f"a=setup:{setup}").replace("a=sendonly", "a=recvonly")


# --- capabilities ---------------------------------------------------------------------------------------------


def test_our_payload_types_are_unique_and_never_look_like_rtcp() -> None:
    types = [t for v in VARIANTS.values() for t in (v.payload_type, v.rtx_payload_type) if t is not None]
    assert len(set(types)) == len(types)
    assert all(35 <= t <= 127 and not 64 <= t <= 95 for t in types)
    assert all(v.rtx_payload_type is not None for v in VARIANTS.values() if v.kind is Kind.VIDEO)
    assert {v.codec for v in VARIANTS.values()} == set(Codec) - {Codec.OTHER}


def test_our_extension_ids_mean_one_thing_and_fit_one_byte_headers() -> None:
    pairs = {(id, uri) for ids in EXTENSIONS.values() for uri, id in ids.items()}
    assert len({id for id, _ in pairs}) == len(pairs)
    assert all(1 <= id <= 14 for id, _ in pairs)


def test_red_names_our_opus_type() -> None:
    opus = VARIANTS["opus"].payload_type
    assert dict(VARIANTS["red"].parameters) == {f"{opus}/{opus}": ""}


# --- offers ---------------------------------------------------------------------------------------------------


def test_the_first_offer_has_the_data_section_alone() -> None:
    description = parse(offer())
    (data,) = description.sections
    assert (data.mid, data.sctp_port, data.max_message_size) == ("0", 5000, 65_536)
    assert description.ice_lite
    assert description.transport.setup is Setup.ACTPASS
    assert description.bundle == ("0",)


def test_active_and_closed_sections() -> None:
    first, second = audio_section("1"), video_section("2", stereo=False)
    text = offer(closed(first), second)
    description = parse(text)
    _, gone, video = description.sections
    assert description.bundle == ("0", "2")
    assert gone.rejected
    assert (gone.mid, gone.direction) == ("1", Direction.INACTIVE)
    assert (video.msid_stream, video.msid_track) == ("PA_one|TR_video2", "TR_video2")
    assert video.direction is Direction.SENDONLY
    assert video.ssrcs == (2002, 3002)
    assert video.ssrc_groups == (("FID", (2002, 3002)),)
    assert [c.name for c in video.codecs] == ["vp8", "rtx"]
    lines = sections_of(text)[2]
    assert "a=ssrc:2002 msid:PA_one|TR_video2 TR_video2" in lines
    assert "a=ssrc:3002 cname:PA_one" in lines
    assert text.count("a=end-of-candidates") == 1


def test_without_a_second_ssrc_there_is_no_rtx() -> None:
    text = offer(video_section("1", rtx_ssrc=None))
    assert "rtx" not in text
    assert "ssrc-group" not in text


def test_the_dependency_descriptor_comes_with_av1_only() -> None:
    assert Extension.DEPENDENCY_DESCRIPTOR not in offer(video_section("1", variants=("vp8", "vp9/0")))
    assert Extension.DEPENDENCY_DESCRIPTOR in offer(video_section("1", variants=("av1/0",)))


def test_stereo_is_announced() -> None:
    assert "a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1\r\n" in offer(audio_section("1", stereo=True))
    assert "stereo" not in offer(audio_section("1"))


def test_transport_wide_feedback_is_offered_beside_remb() -> None:
    text = offer(audio_section("1"), video_section("2"))
    assert text.count(f"a=extmap:8 {Extension.TRANSPORT_CC}\r\n") == 2
    assert "a=rtcp-fb:96 goog-remb\r\n" in text
    for payload_type in (96, 111, 63):
        assert f"a=rtcp-fb:{payload_type} transport-cc\r\n" in text


def test_packets_are_numbered_only_for_who_gives_feedback() -> None:
    sections = [audio_section("1"), video_section("2")]
    text = answer_to(offer(*sections))
    for answer, is_numbered in ((text, True), (re.sub(r"a=rtcp-fb:\d+ transport-cc\r\n", "", text), False)):
        accepted = negotiate_subscribe(parse(answer, "answer"), sections).sections
        assert [Extension.TRANSPORT_CC in accepted[mid].extensions for mid in "12"] == [is_numbered] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"track_id": "TR\r\na=evil"},
        {"stream_id": "PA one"},
        {"stream_id": ""},
        {"cname": "ünicode"},
        {"cname": "a\x00b"},
        {"mid": "1\r\n"},
        {"mid": "m" * 17},
        {"variants": ()},
    ],
)
def test_ids_that_are_not_safe_never_leave(changes: dict[str, Any]) -> None:
    with pytest.raises(SdpError):
        offer(replace(audio_section("1"), **changes))


# --- answers --------------------------------------------------------------------------------------------------


def test_an_answer_that_takes_everything() -> None:
    sections = [audio_section("1"), video_section("2")]
    negotiation = negotiate_subscribe(parse(answer_to(offer(*sections)), "answer"), sections)
    assert negotiation.data_section
    assert negotiation.transport.setup is Setup.ACTIVE
    audio, video = negotiation.sections["1"], negotiation.sections["2"]
    payloads = {"red": OutboundPayload(63), "opus": OutboundPayload(111)}
    assert audio == AcceptedSection("1", True, payloads, dict(EXTENSIONS[Kind.AUDIO]), nack=True, red_block_type=111)
    assert video.payloads == {"vp8": OutboundPayload(96, 97)}
    assert (video.accepted, video.nack, video.rtx) == (True, True, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=recvonly", "a=inactive"),
        ("m=video 9", "m=video 0"),
        ("a=rtcp-mux", "a=rtcp-rsize"),
        ("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP9/90000"),
        ("SAVPF 96 97", "SAVPF 120 97"),
    ],
)
def test_an_answer_that_refuses(old: str, new: str) -> None:
    sections = [video_section("1")]
    text = answer_to(offer(*sections))
    assert old in text
    negotiation = negotiate_subscribe(parse(text.replace(old, new), "answer"), sections)
    assert not negotiation.sections["1"].accepted


def test_an_answer_in_part() -> None:
    sections = [video_section("1", variants=("vp8", "h264/42e01f/1"))]
    text = answer_to(offer(*sections)).replace("SAVPF 96 97 106 107", "SAVPF 106")
    text = text.replace("a=extmap:5 ", "a=extmap:9 ").replace("a=rtcp-fb:106 nack\r\n", "")
    section = negotiate_subscribe(parse(text, "answer"), sections).sections["1"]
    assert section.payloads == {"h264/42e01f/1": OutboundPayload(106)}
    assert not section.rtx
    assert not section.nack
    # An id of its own is not what was offered: the extension is not sent.
    assert Extension.PLAYOUT_DELAY not in section.extensions
    assert section.extensions[Extension.MID] == 1


def test_rtx_of_another_codec_is_not_ours() -> None:
    sections = [video_section("1")]
    text = answer_to(offer(*sections)).replace("apt=96", "apt=106")
    section = negotiate_subscribe(parse(text, "answer"), sections).sections["1"]
    assert section.accepted
    assert not section.rtx
    assert section.payloads == {"vp8": OutboundPayload(96)}


def test_answers_to_another_offer() -> None:
    sections = [audio_section("1"), video_section("2")]
    text = answer_to(offer(*sections))
    swapped = [video_section("1"), audio_section("2")]
    other_mid = [audio_section("1"), video_section("3")]
    for asked in (sections[:1], [*sections, audio_section("3")], swapped, other_mid):
        with pytest.raises(SdpError) as error:
            negotiate_subscribe(parse(text, "answer"), asked)
        assert error.value.code == "section_mismatch"
    with pytest.raises(SdpError) as error:
        negotiate_subscribe(
            parse(text.replace("m=application 9 UDP/DTLS/SCTP", "m=message 9 UDP/DTLS/SCTP"), "answer"), sections
        )
    assert error.value.code == "section_mismatch"
    with pytest.raises(SdpError):
        negotiate_subscribe(parse(offer(*sections)), sections)


def test_closed_sections_are_not_accepted_whatever_the_answer_says() -> None:
    section = video_section("1")
    text = answer_to(offer(section))
    negotiation = negotiate_subscribe(parse(text, "answer"), [closed(section)])
    assert not negotiation.sections["1"].accepted


# --- mapping --------------------------------------------------------------------------------------------------


def test_variants_to_offer() -> None:
    audio, video = publish(vector("chromium_simulcast")).received
    assert subscribe_variants(audio) == ["red", "opus"]
    assert subscribe_variants(received((63, "red"))) == ["red", "opus"]
    assert subscribe_variants(received((111, "opus"))) == ["opus"]
    assert subscribe_variants(video)[:2] == ["vp8", "h264/42001f/1"]
    assert len(set(subscribe_variants(video))) == len(subscribe_variants(video))
    assert subscribe_variants(received((97, "h264/42e01f/0"))) == [
        "h264/42e01f/0", "h264/42001f/0", "h264/42e01f/1", "h264/42001f/1",
    ]  # fmt: skip


def test_the_publishers_types_become_ours() -> None:
    assert outbound_payloads(received((120, "vp8")), accepted("vp8")) == {120: OutboundPayload(96, 97)}
    assert outbound_payloads(received((120, "vp8")), accepted("vp8", rtx=False)) == {120: OutboundPayload(96)}
    assert outbound_payloads(received((120, "vp8")), accepted("vp9/0")) == {}
    assert outbound_payloads(received((102, "h264/42001f/1")), accepted("h264/42e01f/1")) == {
        102: OutboundPayload(106, 107)
    }
    # A single-NAL stream suits mode 1, a stream in mode 1 does not suit mode 0.
    assert outbound_payloads(received((9, "h264/4d001f/0")), accepted("h264/4d001f/1"))[9].payload_type == 112
    assert outbound_payloads(received((9, "h264/4d001f/1")), accepted("h264/4d001f/0")) == {}


def test_rtx_only_where_its_type_was_accepted() -> None:
    section = AcceptedSection("1", True, {"vp8": OutboundPayload(96), "vp9/0": OutboundPayload(98, 99)})
    assert outbound_payloads(received((96, "vp8"), (98, "vp9/0")), section) == {
        96: OutboundPayload(96),
        98: OutboundPayload(98, 99),
    }


def test_red_passes_or_is_stripped() -> None:
    publisher = received((63, "red"), (111, "opus"))
    assert outbound_payloads(publisher, accepted("red", "opus")) == {63: OutboundPayload(63), 111: OutboundPayload(111)}
    assert outbound_payloads(publisher, accepted("opus")) == {
        63: OutboundPayload(111, strip_red=True),
        111: OutboundPayload(111),
    }


def test_with_redundancy_sound_goes_out_as_the_line_needs_it_whatever_comes() -> None:
    publisher, both = received((63, "red"), (109, "opus")), accepted("red", "opus")
    plain = OutboundPayload(111, strip_red=True)
    added = OutboundPayload(63, redundancy=2, redundancy_step=3, frame_type=111)
    none, some = Redundancy(0), Redundancy(2, 3)
    assert outbound_payloads(publisher, both, none) == {63: plain, 109: plain}
    assert outbound_payloads(publisher, both, some) == {63: added, 109: added}
    assert outbound_payloads(received((111, "opus")), both, some) == {111: added}
    opus_alone = accepted("opus")
    for redundancy in (none, some):
        assert outbound_payloads(publisher, opus_alone, redundancy) == outbound_payloads(publisher, opus_alone)
    pictures = AcceptedSection("1", True, {"vp8": OutboundPayload(96)})
    assert outbound_payloads(received((96, "vp8")), pictures, some) == {96: OutboundPayload(96)}


def test_red_with_other_block_types_is_stripped_for_everyone() -> None:
    """Blocks pass through unchanged, so a subscriber would find an Opus payload type in them that it never heard of."""
    publisher = received((63, "red"), (109, "opus"))
    assert outbound_payloads(publisher, accepted("red", "opus")) == {
        63: OutboundPayload(111, strip_red=True),
        109: OutboundPayload(111),
    }
    assert outbound_payloads(publisher, accepted("red")) == {}
