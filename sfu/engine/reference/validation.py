"""Misuse of commands, told apart from bad input: these raise `EngineError`."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable

from sfu.engine.api import (
    MAX_FEC_PACKETS,
    MAX_REDUNDANCY,
    MAX_REDUNDANCY_STEP,
    OutboundPayload,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.errors import EngineError

_MAX_SSRC = 0xFFFF_FFFF
_MAX_PAYLOAD_TYPE = 127
_MAX_EXTENSION_ID = 255
_MAX_NAME_BYTES = 255


def _refuse(message: str) -> None:
    raise EngineError(message, code="invalid_config")


def check_transport(config: TransportConfig) -> None:
    rates = (config.max_packets_per_s, config.max_bitrate_bps, config.max_feedback_per_s)
    if config.group < 0 or config.max_ssrcs < 1 or min(rates) < 0:
        _refuse("a transport needs room for one SSRC, and a group and rates that are not negative")


def check_track(config: TrackConfig) -> None:
    if not config.layers or not config.payloads:
        _refuse("a track needs a layer and a payload type")
    types = [payload.payload_type for payload in config.payloads]
    types += [payload.rtx_payload_type for payload in config.payloads if payload.rtx_payload_type is not None]
    if len(set(types)) != len(types) or not all(0 <= payload_type <= _MAX_PAYLOAD_TYPE for payload_type in types):
        _refuse("payload types of a track are different and 0..127")
    if any(payload.clock_rate <= 0 for payload in config.payloads):
        _refuse("clock rates are positive")
    if config.max_bitrate_bps < 0 or config.keyframe_cache_bytes < 0:
        _refuse("a bitrate and the size of a cache are not negative")
    for layer in config.layers:
        for ssrc in (layer.ssrc, layer.rtx_ssrc):
            if ssrc is not None and not 0 <= ssrc <= _MAX_SSRC:
                _refuse("an SSRC has 32 bits")
    _check_extensions(config.extensions.values())


def check_subscription(config: SubscriptionConfig, taken: Container[int | None]) -> None:
    """Raises as well when another subscription of the transport has one of the SSRCs (`taken`): nonces would repeat."""
    ssrcs = [ssrc for ssrc in (config.ssrc, config.rtx_ssrc, config.fec_ssrc) if ssrc is not None]
    if not all(0 <= ssrc <= _MAX_SSRC for ssrc in ssrcs) or len(set(ssrcs)) != len(ssrcs):
        _refuse("SSRCs are different and have 32 bits")
    if any(ssrc in taken for ssrc in ssrcs):
        _refuse("the SSRC is in use on this transport")
    check_payloads(config.payloads.values())
    if not 0 <= config.fec_payload_type <= _MAX_PAYLOAD_TYPE:
        _refuse("payload types are 0..127")
    if config.cache_packets < 0:
        _refuse("a cache has no negative size")
    if len(config.mid.encode()) > _MAX_NAME_BYTES or len(config.cname.encode()) > _MAX_NAME_BYTES:
        _refuse("MID and CNAME have at most 255 bytes")
    _check_extensions(config.extensions.values())


def check_payloads(payloads: Collection[OutboundPayload]) -> None:
    types = [payload_type for one in payloads for payload_type in (one.payload_type, one.frame_type)]
    types += [one.rtx_payload_type for one in payloads if one.rtx_payload_type is not None]
    if not all(0 <= payload_type <= _MAX_PAYLOAD_TYPE for payload_type in types):
        _refuse("payload types are 0..127")
    if not all(0 <= one.redundancy <= MAX_REDUNDANCY for one in payloads):
        _refuse("redundancy is 0..3 frames")
    if not all(1 <= one.redundancy_step <= MAX_REDUNDANCY_STEP for one in payloads):
        _refuse("frames of redundancy are 1..4 apart")


def check_fec(packets: int) -> None:
    if packets and not 2 <= packets <= MAX_FEC_PACKETS:
        _refuse("2..15 packets share a repair packet")


def _check_extensions(ids: Iterable[int]) -> None:
    values = list(ids)
    if len(set(values)) != len(values) or not all(1 <= value <= _MAX_EXTENSION_ID for value in values):
        _refuse("extension ids are different and 1..255")
