"""SRTP and SRTCP for one direction of one transport (RFC 3711; AES-GCM: RFC 7714).

The caller estimates `ext_seq` (see `seqnum`) and keeps the RTP replay window, so that replay is checked before
decryption and remembered after it. SRTCP carries its index itself: its replay windows are kept here.
Nothing raises for any input: failures return None.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from sfu.engine.api import SrtpProfile
from sfu.engine.reference.seqnum import EXT_SEQ_START, OK, ReplayWindow
from sfu.errors import EngineError

KEY_BYTES: Final = {
    SrtpProfile.AEAD_AES_128_GCM: 16,
    SrtpProfile.AEAD_AES_256_GCM: 32,
    SrtpProfile.AES128_CM_SHA1_80: 16,
}
SALT_BYTES: Final = {
    SrtpProfile.AEAD_AES_128_GCM: 12,
    SrtpProfile.AEAD_AES_256_GCM: 12,
    SrtpProfile.AES128_CM_SHA1_80: 14,
}

MAX_RTCP_SSRCS = 256
"""SRTCP replay windows per transport; beyond it the oldest is forgotten. Only the peer itself can get there."""

_GCM_TAG_BYTES = 16
_SHA1_TAG_BYTES = 10
_INDEX_BYTES = 4
_RTCP_HEADER_BYTES = 8
_E_BIT = 0x8000_0000
_INDEX_MASK = (1 << 48) - 1
_MAX_RTCP_INDEX = (1 << 31) - 1

_LABEL_RTP_KEY, _LABEL_RTP_AUTH, _LABEL_RTP_SALT = 0, 1, 2
_LABEL_RTCP_KEY, _LABEL_RTCP_AUTH, _LABEL_RTCP_SALT = 3, 4, 5


def derive_key(master_key: bytes, master_salt: bytes, label: int, size: int) -> bytes:
    """`size` bytes of session key from AES-CM as the PRF, key derivation rate 0 (RFC 3711 §4.3).

    A salt of 12 bytes (AES-GCM) is extended with zero bytes to 14 (RFC 7714 §11).
    """
    x = int.from_bytes(master_salt.ljust(14, b"\0"), "big") ^ (label << 48)
    encryptor = Cipher(AES(master_key), CTR((x << 16).to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(size))


class GcmTransform:
    """AES-GCM with session keys (RFC 7714): the tag of 16 bytes follows the ciphertext."""

    __slots__ = ("_rtcp", "_rtcp_salt", "_rtp", "_rtp_salt")

    def __init__(self, rtp_key: bytes, rtp_salt: bytes, rtcp_key: bytes, rtcp_salt: bytes) -> None:
        self._rtp = AESGCM(rtp_key)
        self._rtp_salt = int.from_bytes(rtp_salt, "big")
        self._rtcp = AESGCM(rtcp_key)
        self._rtcp_salt = int.from_bytes(rtcp_salt, "big")

    def protect_rtp(self, header: bytes, payload: bytes, ssrc: int, ext_seq: int) -> bytes:
        # IV = (0^16 | SSRC | ROC | SEQ) xor salt (RFC 7714 §8.1).
        iv = self._rtp_salt ^ (ssrc << 48) ^ ((ext_seq - EXT_SEQ_START) & _INDEX_MASK)
        return header + self._rtp.encrypt(iv.to_bytes(12, "big"), payload, header)

    def unprotect_rtp(self, data: bytes, header_len: int, ssrc: int, ext_seq: int) -> bytes | None:
        if len(data) < header_len + _GCM_TAG_BYTES:
            return None
        iv = self._rtp_salt ^ (ssrc << 48) ^ ((ext_seq - EXT_SEQ_START) & _INDEX_MASK)
        try:
            return self._rtp.decrypt(iv.to_bytes(12, "big"), data[header_len:], data[:header_len])
        except InvalidTag:
            return None

    def _rtcp_iv(self, ssrc: int, index: int) -> bytes:
        # IV = (0^16 | SSRC | 0^16 | 0 | index) xor salt (RFC 7714 §9.1).
        return (self._rtcp_salt ^ (ssrc << 48) ^ index).to_bytes(12, "big")

    def protect_rtcp(self, packet: bytes, ssrc: int, index: int) -> bytes:
        header = packet[:_RTCP_HEADER_BYTES]
        trailer = (_E_BIT | index).to_bytes(_INDEX_BYTES, "big")
        sealed = self._rtcp.encrypt(self._rtcp_iv(ssrc, index), packet[_RTCP_HEADER_BYTES:], header + trailer)
        return header + sealed + trailer

    def unprotect_rtcp(self, data: bytes, ssrc: int, index: int) -> bytes | None:
        header = data[:_RTCP_HEADER_BYTES]
        sealed = data[_RTCP_HEADER_BYTES:-_INDEX_BYTES]
        try:
            plain = self._rtcp.decrypt(self._rtcp_iv(ssrc, index), sealed, header + data[-_INDEX_BYTES:])
        except InvalidTag:
            return None
        return header + plain

    def rtcp_index_word(self, data: bytes) -> int | None:
        """E bit and index of a protected RTCP packet; None when it is too short to be one."""
        if len(data) < _RTCP_HEADER_BYTES + _GCM_TAG_BYTES + _INDEX_BYTES:
            return None
        return int.from_bytes(data[-_INDEX_BYTES:], "big")


class CmSha1Transform:
    """AES counter mode with an HMAC-SHA1 tag of 80 bits, with session keys (RFC 3711 §4.1.1, §4.2.1)."""

    __slots__ = ("_rtcp", "_rtcp_auth", "_rtcp_salt", "_rtp", "_rtp_auth", "_rtp_salt")

    def __init__(self, rtp: tuple[bytes, bytes, bytes], rtcp: tuple[bytes, bytes, bytes]) -> None:
        """Each tuple is (cipher key, salt, authentication key)."""
        key, salt, self._rtp_auth = rtp
        self._rtp = _counter_mode(key)
        self._rtp_salt = int.from_bytes(salt, "big") << 16
        key, salt, self._rtcp_auth = rtcp
        self._rtcp = _counter_mode(key)
        self._rtcp_salt = int.from_bytes(salt, "big") << 16

    def _crypt_rtp(self, payload: bytes, ssrc: int, index: int) -> bytes:
        # IV = salt * 2^16 xor SSRC * 2^64 xor index * 2^16 (RFC 3711 §4.1.1).
        iv = self._rtp_salt ^ (ssrc << 64) ^ (index << 16)
        self._rtp.reset_nonce(iv.to_bytes(16, "big"))
        return self._rtp.update(payload)

    def protect_rtp(self, header: bytes, payload: bytes, ssrc: int, ext_seq: int) -> bytes:
        index = (ext_seq - EXT_SEQ_START) & _INDEX_MASK
        sealed = header + self._crypt_rtp(payload, ssrc, index)
        tag = hmac.digest(self._rtp_auth, sealed + (index >> 16).to_bytes(4, "big"), "sha1")
        return sealed + tag[:_SHA1_TAG_BYTES]

    def unprotect_rtp(self, data: bytes, header_len: int, ssrc: int, ext_seq: int) -> bytes | None:
        if len(data) < header_len + _SHA1_TAG_BYTES:
            return None
        index = (ext_seq - EXT_SEQ_START) & _INDEX_MASK
        sealed = data[:-_SHA1_TAG_BYTES]
        tag = hmac.digest(self._rtp_auth, sealed + (index >> 16).to_bytes(4, "big"), "sha1")
        if not hmac.compare_digest(tag[:_SHA1_TAG_BYTES], data[-_SHA1_TAG_BYTES:]):
            return None
        return self._crypt_rtp(sealed[header_len:], ssrc, index)

    def _crypt_rtcp(self, body: bytes, ssrc: int, index: int) -> bytes:
        iv = self._rtcp_salt ^ (ssrc << 64) ^ (index << 16)
        self._rtcp.reset_nonce(iv.to_bytes(16, "big"))
        return self._rtcp.update(body)

    def protect_rtcp(self, packet: bytes, ssrc: int, index: int) -> bytes:
        body = self._crypt_rtcp(packet[_RTCP_HEADER_BYTES:], ssrc, index)
        sealed = packet[:_RTCP_HEADER_BYTES] + body + (_E_BIT | index).to_bytes(_INDEX_BYTES, "big")
        return sealed + hmac.digest(self._rtcp_auth, sealed, "sha1")[:_SHA1_TAG_BYTES]

    def unprotect_rtcp(self, data: bytes, ssrc: int, index: int) -> bytes | None:
        sealed = data[:-_SHA1_TAG_BYTES]
        tag = hmac.digest(self._rtcp_auth, sealed, "sha1")[:_SHA1_TAG_BYTES]
        if not hmac.compare_digest(tag, data[-_SHA1_TAG_BYTES:]):
            return None
        return data[:_RTCP_HEADER_BYTES] + self._crypt_rtcp(sealed[_RTCP_HEADER_BYTES:-_INDEX_BYTES], ssrc, index)

    def rtcp_index_word(self, data: bytes) -> int | None:
        """E bit and index of a protected RTCP packet; None when it is too short to be one."""
        if len(data) < _RTCP_HEADER_BYTES + _INDEX_BYTES + _SHA1_TAG_BYTES:
            return None
        return int.from_bytes(data[-_SHA1_TAG_BYTES - _INDEX_BYTES : -_SHA1_TAG_BYTES], "big")


def _counter_mode(key: bytes) -> CipherContext:
    return Cipher(AES(key), CTR(bytes(16))).encryptor()


def _create_transform(profile: SrtpProfile, key: bytes, salt: bytes) -> GcmTransform | CmSha1Transform:
    key_bytes, salt_bytes = KEY_BYTES[profile], SALT_BYTES[profile]
    rtp_key = derive_key(key, salt, _LABEL_RTP_KEY, key_bytes)
    rtp_salt = derive_key(key, salt, _LABEL_RTP_SALT, salt_bytes)
    rtcp_key = derive_key(key, salt, _LABEL_RTCP_KEY, key_bytes)
    rtcp_salt = derive_key(key, salt, _LABEL_RTCP_SALT, salt_bytes)
    if profile is not SrtpProfile.AES128_CM_SHA1_80:
        return GcmTransform(rtp_key, rtp_salt, rtcp_key, rtcp_salt)
    rtp_auth = derive_key(key, salt, _LABEL_RTP_AUTH, 20)
    rtcp_auth = derive_key(key, salt, _LABEL_RTCP_AUTH, 20)
    return CmSha1Transform((rtp_key, rtp_salt, rtp_auth), (rtcp_key, rtcp_salt, rtcp_auth))


class SrtpContext:
    """One direction of one transport: protect with our keys or unprotect with the peer's.

    Raises `EngineError` for keys or salts of the wrong length.
    """

    __slots__ = ("_rtcp_index", "_rtcp_windows", "_transform", "protect_rtp", "rtcp_failure", "unprotect_rtp")

    def __init__(self, profile: SrtpProfile, key: bytes, salt: bytes) -> None:
        if len(key) != KEY_BYTES[profile] or len(salt) != SALT_BYTES[profile]:
            raise EngineError(
                f"{profile} needs a key of {KEY_BYTES[profile]} and a salt of {SALT_BYTES[profile]} bytes"
            )
        transform = _create_transform(profile, key, salt)
        self._transform = transform
        self._rtcp_index = 0
        self._rtcp_windows: dict[int, ReplayWindow] = {}
        self.rtcp_failure = ""
        """Why the last `unprotect_rtcp` returned None: malformed, replayed, too_old or auth_failed."""
        # Bound methods: one call less for every media packet.
        self.protect_rtp: Callable[[bytes, bytes, int, int], bytes] = transform.protect_rtp
        """(header, payload, ssrc, ext_seq) -> datagram. `header` includes CSRCs and extensions."""
        self.unprotect_rtp: Callable[[bytes, int, int, int], bytes | None] = transform.unprotect_rtp
        """(data, header_len, ssrc, ext_seq) -> plaintext with padding, or None when authentication fails."""

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """A compound RTCP packet (at least 8 bytes) protected under the next SRTCP index.

        None once the key has sealed its 2^31 packets (RFC 3711 §9.2): an index must never repeat.
        """
        index = self._rtcp_index
        if index > _MAX_RTCP_INDEX:
            return None
        self._rtcp_index = index + 1
        return self._transform.protect_rtcp(packet, int.from_bytes(packet[4:8], "big"), index)

    def unprotect_rtcp(self, data: bytes) -> bytes | None:
        """The compound packet inside, or None with the reason in `rtcp_failure`.

        Packets without the E bit are refused: WebRTC never leaves RTCP unencrypted (RFC 8827 §6.5).
        """
        word = self._transform.rtcp_index_word(data)
        if word is None or not word & _E_BIT:
            self.rtcp_failure = "malformed"
            return None
        index = word ^ _E_BIT
        ssrc = int.from_bytes(data[4:8], "big")
        window = self._rtcp_windows.get(ssrc)
        if window is not None:
            verdict = window.check(index)
            if verdict != OK:
                self.rtcp_failure = verdict
                return None
        plain = self._transform.unprotect_rtcp(data, ssrc, index)
        if plain is None:
            self.rtcp_failure = "auth_failed"
            return None
        if window is None:
            if len(self._rtcp_windows) >= MAX_RTCP_SSRCS:
                del self._rtcp_windows[next(iter(self._rtcp_windows))]
            window = self._rtcp_windows[ssrc] = ReplayWindow()
        window.commit(index)
        return plain
