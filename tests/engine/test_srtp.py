"""SRTP against the RFCs' vectors and against libsrtp in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pylibsrtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.engine.api import SrtpProfile
from sfu.engine.reference import rtcp, rtp
from sfu.engine.reference.seqnum import EXT_SEQ_START, SeqExtender
from sfu.engine.reference.srtp import (
    KEY_BYTES,
    MAX_RTCP_SSRCS,
    SALT_BYTES,
    CmSha1Transform,
    GcmTransform,
    SrtpContext,
    derive_key,
)
from sfu.errors import EngineError
from tests.engine.rtp_wire import serialize

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "srtp.json").read_text())
PROFILES = list(SrtpProfile)
LIBSRTP_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
SSRC = 0x1234_5678
every_profile = pytest.mark.parametrize("profile", PROFILES, ids=[profile.value for profile in PROFILES])


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def keys(profile: SrtpProfile) -> tuple[bytes, bytes]:
    return bytes(range(7, 7 + KEY_BYTES[profile])), bytes(range(200, 200 + SALT_BYTES[profile]))


def context(profile: SrtpProfile) -> SrtpContext:
    return SrtpContext(profile, *keys(profile))


def libsrtp(profile: SrtpProfile, ssrc_type: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=b"".join(keys(profile)), ssrc_type=ssrc_type, srtp_profile=LIBSRTP_PROFILES[profile])
    policy.window_size = 1024
    return pylibsrtp.Session(policy)


def packet_bytes(seq: int, payload: bytes = b"payload", *, rich: bool = False, ssrc: int = SSRC) -> bytes:
    packet = rtp.RtpPacket(96, True, seq & 0xFFFF, seq * 3000 & 0xFFFF_FFFF, ssrc, payload=payload)
    if rich:
        packet.csrc = bytes(range(12))
        packet.extensions = {1: b"0", 5: b"abc", 14: bytes(16)}
    return serialize(packet)


def protect(ours: SrtpContext, packet: bytes, ext_seq: int) -> bytes:
    header = rtp.parse_header(packet)
    assert header is not None
    return ours.protect_rtp(packet[: header.header_len], packet[header.header_len :], header.ssrc, ext_seq)


def unprotect(ours: SrtpContext, data: bytes, ext_seq: int) -> bytes | None:
    header = rtp.parse_header(data)
    assert header is not None
    payload = ours.unprotect_rtp(data, header.header_len, header.ssrc, ext_seq)
    return None if payload is None else data[: header.header_len] + payload


# --- vectors ---------------------------------------------------------------------------------------------


def test_key_derivation_vectors() -> None:
    vector = VECTORS["key_derivation"]
    for output in vector["outputs"]:
        expected = unhex(output["key"])
        derived = derive_key(unhex(vector["master_key"]), unhex(vector["master_salt"]), output["label"], len(expected))
        assert derived == expected


def test_counter_mode_keystream_vector() -> None:
    vector = VECTORS["counter_mode_keystream"]
    session = (unhex(vector["session_key"]), unhex(vector["session_salt"]), bytes(20))
    keystream = unhex(vector["keystream"])
    sealed = CmSha1Transform(session, session).protect_rtp(b"", bytes(len(keystream)), 0, EXT_SEQ_START)
    assert sealed[: len(keystream)] == keystream


@pytest.mark.parametrize("vector", VECTORS["gcm_session_keys"], ids=lambda vector: vector["comment"])
def test_rfc_7714_vectors(vector: dict[str, Any]) -> None:
    key, salt = unhex(vector["session_key"]), unhex(vector["session_salt"])
    transform = GcmTransform(key, salt, key, salt)
    plain, sealed = unhex(vector["rtp"]), unhex(vector["srtp"])
    ssrc, ext_seq = int(vector["ssrc"], 16), EXT_SEQ_START + vector["seq"]
    assert transform.protect_rtp(plain[:12], plain[12:], ssrc, ext_seq) == sealed
    assert transform.unprotect_rtp(sealed, 12, ssrc, ext_seq) == plain[12:]
    plain, sealed, index = unhex(vector["rtcp"]), unhex(vector["srtcp"]), vector["rtcp_index"]
    ssrc = int.from_bytes(plain[4:8], "big")
    assert transform.protect_rtcp(plain, ssrc, index) == sealed
    assert transform.unprotect_rtcp(sealed, ssrc, index) == plain


@pytest.mark.parametrize("vector", VECTORS["packets"], ids=lambda vector: vector["profile"])
def test_reference_packets(vector: dict[str, Any]) -> None:
    arguments = SrtpProfile(vector["profile"]), unhex(vector["master_key"]), unhex(vector["master_salt"])
    plain, sealed = unhex(vector["rtp"]), unhex(vector["srtp"])
    assert protect(SrtpContext(*arguments), plain, EXT_SEQ_START + 0x1234) == sealed
    assert unprotect(SrtpContext(*arguments), sealed, EXT_SEQ_START + 0x1234) == plain
    if "rtcp" in vector:
        sender = SrtpContext(*arguments)
        sender.protect_rtcp(unhex(vector["rtcp"]))  # index 0; the vector has 1
        assert sender.protect_rtcp(unhex(vector["rtcp"])) == unhex(vector["srtcp"])
        assert SrtpContext(*arguments).unprotect_rtcp(unhex(vector["srtcp"])) == unhex(vector["rtcp"])


# --- the other implementation ---------------------------------------------------------------------------


@every_profile
@pytest.mark.parametrize("rich", [False, True], ids=["plain", "csrc and extensions"])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 160, 1200])
def test_libsrtp_reads_and_writes_what_we_do(profile: SrtpProfile, rich: bool, size: int) -> None:
    packet = packet_bytes(4711, bytes(index & 0xFF for index in range(size)), rich=rich)
    ext_seq = EXT_SEQ_START + 4711
    sealed = protect(context(profile), packet, ext_seq)
    assert sealed == libsrtp(profile, pylibsrtp.Policy.SSRC_ANY_OUTBOUND).protect(packet)
    assert libsrtp(profile, pylibsrtp.Policy.SSRC_ANY_INBOUND).unprotect(sealed) == packet
    assert unprotect(context(profile), sealed, ext_seq) == packet


@every_profile
def test_rollover_counter_across_three_wraps(profile: SrtpProfile) -> None:
    ours_out, ours_in = context(profile), context(profile)
    theirs_out = libsrtp(profile, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    theirs_in = libsrtp(profile, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    extender = SeqExtender()
    start = 0x7FF0
    for step in range(0, 3 * 0x10000, 0x1357):
        packet = packet_bytes(start + step)
        sealed = protect(ours_out, packet, EXT_SEQ_START + start + step)
        assert sealed == theirs_out.protect(packet)
        assert theirs_in.unprotect(sealed) == packet
        ext_seq = extender.extend((start + step) & 0xFFFF)
        assert unprotect(ours_in, sealed, ext_seq) == packet
        extender.commit(ext_seq)


@every_profile
def test_reordering_across_the_wrap(profile: SrtpProfile) -> None:
    theirs = libsrtp(profile, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    sealed = [theirs.protect(packet_bytes(0xFFF0 + step)) for step in range(32)]
    ours, extender = context(profile), SeqExtender()
    for step in (14, 17, 15, 16, 20, 13, 31, 18):
        ext_seq = extender.extend((0xFFF0 + step) & 0xFFFF)
        assert unprotect(ours, sealed[step], ext_seq) == packet_bytes(0xFFF0 + step)
        extender.commit(ext_seq)


@every_profile
def test_libsrtp_rtcp(profile: SrtpProfile) -> None:
    report = rtcp.build_rr(SSRC, []) + rtcp.build_sdes([(SSRC, "name")])
    ours, theirs_in = context(profile), libsrtp(profile, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    theirs_out = libsrtp(profile, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    receiver = context(profile)
    for _ in range(3):
        sealed = ours.protect_rtcp(report)
        assert sealed is not None
        assert theirs_in.unprotect_rtcp(sealed) == report
        assert receiver.unprotect_rtcp(theirs_out.protect_rtcp(report)) == report


# --- bad input -------------------------------------------------------------------------------------------


@every_profile
@pytest.mark.parametrize("fill", [0x00, 0x80, 0xFF])
def test_every_length_fails_quietly(profile: SrtpProfile, fill: int) -> None:
    ours = context(profile)
    for size in range(65):
        data = bytes((fill,)) * size
        for header_len in (0, 12, 40, 64):
            assert ours.unprotect_rtp(data, header_len, SSRC, EXT_SEQ_START) is None
        assert ours.unprotect_rtcp(data) is None
        assert ours.rtcp_failure in ("malformed", "auth_failed")


@every_profile
def test_every_truncation_and_every_flipped_bit_fails(profile: SrtpProfile) -> None:
    packet = packet_bytes(9, b"0123456789", rich=True)
    sealed = protect(context(profile), packet, EXT_SEQ_START + 9)
    header = rtp.parse_header(sealed)
    assert header is not None
    ours = context(profile)
    for size in range(header.header_len, len(sealed)):
        assert ours.unprotect_rtp(sealed[:size], header.header_len, SSRC, EXT_SEQ_START + 9) is None
    for position in range(len(sealed)):
        bad = bytearray(sealed)
        bad[position] ^= 0x40
        assert ours.unprotect_rtp(bytes(bad), header.header_len, SSRC, EXT_SEQ_START + 9) is None
    for ext_seq in (2 * EXT_SEQ_START + 9, 9):  # the wrong rollover counter
        assert ours.unprotect_rtp(sealed, header.header_len, SSRC, ext_seq) is None
    assert ours.unprotect_rtp(sealed, header.header_len, SSRC, EXT_SEQ_START + 9) == b"0123456789"


@every_profile
def test_rtcp_truncations_and_flips_change_nothing(profile: SrtpProfile) -> None:
    report = rtcp.build_pli(SSRC, 99)
    sealed = context(profile).protect_rtcp(report)
    assert sealed is not None
    ours = context(profile)
    for size in range(len(sealed)):
        assert ours.unprotect_rtcp(sealed[:size]) is None
    for position in range(len(sealed)):
        bad = bytearray(sealed)
        bad[position] ^= 0x01
        assert ours.unprotect_rtcp(bytes(bad)) is None
        assert ours.rtcp_failure == "auth_failed"
    assert ours.unprotect_rtcp(sealed) == report


@every_profile
@settings(max_examples=60)
@given(data=st.binary(max_size=100), header_len=st.integers(0, 120), ext_seq=st.integers(-5, 1 << 50))
def test_any_bytes(profile: SrtpProfile, data: bytes, header_len: int, ext_seq: int) -> None:
    ours = context(profile)
    assert ours.unprotect_rtp(data, header_len, SSRC, ext_seq) is None
    assert ours.unprotect_rtcp(data) is None


@every_profile
def test_rtcp_replay(profile: SrtpProfile) -> None:
    sender, receiver = context(profile), context(profile)
    sealed = [sender.protect_rtcp(rtcp.build_pli(SSRC, number)) for number in range(1100)]
    assert all(sealed)
    packets = [packet for packet in sealed if packet]
    assert receiver.unprotect_rtcp(packets[5]) is not None
    assert receiver.unprotect_rtcp(packets[5]) is None
    assert receiver.rtcp_failure == "replayed"
    assert receiver.unprotect_rtcp(packets[3]) is not None
    assert receiver.unprotect_rtcp(packets[1030]) is not None
    assert receiver.unprotect_rtcp(packets[6]) is None
    assert receiver.rtcp_failure == "too_old"
    assert receiver.unprotect_rtcp(packets[7]) is not None


@every_profile
def test_rtcp_windows_are_bounded(profile: SrtpProfile) -> None:
    sender, receiver = context(profile), context(profile)
    for ssrc in range(MAX_RTCP_SSRCS * 2):
        sealed = sender.protect_rtcp(rtcp.build_pli(ssrc, 1))
        assert sealed is not None
        assert receiver.unprotect_rtcp(sealed) is not None
        assert receiver.unprotect_rtcp(sealed) is None
    assert len(receiver._rtcp_windows) == MAX_RTCP_SSRCS


def test_unencrypted_rtcp_is_refused() -> None:
    """E bit 0: authenticated with the right key, yet not accepted (RFC 3711 §3.4, RFC 8827 §6.5)."""
    profile = SrtpProfile.AES128_CM_SHA1_80
    sealed = context(profile).protect_rtcp(rtcp.build_pli(SSRC, 1))
    assert sealed is not None
    plain = bytearray(sealed)
    plain[-14] &= 0x7F
    ours = context(profile)
    assert ours.unprotect_rtcp(bytes(plain)) is None
    assert ours.rtcp_failure == "malformed"


@every_profile
def test_the_last_rtcp_index_is_never_passed(profile: SrtpProfile) -> None:
    sender = context(profile)
    sender._rtcp_index = (1 << 31) - 1
    sealed = sender.protect_rtcp(rtcp.build_pli(SSRC, 1))
    assert sealed is not None
    assert context(profile).unprotect_rtcp(sealed) == rtcp.build_pli(SSRC, 1)
    assert sender.protect_rtcp(rtcp.build_pli(SSRC, 1)) is None


@every_profile
def test_keys_of_the_wrong_length(profile: SrtpProfile) -> None:
    key, salt = keys(profile)
    for bad_key, bad_salt in ((key[:-1], salt), (key + b"x", salt), (key, salt[:-1]), (key, salt + b"x"), (b"", b"")):
        with pytest.raises(EngineError):
            SrtpContext(profile, bad_key, bad_salt)
