"""DTLS-SRTP against aiortc's: key export, order of profiles, fragmentation, certificates, timers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import struct
import weakref

import pylibsrtp
import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
)
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.engine.api import SrtpProfile
from sfu.sdp.model import Fingerprint
from sfu.transport.dtls import MTU_BYTES, DtlsRole
from sfu.transport.dtls_records import RECORD_HEADER_BYTES, drop_reason, renumber_plaintext, split_datagrams
from tests.sfu.dtls_rig import Pair, client_hello, fragment, large_certificate, record, rsa_certificate
from tests.sfu.transport_rig import until

PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: SRTP_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: SRTP_AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80: SRTP_AES128_CM_SHA1_80,
}


@pytest.mark.parametrize("role", list(DtlsRole))
@pytest.mark.parametrize("profile", list(SrtpProfile))
async def test_keys_of_every_profile_protect_and_unprotect_with_the_peer(role: DtlsRole, profile: SrtpProfile) -> None:
    pair = Pair(role)
    pair.peer._srtp_profiles = [PROFILES[profile]]
    await pair.connect()
    keys = pair.keys[0]
    assert keys.profile is profile
    assert len(keys.rx_key) == len(keys.tx_key) == PROFILES[profile].key_length
    assert len(keys.rx_salt) == len(keys.tx_salt) == PROFILES[profile].salt_length
    packet = struct.pack("!BBHLL", 0x80, 96, 7, 1000, 0x1234) + b"payload"
    ours_in = _session(keys.rx_key + keys.rx_salt, profile, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    ours_out = _session(keys.tx_key + keys.tx_salt, profile, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    assert ours_in.unprotect(pair.peer._tx_srtp.protect(packet)) == packet
    assert pair.peer._rx_srtp.unprotect(ours_out.protect(packet)) == packet
    await pair.close()


def _session(key: bytes, profile: SrtpProfile, direction: int) -> pylibsrtp.Session:
    libsrtp_profile = PROFILES[profile].libsrtp_profile
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=direction, srtp_profile=libsrtp_profile))


@pytest.mark.parametrize("order", list(itertools.permutations(SrtpProfile)))
async def test_as_server_our_order_of_profiles_wins(order: tuple[SrtpProfile, ...]) -> None:
    pair = Pair(DtlsRole.SERVER)
    pair.peer._srtp_profiles = [PROFILES[profile] for profile in order]
    await pair.connect()
    assert pair.keys[0].profile is SrtpProfile.AEAD_AES_128_GCM
    await pair.close()


@pytest.mark.parametrize("role", list(DtlsRole))
async def test_flights_of_several_datagrams_leave_whole_and_within_the_mtu(role: DtlsRole) -> None:
    pair = Pair(role, certificate=large_certificate(60))
    await pair.connect()
    assert len(pair.keys) == 1
    assert sum(map(len, pair.wire.sent_by_us)) > 3000
    assert max(map(len, pair.wire.sent_by_us)) <= MTU_BYTES
    await pair.close()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_fragmented_client_hello_in_any_order(order: tuple[int, ...]) -> None:
    """DT4: Chrome's post-quantum ClientHello needs two or three datagrams."""
    pair = Pair(DtlsRole.SERVER)

    def cut(data: bytes) -> list[bytes]:
        if data[0] != 22 or data[13] != 1:
            return [data]
        body = data[25:]
        third = len(body) // 3
        bounds = [0, third, 2 * third, len(body)]
        parts = [
            record(22, fragment(1, body, seq=0, offset=start, size=end - start), seq=index)
            for index, (start, end) in enumerate(itertools.pairwise(bounds))
        ]
        return [parts[index] for index in order]

    pair.wire.to_us = cut
    await pair.connect()
    assert len(pair.keys) == 1
    await pair.close()


async def test_lost_flights_are_repeated() -> None:
    pair = Pair(DtlsRole.CLIENT)
    lost = iter([True, False, True])
    pair.wire.to_us = lambda data: [] if next(lost, False) else [data]
    await pair.connect()
    assert len(pair.keys) == 1
    await pair.close()


