"""Answers that also send: what a client can receive, and the text of an answer for both directions."""

from __future__ import annotations

import pytest

from sfu.engine.api import Extension, Kind, OutboundPayload
from sfu.errors import SdpError
from sfu.ids import TrackId
from sfu.sdp.duplex import receivable_sections, send_on
from sfu.sdp.model import AcceptedSection, Direction, PublishNegotiation, RemoteDescription, SentMedia
from tests.sfu.sdp_rig import BASE, answer, changed, parse, publish, sections_of, vector

CAMERA = SentMedia(TrackId("TR_camera"), "PA_ada|TR_camera", 77, 78, "PA_ada", variants=("vp9/0",))
MICROPHONE = SentMedia(TrackId("TR_mic"), "PA_ada|stream0", 66, None, "PA_ada", stereo=True, variants=("opus",))
DUPLEX = BASE.replace("a=sendonly", "a=sendrecv")


def negotiated(text: str) -> tuple[RemoteDescription, PublishNegotiation, dict[str, AcceptedSection]]:
    offer, negotiation = parse(text), publish(text)
    return offer, negotiation, receivable_sections(offer, negotiation)


def sent_on(text: str, **sent: SentMedia) -> list[list[str]]:
    """The sections of the answer; `m10=CAMERA` sends on mid 3."""
    offer, negotiation, _ = negotiated(text)
    completed = send_on(offer, negotiation, {mid.removeprefix("m"): media for mid, media in sent.items()})
    return sections_of(answer(completed))


def values(lines: list[str], name: str) -> list[str]:
    return [line.removeprefix(f"a={name}:") for line in lines if line.startswith(f"a={name}:")]


# --- what the client can receive --------------------------------------------------------------------------------


def test_a_client_that_offers_sections_to_receive_on() -> None:
    offer, _, sections = negotiated(vector("libwebrtc_sdk"))
    kinds = [section.kind.value for section in offer.sections if section.mid in sections]
    assert kinds == ["audio"] * 3 + ["video"] * 3
    audio, video = sections["7"], sections["10"]
    assert audio.payloads == {"opus": OutboundPayload(111), "red": OutboundPayload(63)}
    assert audio.red_block_type == 111
    assert video.payloads["vp8"] == OutboundPayload(96, 97)
    assert video.nack
    assert video.rtx
    # All ids are the client's.
    assert video.extensions[Extension.MID] == offer.sections[3].extensions[Extension.MID]
    for section in (audio, video):
        assert section.extensions[Extension.TRANSPORT_CC] == offer.sections[3].extensions[Extension.TRANSPORT_CC]


def playing(ccfb: str, *, transport_cc: tuple[int, ...] = ()) -> str:
    """An offer to receive only, with feedback by RTP numbers said of `ccfb` in each section, and by transport-wide ones
    of some payload types."""
    text = BASE.replace("a=sendonly", "a=recvonly")
    if ccfb:
        text = text.replace("a=rtcp-mux\r\n", f"a=rtcp-mux\r\na=rtcp-fb:{ccfb} ack ccfb\r\n")
    for name, payload_type in (("opus/48000/2", 111), ("VP8/90000", 96)):
        lines = f"a=rtcp-fb:{payload_type} transport-cc\r\na=extmap:8 {Extension.TRANSPORT_CC}\r\n"
        if payload_type in transport_cc:
            text = text.replace(f"{name}\r\n", f"{name}\r\n{lines}")
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (playing("*"), [True, True]),
        (playing("96"), [False, True]),
        (playing("*", transport_cc=(111, 96)), [False, False]),
        (playing("*", transport_cc=(96,)), [True, False]),
        (playing(""), [False, False]),
        # The client would expect the same of us for what it sends.
        (playing("*").replace("a=recvonly", "a=sendrecv", 1), [False, False]),
    ],
)
def test_feedback_by_rtp_numbers_where_there_is_no_other(text: str, expected: list[bool]) -> None:
    sections = negotiated(text)[2]
    assert [section.ccfb for section in sections.values()] == expected
    told = [values(lines, "rtcp-fb") for lines in sent_on(text, m0=MICROPHONE, m1=CAMERA)[: len(expected)]]
    for section, lines in zip(sections.values(), told, strict=True):
        assert ("* ack ccfb" in lines) is section.ccfb
        assert any("transport-cc" in line for line in lines) is (Extension.TRANSPORT_CC in section.extensions)
        assert (Extension.TRANSPORT_CC in section.extensions) <= (not section.ccfb)


def test_a_section_that_only_sends_receives_nothing() -> None:
    assert negotiated(vector("chromium_simulcast"))[2] == {}
    assert negotiated(DUPLEX)[2].keys() == {"0", "1"}
    assert negotiated(BASE.replace("a=sendonly", "a=inactive"))[2] == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m=video 9", "m=video 0"),
        ("BUNDLE 0 1", "BUNDLE 0"),
        ("a=rtcp-mux\r\na=rtpmap:96", "a=rtpmap:96"),
        ("a=rtpmap:96 VP8/90000", "a=rtpmap:96 H265/90000"),
    ],
)
def test_what_the_answer_rejects_is_left_out(old: str, new: str) -> None:
    assert negotiated(changed(old, new, text=DUPLEX))[2].keys() == {"0"}


