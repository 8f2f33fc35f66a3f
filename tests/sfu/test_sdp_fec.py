"""Repair packets in SDP: offered with video, sent to who says that it takes them, and never wanted from anybody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu.ids import TrackId
from sfu.kind import Kind
from sfu.sdp.duplex import receivable_sections, send_on
from sfu.sdp.model import AcceptedSection, SentMedia, Ssrcs
from sfu.sdp.negotiate import negotiate_subscribe
from sfu.sdp.playback import answer_playback, offer_sections, read_playback
from tests.sfu.sdp_rig import (
    AUDIO,
    BASE,
    VIDEO,
    answer,
    changed,
    offer,
    parse,
    publish,
    sections_of,
    vector,
    video_section,
)

CAMERA = SentMedia(TrackId("TR_camera"), "PA_ada|TR_camera", 77, 78, "PA_ada", fec_ssrc=79, variants=("vp8",))
TAKES = (
    "a=rtpmap:49 flexfec-03/90000\r\na=rtcp-fb:49 transport-cc\r\na=rtcp-fb:49 nack\r\na=fmtp:49 repair-window=1\r\n"
)


def values(lines: list[str], name: str) -> list[str]:
    return [line.removeprefix(f"a={name}:") for line in lines if line.startswith(f"a={name}:")]


# --- our offer ------------------------------------------------------------------------------------------------


def answered(text: str, *, fec_ssrc: int | None = 4001) -> AcceptedSection:
    section = video_section("1", fec_ssrc=fec_ssrc)
    return negotiate_subscribe(parse(text, "answer"), [section]).sections["1"]


def taking_all(text: str) -> str:
    return text.replace("a=setup:actpass", "a=setup:active").replace("a=sendonly", "a=recvonly")


def test_an_offer_names_the_stream_and_its_repair() -> None:
    _, lines = sections_of(offer(video_section("1", fec_ssrc=4001)))
    assert lines[0].endswith(" 96 97 47")
    assert values(lines, "ssrc-group") == ["FID 2001 3001", "FEC-FR 2001 4001"]
    assert {line.split(" ")[0] for line in values(lines, "ssrc")} == {"2001", "3001", "4001"}
    assert "47 flexfec-03/90000" in values(lines, "rtpmap")
    assert {"47 goog-remb", "47 transport-cc"} <= set(values(lines, "rtcp-fb"))
    assert "flexfec" not in offer(video_section("1"))


def test_who_answers_with_it_takes_it() -> None:
    text = taking_all(offer(video_section("1", fec_ssrc=4001)))
    assert answered(text).fec_payload_type == 47
    assert answered(text, fec_ssrc=None).fec_payload_type is None
    assert answered(text).payloads.keys() == {"vp8"}


@pytest.mark.parametrize(
    "other", ["a=rtpmap:47 flexfec/90000", "a=rtpmap:47 ulpfec/90000", "a=rtpmap:48 flexfec-03/90000", "a=inactive-x"]
)
def test_who_answers_with_something_else_does_not(other: str) -> None:
    text = taking_all(offer(video_section("1", fec_ssrc=4001)))
    text = text.replace("97 47\r\n", "97 47 48\r\n").replace("a=rtpmap:47 flexfec-03/90000", other)
    section = answered(text)
    assert section.accepted
    assert section.fec_payload_type is None


# --- an offer to receive on -----------------------------------------------------------------------------------


def receiving(fec: str = TAKES, direction: str = "recvonly") -> str:
    """BASE with a video section of that direction, where the client names repair packets."""
    payload_type = fec.partition(":")[2].partition(" ")[0]
    text = changed("SAVPF 96 97", f"SAVPF 96 97 {payload_type}", text=BASE)
    text = text.replace("a=rtpmap:96", f"{fec}a=rtpmap:96")
    return text.replace("a=sendonly", f"a={direction}")


def receivable(text: str) -> AcceptedSection:
    return receivable_sections(parse(text), publish(text))["1"]


def sent_on(text: str, media: SentMedia) -> list[str]:
    return sections_of(answer(send_on(parse(text), publish(text), {"1": media})))[1]


def test_who_offers_to_receive_it_gets_it_under_its_own_number() -> None:
    text = receiving()
    assert receivable(text).fec_payload_type == 49
    lines = sent_on(text, CAMERA)
    assert lines[0].endswith(" 96 97 49")
    assert "49 flexfec-03/90000" in values(lines, "rtpmap")
    # Only what was offered, and what has a meaning for it.
    assert [line for line in values(lines, "rtcp-fb") if line.startswith("49 ")] == ["49 transport-cc"]
    assert values(lines, "ssrc-group") == ["FID 77 78", "FEC-FR 77 79"]


def test_without_an_ssrc_for_it_nothing_is_said_of_it() -> None:
    lines = sent_on(receiving(), replace(CAMERA, fec_ssrc=None))
    assert values(lines, "ssrc-group") == ["FID 77 78"]
    assert not any("flexfec" in line for line in lines)


@pytest.mark.parametrize(
    ("fec", "direction"),
    [
        ("a=rtpmap:49 ulpfec/90000\r\n", "recvonly"),
        ("a=rtpmap:49 flexfec/90000\r\n", "recvonly"),
        ("a=rtpmap:49 flexfec-03/48000\r\n", "recvonly"),
        # With the marker bit that looks like RTCP.
        ("a=rtpmap:70 flexfec-03/90000\r\n", "recvonly"),
        # What such a client sends back would be agreed on as well.
        (TAKES, "sendrecv"),
    ],
)
def test_who_offers_something_else_does_not_get_it(fec: str, direction: str) -> None:
    text = receiving(fec, direction)
    assert receivable(text).fec_payload_type is None
    lines = sent_on(text, CAMERA)
    assert values(lines, "ssrc-group") == ["FID 77 78"]
    assert {line.split(" ")[0] for line in values(lines, "ssrc")} == {"77", "78"}
    assert not any("flexfec" in line for line in lines)


def test_who_plays_gets_it_as_well() -> None:
    text = receiving()
    negotiation, accepted = read_playback(parse(text), video_codecs=VIDEO, audio_codecs=AUDIO)
    assert accepted[Kind.VIDEO].fec_payload_type == 49
    ssrcs = {"0": Ssrcs(66), "1": Ssrcs(77, 78, 79)}
    audio, video = sections_of(answer(answer_playback(parse(text), negotiation, ssrcs, "PA_ada")))
    assert values(video, "ssrc-group") == ["FID 77 78", "FEC-FR 77 79"]
    assert values(audio, "ssrc-group") == []
    _, video = offer_sections({Kind.AUDIO: Ssrcs(66), Kind.VIDEO: Ssrcs(77, 78, 79)}, "PA_ada", [*AUDIO, *VIDEO])
    assert (video.ssrc, video.rtx_ssrc, video.fec_ssrc) == (77, 78, 79)


# --- who sends some -------------------------------------------------------------------------------------------


def test_nobody_is_asked_for_repair_packets() -> None:
    """They are not answered, and their SSRC is nobody's: what comes with it is dropped (`unknown_ssrc`)."""
    text = receiving(TAKES, "sendonly").replace(
        "a=ssrc:200", "a=ssrc:900 cname:x\r\na=ssrc-group:FEC-FR 200 900\r\na=ssrc:200", 1
    )
    negotiation = publish(text)
    assert "flexfec" not in answer(negotiation)
    (video,) = (media for media in negotiation.received if media.mid == "1")
    assert {one.payload_type for one in video.track.payloads} == {96}
    assert [layer.ssrc for layer in video.track.layers] == [200]


def test_an_sdk_that_knows_nothing_of_it() -> None:
    offered = parse(vector("libwebrtc_sdk"))
    sections = receivable_sections(offered, publish(vector("libwebrtc_sdk")))
    assert {one.fec_payload_type for one in sections.values()} == {None}