async def test_two_records_in_one_datagram_are_both_read() -> None:
    pair = Pair()
    await pair.connect()
    received: list[bytes] = []

    assert pair.us.session is not None
    pair.us.session.set_packet_receiver(received.append)
    held: list[bytes] = []
    pair.wire.to_us = lambda data: held.append(data) or []  # type: ignore[func-returns-value]
    packets = [bytes(12) + struct.pack("!BBH", 11, index, 4) for index in range(3)]
    for packet in packets:
        await pair.peer._send_data(packet)
    pair.us.feed(b"".join(held))
    await until(lambda: len(received) == 3)
    assert received == packets
    await pair.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda right: [Fingerprint("sha-256", "00" + right[0].value[2:])], "fingerprint_mismatch"),
        (lambda right: [right[0], Fingerprint("sha-384", "00" + right[1].value[2:])], "fingerprint_mismatch"),
        (lambda right: [Fingerprint("sha-1", "AA:BB")], "fingerprint_mismatch"),
    ],
    ids=["wrong", "one of two wrong", "only sha-1"],
)
async def test_certificate_that_does_not_match_gives_no_keys_and_ends_at_once(change, reason) -> None:  # type: ignore[no-untyped-def]
    """DT6."""
    certificate = RTCCertificate.generateCertificate()
    right = [Fingerprint(item.algorithm, item.value) for item in certificate.getFingerprints()]
    pair = Pair(peer_certificate=certificate, fingerprints=change(right))
    pair.start()
    await until(lambda: pair.closed, deadline_s=1.0)
    assert pair.closed == [reason]
    assert pair.keys == []
    assert pair.us.session is None
    await until(lambda: pair.peer.state == "closed", deadline_s=1.0)
    await pair.close()


async def test_fingerprints_of_all_digests_in_any_case_match() -> None:
    certificate = RTCCertificate.generateCertificate()
    right = [Fingerprint(item.algorithm.upper(), item.value.lower()) for item in certificate.getFingerprints()]
    pair = Pair(peer_certificate=certificate, fingerprints=right)
    await pair.connect()
    assert len(pair.keys) == 1
    await pair.close()


def bodies(datagrams: list[bytes]) -> list[bytes]:
    """Of all records, whose numbers differ when they are sent again."""
    found, rest = [], b"".join(datagrams)
    while rest:
        end = record_length(rest)
        found.append(rest[RECORD_HEADER_BYTES:end])
        rest = rest[end:]
    return found


@pytest.mark.parametrize("role", list(DtlsRole))
async def test_our_flight_is_repeated_after_a_second_without_an_answer(role: DtlsRole) -> None:
    """RFC 6347 4.2.4: by our own timer, since the peer says nothing more."""
    pair = Pair(role)
    told = 1 if role is DtlsRole.SERVER else 0
    pair.wire.to_us = lambda data: [data] if len(pair.wire.sent_by_peer) <= told else []
    pair.wire.to_peer = lambda _data: []
    began_s = asyncio.get_running_loop().time()
    pair.start()
    await until(lambda: pair.wire.sent_by_us)
    first = list(pair.wire.sent_by_us)
    await until(lambda: len(pair.wire.sent_by_us) >= 2 * len(first))
    assert asyncio.get_running_loop().time() - began_s > 0.9
    again = pair.wire.sent_by_us[len(first) :]
    assert bodies(again) == bodies(first)
    # Nothing was wrong with it: the same attempt goes on.
    assert pair.counters["dtls_restarts"] == 0
    pair.wire.to_us = pair.wire.to_peer = lambda data: [data]
    await until(lambda: pair.keys)
    await pair.close()


async def test_closed_in_the_middle_of_a_handshake_it_says_nothing_and_plans_nothing() -> None:
    pair = Pair(DtlsRole.SERVER)
    pair.wire.to_peer = lambda _data: []
    pair.start()
    await until(lambda: pair.wire.sent_by_us)
    sent = len(pair.wire.sent_by_us)
    assert pair.us._timer is not None
    pair.us.close()
    assert pair.us._timer is pair.us._work is None
    pair.us.feed(pair.wire.sent_by_peer[0])
    await asyncio.sleep(0)
    assert len(pair.wire.sent_by_us) == sent
    assert pair.closed == []
    await pair.close()


class RawPeer:
    """pyOpenSSL as a peer whose context the test chooses, for offers that aiortc would not make."""

    def __init__(self, pair: Pair, configure, *, accepts: bool = False) -> None:  # type: ignore[no-untyped-def]
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
        context.use_certificate(pair.peer_certificate._cert)
        context.use_privatekey(pair.peer_certificate._key)
        configure(context)
        self.connection = SSL.Connection(context)
        if accepts:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()
        self.pair = pair
        self.done = False
        pair.wire.to_peer = self._receive

    def step(self) -> None:
        try:
            self.connection.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        except SSL.Error:
            return
        self._flush()

    def _receive(self, data: bytes) -> list[bytes]:
        self.connection.bio_write(data)
        asyncio.get_running_loop().call_soon(self.step)
        return []

    def _flush(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            self.pair.us.feed(self.connection.bio_read(16_384))


def _without_certificate(context: SSL.Context) -> None:
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)


