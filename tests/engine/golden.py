"""Golden traces: calls into an engine and what came out, as JSON that pytest and `cargo test` replay.

`python -m tests.engine.golden SEED CALLS FILE` records one from a random life, or, when the name of the file begins
with "line", from a call over a narrow line ("uplink": towards the server), with "fec" from pictures with repair
packets. A call is [name, arguments, result or error code, digest of what came out]; the digest is FNV-1a over lines of
text, empty for nothing. A failure of the differential test is kept by recording its life up to the call that it names.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path as FilePath
from typing import Any

from sfu.engine.api import (
    AudioLevel,
    Codec,
    DtlsReceived,
    EngineStats,
    EstimateChanged,
    Event,
    Extension,
    InboundLayer,
    InboundPayload,
    Kind,
    LayerChanged,
    OutboundPayload,
    PacketEngine,
    Path,
    RembReceived,
    SrtpKeys,
    SrtpProfile,
    StreamStarted,
    StunReceived,
    SubscriptionConfig,
    TrackConfig,
    Transmit,
    TransportConfig,
    UplinkNarrowed,
)
from sfu.errors import EngineError

FOLDER = FilePath(__file__).resolve().parent.parent / "vectors" / "engine"


def encode(value: object) -> Any:
    """An argument as JSON: bytes as hex, mappings as pairs, paths and sequences as lists, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return [[encode(key), encode(one)] for key, one in value.items()]
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    return value


def _path(value: list[Any]) -> Path:
    protocol, local, remote = value
    return Path(protocol, tuple(local), tuple(remote))


def _extensions(value: list[Any]) -> dict[Extension, int]:
    return {Extension(uri): number for uri, number in value}


def _track(value: dict[str, Any]) -> TrackConfig:
    fields = {
        **value,
        "kind": Kind(value["kind"]),
        "payloads": [InboundPayload(**{**one, "codec": Codec(one["codec"])}) for one in value["payloads"]],
        "layers": [InboundLayer(**one) for one in value["layers"]],
        "extensions": _extensions(value["extensions"]),
    }
    return TrackConfig(**fields)


def _payloads(value: list[Any]) -> dict[int, OutboundPayload]:
    return {number: OutboundPayload(**one) for number, one in value}


def _subscription(value: dict[str, Any]) -> SubscriptionConfig:
    fields = {
        **value,
        "payloads": _payloads(value["payloads"]),
        "extensions": _extensions(value["extensions"]),
    }
    return SubscriptionConfig(**fields)


def _keys(value: dict[str, Any]) -> SrtpKeys:
    parts = {name: bytes.fromhex(part) for name, part in value.items() if name != "profile"}
    return SrtpKeys(profile=SrtpProfile(value["profile"]), **parts)


DECODERS = {
    ("add_transport", 0): lambda value: TransportConfig(**value),
    ("set_srtp", 1): _keys,
    ("allow_path", 1): _path,
    ("set_path", 1): _path,
    ("forget_path", 0): _path,
    ("add_track", 1): _track,
    ("set_track_config", 1): _track,
    ("add_subscription", 2): _subscription,
    ("set_payloads", 1): _payloads,
    ("handle_datagram", 1): _path,
    ("handle_datagram", 2): bytes.fromhex,
}


def decode(name: str, arguments: list[Any]) -> list[Any]:
    """The arguments of a recorded call."""
    return [DECODERS.get((name, place), lambda one: one)(value) for place, value in enumerate(arguments)]


def _path_text(path: Path) -> str:
    return f"{path.protocol} {path.local[0]} {path.local[1]} {path.remote[0]} {path.remote[1]}"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def event_text(event: Event) -> str:
    if isinstance(event, StunReceived):
        return f"stun {_path_text(event.path)} {event.data.hex()}"
    if isinstance(event, DtlsReceived):
        return f"dtls {event.transport} {_path_text(event.path)} {event.data.hex()}"
    if isinstance(event, StreamStarted):
        return f"started {event.track} {event.layer} {event.ssrc} {event.payload_type}"
    if isinstance(event, LayerChanged):
        return f"layer {event.subscription} {_number(event.spatial)} {_number(event.temporal)}"
    if isinstance(event, EstimateChanged):
        return f"estimate {event.transport} {event.bitrate_bps}"
    if isinstance(event, UplinkNarrowed):
        return f"uplink {event.transport} {event.bitrate_bps}"
    assert isinstance(event, RembReceived)
    return f"remb {event.transport} {event.bitrate_bps}"


