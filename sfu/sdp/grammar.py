"""The shapes of single SDP values: what may come in, and what is allowed out.

Every pattern is matched against the whole value and has no nested repetition, so its cost is linear. `\\d` and `\\w`
are not used: they match non-ASCII digits and letters.
"""

from __future__ import annotations

import re

from sfu.errors import SdpError

MAX_LINE_CHARS = 8192
MAX_PAYLOADS_PER_SECTION = 64
MAX_SSRCS_PER_SECTION = 32
MAX_CANDIDATES_PER_SECTION = 64
MAX_EXTENSIONS_PER_SECTION = 64
MAX_RIDS_PER_SECTION = 32
MAX_FINGERPRINTS = 8
MAX_PARAMETERS_PER_CODEC = 32
MAX_FEEDBACK_PER_CODEC = 16

# RFC 8866 §9 `token`; RFC 8843 and RFC 8852 carry a mid as an RTP header extension of at most 16 bytes.
TOKEN = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,255}")
MID = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,16}")
RID = re.compile(r"[0-9A-Za-z]{1,16}")  # RFC 8852 §3; dash and underscore (RFC 8851) cannot be sent in RTP
NUMBER = re.compile(r"[0-9]{1,10}")
LONG_NUMBER = re.compile(r"[0-9]{1,20}")
VISIBLE = re.compile(r"[!-~]{1,256}")
PROTOCOL = re.compile(r"[0-9A-Za-z./-]{1,32}")
UFRAG = re.compile(r"[0-9A-Za-z+/]{4,256}")  # RFC 8839 §5.4
PWD = re.compile(r"[0-9A-Za-z+/]{22,256}")
HEX_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,63}")
CANDIDATE = re.compile(
    r"[0-9A-Za-z+/]{1,32} [0-9]{1,3} [0-9A-Za-z-]{1,16} [0-9]{1,10} [!-~]{1,255} [0-9]{1,5} typ [0-9A-Za-z-]{1,16}"
    r"(?: [!-~ ]{1,1024})?"
)
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Control characters that no line may hold (tab is allowed in free text), and lone surrogates."""

# The stream and track ids and CNAMEs that we make: token characters that also survive a=msid and a=ssrc of every
# parser we know of. "|" separates participant and track in a stream id.
OUR_ID = re.compile(r"[0-9A-Za-z_|.{}+/=-]{1,64}")

FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Accepted digests (RFC 8122 §5) and their length."""

RTP_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF"})
"""What browsers and SIP gateways write for DTLS-SRTP; all mean the same to an answerer (RFC 8829 §5.1.2)."""
SCTP_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP"})
DATA_FORMAT = "webrtc-datachannel"


def number(text: str, what: str, *, highest: int, lowest: int = 0) -> int:
    """A plain decimal within bounds. `what` names the value in the error; the text itself never does."""
    if NUMBER.fullmatch(text) is None or not lowest <= int(text) <= highest:
        raise SdpError(f"{what} is not a number from {lowest} to {highest}")
    return int(text)


def check(pattern: re.Pattern[str], text: str, what: str) -> str:
    if pattern.fullmatch(text) is None:
        raise SdpError(f"{what} is malformed")
    return text
