"""SDP text to model: real offers in, and the shape of each attribute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.errors import SdpError
from sfu.sdp.model import Direction, SectionKind, Setup
from sfu.sdp.section import UNLIMITED_MESSAGE_SIZE
from tests.sfu.sdp_rig import BASE, OFFERS, changed, parse, vector


@pytest.mark.parametrize("name", OFFERS)
def test_every_real_offer_parses(name: str) -> None:
    description = parse(vector(name))
    assert description.sections
    assert len(description.transport.ice.pwd) >= 22
    assert description.transport.fingerprints[0].algorithm == "sha-256"
    assert not description.ice_lite


@pytest.mark.parametrize("name", OFFERS)
def test_bare_line_feeds_parse_the_same(name: str) -> None:
    assert parse(vector(name).replace("\r\n", "\n")) == parse(vector(name))


def test_chromium_simulcast() -> None:
    description = parse(vector("chromium_simulcast"))
    data, audio, video = description.sections
    assert description.bundle == ("0", "1", "2")
    assert description.extmap_allow_mixed
    assert description.transport.setup is Setup.ACTPASS
    assert (data.kind, data.sctp_port, data.max_message_size) == (SectionKind.APPLICATION, 5000, 262_144)
    assert audio.msid_track == "3d3f18db-d4f7-4883-b580-de819e8b4fbd"
    assert audio.ssrcs == (2343042713,)
    assert [codec.name for codec in audio.codecs][:2] == ["opus", "red"]
    opus = audio.codecs[0]
    assert (opus.payload_type, opus.clock_rate, opus.channels) == (111, 48_000, 2)
    assert opus.parameters == {"minptime": "10", "useinbandfec": "1"}
    assert audio.codecs[1].parameters == {"111/111": ""}
    assert video.send_rids == ("q", "h", "f")
    assert video.direction is Direction.SENDONLY
    assert video.codecs[0].feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert video.rtcp_mux
    assert video.rtcp_rsize
    assert video.extensions["urn:ietf:params:rtp-hdrext:sdes:mid"] == 4


def test_firefox_bundle_only_sections_are_not_rejected_and_share_the_transport() -> None:
    description = parse(vector("firefox_simulcast"))
    assert [section.rejected for section in description.sections] == [False, False, False]
    assert description.transport.ice.ufrag == "9c1f04ab"
    assert description.sections[0].max_message_size == 1_073_741_823
    audio, video = description.sections[1:]
    assert audio.msid_track == "{2f0c7a84-8f5e-4f5d-9d7d-0b3d2a7c9a55}"
    assert video.send_rids == ("f", "h", "q")
    # What Firefox only receives is not there for us, what it only sends is.
    assert "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay" not in video.extensions
    assert video.extensions["urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"] == 8


def test_transport_in_the_session_part() -> None:
    description = parse(vector("obs"))
    assert description.transport.ice.ufrag == "Uh4k"
    assert description.transport.setup is Setup.ACTPASS
    assert len(description.transport.fingerprints) == 1


def test_ffmpeg_is_passive() -> None:
    description = parse(vector("ffmpeg"))
    assert description.transport.setup is Setup.PASSIVE
    assert description.sections[1].ssrc_groups == (("FID", (1532592267, 1532592268)),)


def test_msid_falls_back_to_ssrc_lines() -> None:
    text = changed("a=msid:stream microphone\r\n", "").replace(
        "a=ssrc:100 cname:c", "a=ssrc:100 cname:c\r\na=ssrc:100 msid:other old"
    )
    section = parse(text).sections[0]
    assert (section.msid_stream, section.msid_track) == ("other", "old")


def test_msid_without_stream() -> None:
    section = parse(changed("a=msid:stream microphone", "a=msid:- microphone")).sections[0]
    assert (section.msid_stream, section.msid_track) == ("", "microphone")


def test_feedback_for_all_payload_types() -> None:
    (video,) = parse(vector("ssrc_simulcast")).sections
    assert video.codecs[0].feedback == ("nack pli", "goog-remb", "nack")
    assert video.codecs[1].feedback == ("nack",)


def test_several_fingerprints_are_kept_and_weak_ones_dropped() -> None:
    strong = "a=fingerprint:sha-512 " + ":".join(["ff"] * 64)
    weak = "a=fingerprint:sha-1 " + ":".join(["01"] * 20)
    old = "a=fingerprint:sha-256"
    description = parse(changed(old, f"{strong}\r\n{weak}\r\n{old}"))
    assert [f.algorithm for f in description.transport.fingerprints] == ["sha-256", "sha-512"]
    assert description.transport.fingerprints[1].value == ":".join(["FF"] * 64)


def test_a_rejected_section_needs_neither_mid_nor_transport() -> None:
    text = BASE.replace("BUNDLE 0 1", "BUNDLE 0") + "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n"
    text = text.replace("m=video 9", "m=video 0")
    sections = parse(text).sections
    assert [section.rejected for section in sections] == [False, True, True]
    assert sections[2].mid == ""


def test_unknown_media_and_old_data_sections_are_kept_for_the_answer() -> None:
    text = BASE + "m=text 9 RTP/AVP 98\r\na=mid:2\r\nm=application 9 DTLS/SCTP 5000\r\na=mid:3\r\na=sctp-port:5000\r\n"
    sections = parse(text).sections
    assert (sections[2].kind, sections[2].media, sections[2].first_format) == (SectionKind.OTHER, "text", "98")
    assert sections[3].sctp_port is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [("", None), ("a=max-message-size:0\r\n", UNLIMITED_MESSAGE_SIZE), ("a=max-message-size:1000\r\n", 1000),
     ("a=max-message-size:99999999999999999999\r\n", UNLIMITED_MESSAGE_SIZE)],
)  # fmt: skip
def test_max_message_size(line: str, expected: int | None) -> None:
    text = vector("chromium_data").replace("a=max-message-size:262144\r\n", line)
    assert parse(text).sections[0].max_message_size == expected


def test_simulcast_alternatives_and_paused_streams() -> None:
    lines = "a=rid:a send\r\na=rid:b send pt=96;max-width=640\r\na=rid:c send\r\na=simulcast:recv x send ~a,c;b;d\r\n"
    assert parse(BASE + lines).sections[1].send_rids == ("a", "b")


def test_rids_without_simulcast() -> None:
    assert parse(BASE + "a=rid:only send\r\na=rid:in recv\r\n").sections[1].send_rids == ("only",)


def test_direction_of_the_session_part_is_the_default() -> None:
    text = changed("a=sendonly\r\n", "").replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n")
    assert {section.direction for section in parse(text).sections} == {Direction.RECVONLY}
    assert parse(changed("a=sendonly\r\n", "")).sections[0].direction is Direction.SENDRECV


def test_an_answer_must_choose_its_role() -> None:
    with pytest.raises(SdpError):
        parse(BASE, "answer")
    assert parse(changed("actpass", "active"), "answer").transport.setup is Setup.ACTIVE


def test_unknown_attributes_and_lines_are_ignored() -> None:
    text = (
        changed("t=0 0\r\n", "t=0 0\r\nb=AS:1\r\na=something:new\r\na=flag\r\n") + "a=x-google-flag:conference\r\n\r\n"
    )
    assert parse(text) == parse(BASE)


@given(st.permutations(range(5)))
def test_the_order_of_attributes_does_not_matter(order: list[int]) -> None:
    lines = ["a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=mid:1"]
    text = BASE
    for line in lines:
        text = text.replace(line + "\r\n", "")
    assert parse(text + "".join(lines[i] + "\r\n" for i in order)) == parse(BASE)