def result_text(result: object) -> str:
    """What a call returned: a handle, a time, levels, or statistics."""
    if isinstance(result, EngineStats):
        lines = [f"total {result.packets_received} {result.packets_sent} {result.bytes_received} {result.bytes_sent}"]
        lines += [
            f"estimate {one.transport} {one.estimate_bps} {one.acknowledged_bps} {one.feedback_lost} {one.probes_sent}"
            for one in result.transports
            if one.estimate_bps is not None
        ]
        lines += [f"drop {reason} {count}" for reason, count in result.drops.items()]
        for track in result.tracks:
            lines += [
                f"layer {track.track} {one.layer} {_number(one.ssrc)} {one.packets_received} {one.bytes_received}"
                f" {one.packets_lost} {one.nacks_sent} {one.plis_sent} {one.keyframes_received} {one.bitrate_bps}"
                f" {int(one.active)}"
                for one in track.layers
            ]
        lines += [
            f"subscription {one.subscription} {one.packets_sent} {one.bytes_sent} {one.retransmitted_packets_sent}"
            f" {one.nacks_received} {one.nack_misses} {one.plis_received}"
            f" {_number(one.spatial)} {_number(one.temporal)}"
            for one in result.subscriptions
        ]
        return digest(lines)
    if isinstance(result, list):
        assert all(isinstance(one, AudioLevel) for one in result)
        return digest([f"level {one.track} {one.level_dbov} {one.active_ms}" for one in result])
    return "" if result is None else str(result)


def digest(lines: list[str]) -> str:
    """FNV-1a, 64 bits, of the lines, each with its end of line; empty for none."""
    value = 0xCBF29CE484222325
    for byte in "".join(f"{line}\n" for line in lines).encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return f"{value:016x}" if lines else ""


def output_text(transmits: list[Transmit], events: list[Event]) -> str:
    lines = [f"send {_path_text(one.path)} {one.data.hex()}" for one in transmits]
    return digest(lines + [event_text(event) for event in events])


def replay(engine: PacketEngine, calls: list[list[Any]]) -> None:
    """Make the calls; fail at the first that ends in anything else than what was recorded."""
    for number, (name, arguments, result, output) in enumerate(calls):
        try:
            got = result_text(getattr(engine, name)(*decode(name, arguments)))
        except EngineError as error:
            got = error.code
        transmits, events = [], []
        while (transmit := engine.poll_transmit()) is not None:
            transmits.append(transmit)
        while (event := engine.poll_event()) is not None:
            events.append(event)
        assert (got, output_text(transmits, events)) == (result, output), f"call {number}: {name} {arguments}"


def save(file: FilePath, seed: int, calls: list[list[Any]]) -> None:
    lines = ",\n".join(json.dumps(call, separators=(",", ":")) for call in calls)
    file.write_text(f'{{"seed":{seed},"calls":[\n{lines}\n]}}\n')


def _record(seed: int, calls: int, file: FilePath) -> None:
    from tests.engine.test_engine_differential import ACTIONS, Life

    if file.stem.startswith("line"):
        _record_line(seed, calls, file)
        return
    if file.stem.startswith("uplink"):
        _record_uplink(seed, calls, file)
        return
    if file.stem.startswith("fec"):
        _record_fec(seed, calls, file)
        return
    life = Life(seed)
    while len(life.twin.trace) < calls:
        life.act(life.chaos.choice(ACTIONS))
    save(file, seed, life.twin.trace[:calls])


def _record_line(seed: int, calls: int, file: FilePath) -> None:
    """A call over a line that is narrow for a while."""
    from tests.engine.test_engine_congestion import Call, narrow_between
    from tests.engine.twin import TwinEngine

    twin = TwinEngine(seed=seed)
    call = Call(twin, narrow_between(300, 1_500))
    while len(twin.trace) < calls:
        call.step()
        if call.now_ms % 500 == 0:
            call.stats()
    save(file, seed, twin.trace[:calls])


def _record_uplink(seed: int, calls: int, file: FilePath) -> None:
    """A publisher whose line becomes narrow, and who is told so."""
    from tests.engine.test_engine_brake import Settled, narrow_from
    from tests.engine.twin import TwinEngine

    twin = TwinEngine(seed=seed)
    call = Settled(twin, narrow_from(300))
    while len(twin.trace) < calls:
        call.step()
    save(file, seed, twin.trace[:calls])


def _record_fec(seed: int, calls: int, file: FilePath) -> None:
    """Pictures with repair packets."""
    from tests.engine.test_engine_fec import Pictures
    from tests.engine.twin import TwinEngine

    twin = TwinEngine(seed=seed)
    pictures = Pictures(twin, seed)
    while len(twin.trace) < calls:
        pictures.step()
    save(file, seed, twin.trace[:calls])


if __name__ == "__main__":
    _record(int(sys.argv[1]), int(sys.argv[2]), FilePath(sys.argv[3]))