@pytest.mark.parametrize(
    ("payload_types", "format", "passes"),
    [("111 63", "111/111", True), ("111 63", "109/109", False), ("111 63", "111/109", False), ("63", "111/111", False)],
)
def test_red_only_with_blocks_of_the_opus_that_is_there(payload_types: str, format: str, passes: bool) -> None:
    text = changed("SAVPF 111\r\n", f"SAVPF {payload_types}\r\n", text=DUPLEX)
    text = changed("a=ssrc:100", f"a=rtpmap:63 red/48000/2\r\na=fmtp:63 {format}\r\na=ssrc:100", text=text)
    sections = negotiated(text)[2]
    assert ("red" in sections["0"].payloads if "0" in sections else False) is passes


def test_extensions_that_the_client_only_sends_are_not_for_us() -> None:
    text = changed("a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:1/{} {}", text=DUPLEX)
    for direction, usable in (("recvonly", True), ("sendrecv", True), ("sendonly", False), ("inactive", False)):
        section = negotiated(text.format(direction, Extension.MID))[2]["1"]
        assert (section.extensions == {Extension.MID: 1}) is usable, direction


# --- the answer ---------------------------------------------------------------------------------------------


def test_what_is_sent_stands_in_its_section_and_nowhere_else() -> None:
    sections = sent_on(vector("libwebrtc_sdk"), m10=CAMERA, m8=MICROPHONE)
    for index, lines in enumerate(sections[:6]):
        assert (f"a={Direction.SENDONLY}" in lines) is (index in (1, 3))
        assert (f"a={Direction.INACTIVE}" in lines) is (index not in (1, 3))
        assert bool(values(lines, "msid")) is bool(values(lines, "ssrc")) is (index in (1, 3))
    camera, microphone = sections[3], sections[1]
    assert values(camera, "msid") == ["PA_ada|TR_camera TR_camera"]
    assert values(camera, "ssrc-group") == ["FID 77 78"]
    assert {line.split(" ")[0] for line in values(camera, "ssrc")} == {"77", "78"}
    assert values(microphone, "msid") == ["PA_ada|stream0 TR_mic"]
    assert any("sprop-stereo=1" in line for line in values(microphone, "fmtp"))
    assert values(microphone, "ssrc-group") == []


def test_the_likely_codec_comes_first_and_all_others_follow() -> None:
    _, _, sections = negotiated(vector("libwebrtc_sdk"))
    camera = sent_on(vector("libwebrtc_sdk"), m10=CAMERA)[3]
    types = camera[0].split(" ")[3:]
    assert types[0] == str(sections["10"].payloads["vp9/0"].payload_type)
    expected = {pt for p in sections["10"].payloads.values() for pt in (p.payload_type, p.rtx_payload_type)} - {None}
    assert {int(text) for text in types} == expected
    assert f"{types[0]} transport-cc" in values(camera, "rtcp-fb")
    assert f"{types[0]} goog-remb" in values(camera, "rtcp-fb")


def test_extensions_of_publishers_stay_in_the_answer() -> None:
    """Chromium offers a new section only with extensions that the first ones have agreed on."""
    before, after = (
        sections_of(answer(publish(vector("libwebrtc_sdk"))))[3],
        sent_on(vector("libwebrtc_sdk"), m10=CAMERA)[3],
    )
    assert set(values(before, "extmap")) <= set(values(after, "extmap"))
    assert any(Extension.RID in line for line in values(after, "extmap"))


def test_both_directions_on_one_section() -> None:
    audio, video = sent_on(DUPLEX, m1=CAMERA, m0=MICROPHONE)
    assert f"a={Direction.SENDRECV}" in video
    assert values(video, "msid") == ["PA_ada|TR_camera TR_camera"]
    assert "96 nack" in values(video, "rtcp-fb")
    assert f"a={Direction.SENDRECV}" in audio
    negotiation = send_on(parse(DUPLEX), publish(DUPLEX), {"1": CAMERA})
    assert [media.mid for media in negotiation.received] == ["0", "1"]


def test_no_rtx_where_the_client_has_none() -> None:
    text = changed("SAVPF 96 97", "SAVPF 96", text=DUPLEX).replace("a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n", "")
    _, video = sent_on(text, m1=CAMERA)
    assert values(video, "ssrc-group") == []
    assert {line.split(" ")[0] for line in values(video, "ssrc")} == {"77"}


def test_an_id_for_two_extensions_is_refused() -> None:
    text = changed("a=ssrc:100", f"a=extmap:1/recvonly {Extension.AUDIO_LEVEL}\r\na=ssrc:100", text=DUPLEX)
    with pytest.raises(SdpError) as caught:
        sent_on(text, m0=MICROPHONE)
    assert caught.value.code == "inconsistent_extensions"


def test_nothing_of_the_clients_names_comes_back() -> None:
    text = "\r\n".join(line for lines in sent_on(DUPLEX, m1=CAMERA, m0=MICROPHONE) for line in lines)
    assert "camera" not in text.replace("TR_camera", "")
    assert "microphone" not in text


def test_kinds_do_not_mix() -> None:
    _, _, sections = negotiated(DUPLEX)
    assert set(sections["0"].payloads) == {"opus"}
    assert set(sections["1"].payloads) == {"vp8"}
    assert Kind.AUDIO != Kind.VIDEO