@pytest.mark.parametrize(
    "configure",
    [
        lambda context: context.set_cipher_list(b"ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
        lambda context: context.set_cipher_list(b"ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"),
        lambda context: context.set_max_proto_version(0xFEFF),
        lambda context: context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_32"),
    ],
    ids=["CBC suite", "NULL suite", "DTLS 1.0", "unknown SRTP profile"],
)
async def test_weak_offers_are_refused(configure) -> None:  # type: ignore[no-untyped-def]
    """DT7. They end without keys; nothing that a peer can offer makes us weaker."""
    pair = Pair(DtlsRole.SERVER)
    client = RawPeer(pair, configure)
    pair.us.start()
    client.step()
    await until(lambda: pair.counters["dtls_restarts"] or pair.closed or pair.counters["dtls_no_shared_suite"])
    assert pair.keys == []
    assert pair.us.session is None
    await pair.close()


async def test_raw_client_with_sound_offers_connects() -> None:
    """The control of the test above."""
    pair = Pair(DtlsRole.SERVER)
    client = RawPeer(pair, lambda _context: None)
    pair.us.start()
    client.step()
    await until(lambda: pair.keys)
    assert client.done or pair.us.session is not None
    await pair.close()


@pytest.mark.parametrize("role", list(DtlsRole))
async def test_a_peer_with_an_rsa_certificate_connects(role: DtlsRole) -> None:
    certificate = rsa_certificate()
    pair = Pair(role, peer_certificate=certificate)
    peer = RawPeer(pair, lambda _context: None, accepts=role is DtlsRole.CLIENT)
    pair.us.start()
    if role is DtlsRole.SERVER:
        peer.step()
    await until(lambda: pair.keys or pair.closed)
    assert pair.closed == []
    assert pair.us.session is not None
    await pair.close()


async def test_client_without_srtp_is_refused() -> None:
    pair = Pair(DtlsRole.SERVER)
    plain = SSL.Context(SSL.DTLS_METHOD)
    plain.use_certificate(pair.peer_certificate._cert)
    plain.use_privatekey(pair.peer_certificate._key)
    client = RawPeer(pair, lambda _context: None)
    client.connection = SSL.Connection(plain)
    client.connection.set_connect_state()
    pair.us.start()
    client.step()
    await until(lambda: pair.closed)
    assert pair.closed == ["dtls_failed"]
    assert pair.keys == []
    await pair.close()


async def test_client_without_certificate_is_refused() -> None:
    """DT6."""
    pair = Pair(DtlsRole.SERVER)
    bare = SSL.Context(SSL.DTLS_METHOD)
    bare.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
    client = RawPeer(pair, lambda _context: None)
    client.connection = SSL.Connection(bare)
    client.connection.set_connect_state()
    pair.us.start()
    client.step()
    await until(lambda: pair.counters["dtls_restarts"])
    assert pair.keys == []
    await pair.close()


async def test_renegotiation_is_refused() -> None:
    """DT7: no second handshake inside the first, whoever asks."""
    for role in DtlsRole:
        pair = Pair(role)
        await pair.connect()
        before = len(pair.wire.sent_by_us)
        assert pair.peer._ssl is not None
        assert pair.us.session is not None
        try:
            pair.peer._ssl.renegotiate()
            pair.peer._ssl.do_handshake()
        except SSL.Error:
            pass
        await pair.peer._write_ssl()
        await until(lambda pair=pair, before=before: len(pair.wire.sent_by_us) > before)  # type: ignore[misc]
        # A no_renegotiation alert goes back, no handshake message.
        assert [data[0] for data in pair.wire.sent_by_us[before:]] == [21]
        assert len(pair.keys) == 1
        await pair.close()


async def test_close_notify_both_ways() -> None:
    pair = Pair()
    await pair.connect()
    await pair.peer.stop()
    await until(lambda: pair.closed)
    assert pair.closed == ["peer_closed"]
    other = Pair()
    await other.connect()
    other.us.close()
    other.us.close()
    await until(lambda: other.peer.state == "closed")
    assert other.closed == []
    await pair.close()
    await other.close()


async def test_openssl_is_let_go_of_at_the_end_without_the_garbage_collector() -> None:
    pair = Pair()
    await pair.connect()
    assert pair.us.session is not None
    kept = weakref.ref(pair.us.session._openssl)
    gc.disable()
    try:
        pair.us.close()
        assert kept() is None
    finally:
        gc.enable()
    pair.us.session.send(b"too late")
    assert pair.counters["dtls_not_sent"] == 1
    await pair.close()


async def test_who_gets_a_packet_may_end_the_session() -> None:
    pair = Pair()
    await pair.connect()
    got: list[bytes] = []

    def receive(packet: bytes) -> None:
        got.append(packet)
        pair.us.close()

    assert pair.us.session is not None
    pair.us.session.set_packet_receiver(receive)
    for packet in (b"first", b"second"):
        await pair.peer._send_data(packet)
    await until(lambda: pair.peer.state == "closed")
    assert got == [b"first"]
    assert pair.counters["dtls_faults"] == 0
    await pair.close()


async def test_queue_is_bounded() -> None:
    pair = Pair(max_queue_datagrams=4)
    hello = record(22, fragment(16, bytes(8), seq=4, offset=0, size=8))
    for _ in range(10):
        pair.us.feed(hello)
    assert pair.counters["dtls_queue_full"] == 6
    await pair.close()


@given(st.lists(st.binary(max_size=1500), max_size=12))
def test_split_datagrams_keeps_records_whole(bodies: list[bytes]) -> None:
    records = [record(23, body, epoch=1, seq=index) for index, body in enumerate(bodies)]
    datagrams = list(split_datagrams(b"".join(records), MTU_BYTES))
    assert b"".join(datagrams) == b"".join(records)
    ends = set(itertools.accumulate(map(len, records), initial=0))
    assert set(itertools.accumulate(map(len, datagrams), initial=0)) <= ends
    assert all(len(datagram) <= MTU_BYTES or datagram in records for datagram in datagrams)
    # Greedy: no two neighbours would have fitted into one.
    assert all(len(first) + record_length(second) > MTU_BYTES for first, second in itertools.pairwise(datagrams))


def record_length(datagram: bytes) -> int:
    return RECORD_HEADER_BYTES + int.from_bytes(datagram[11:13])


def test_renumbering_touches_only_the_numbers_of_plain_records() -> None:
    records = [record(22, b"first", seq=2**48 - 1), record(22, b"second", epoch=1, seq=7), record(20, b"\1", seq=0)]
    expected = [record(22, b"first", seq=5), records[1], record(20, b"\1", seq=6)]
    assert renumber_plaintext(b"".join(records), 5) == (b"".join(expected), 7)


@given(st.binary(max_size=1500), st.booleans())
def test_drop_reason_never_raises(data: bytes, handshaking: bool) -> None:
    reason = drop_reason(data, handshaking=handshaking)
    assert reason is None or reason.startswith("dtls_")


@given(
    st.lists(
        st.builds(
            record,
            st.integers(18, 25),
            st.binary(max_size=60),
            epoch=st.integers(0, 1),
            version=st.sampled_from([0xFEFD, 0xFEFF, 0x0303]),
        ),
        max_size=4,
    ),
    st.integers(0, 5),
)
def test_drop_reason_of_record_shaped_bytes(records: list[bytes], cut: int) -> None:
    data = b"".join(records)
    drop_reason(data[: len(data) - cut], handshaking=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "dtls_malformed"),
        (record(22, b"")[:12], "dtls_malformed"),
        (record(22, bytes(20))[:-1], "dtls_malformed"),
        (record(21, b"\x02\x28"), "dtls_plaintext_alert"),
        (record(23, b"x"), "dtls_malformed"),
        (record(22, fragment(11, b"", seq=1, offset=0, size=0, total=16_000_000)), "dtls_malformed"),
        (record(22, fragment(11, bytes(9), seq=1, offset=0, size=9, total=16_000_000)), "dtls_handshake_too_large"),
        (record(22, fragment(11, bytes(9), seq=33, offset=0, size=9)), "dtls_handshake_too_large"),
        (record(22, fragment(11, bytes(9), seq=1, offset=0, size=9, total=6144)), None),
        (record(22, fragment(11, bytes(9), seq=1, offset=0, size=9, total=6145)), "dtls_handshake_too_large"),
        (record(22, fragment(11, bytes(9), seq=4, offset=0, size=9, total=1025)), "dtls_handshake_too_large"),
        (record(22, fragment(16, bytes(9), seq=1, offset=0, size=9, total=1025)), "dtls_handshake_too_large"),
        (record(22, fragment(11, bytes(9), seq=1, offset=4, size=9)), "dtls_malformed"),
        (client_hello(b"\x00\x00"), "dtls_no_shared_suite"),
        (client_hello(b"\x00\x00\xc0\x2b"), None),
        (record(22, bytes(30), epoch=1), None),
        (record(21, bytes(30), epoch=1), None),
    ],
)
def test_drop_reasons(data: bytes, reason: str | None) -> None:
    assert drop_reason(data, handshaking=True) == reason
