"""Both engines as one: every call goes to each, and whatever differs fails the test at that very call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from sfu.engine import create_engine
from sfu.engine.api import AudioLevel, EngineStats, Event, PacketEngine, Path, Transmit
from sfu.errors import EngineError
from tests.engine.golden import encode, output_text, result_text

COMMANDS = (
    "add_transport", "set_srtp", "set_ice", "last_check_ns", "has_answered", "inject_fault",
    "allow_path", "set_path", "set_wanted_bitrate", "forget_path", "remove_transport", "add_track",
    "set_track_config", "set_track_muted", "remove_track", "request_keyframe", "add_subscription", "set_target_layer",
    "set_payloads", "set_fec", "set_subscription_paused", "remove_subscription",
)  # fmt: skip


class TwinEngine:
    """A `PacketEngine` that is the reference engine and the Rust engine. Returns what the reference engine returns."""

    def __init__(self, *, seed: int) -> None:
        self.engines: tuple[PacketEngine, PacketEngine] = (
            create_engine("reference", seed=seed),
            create_engine("rust", seed=seed),
        )
        self.calls = 0
        self.transmits: list[Transmit] = []
        self.events: list[Event] = []
        self.trace: list[list[Any]] = []
        """Every call as `golden` keeps it."""
        for name in COMMANDS:
            setattr(self, name, self._command(name))

    def _command(self, name: str) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            try:
                return self._both(name, *arguments)
            finally:
                self._drain(name)

        return call

    def _both(self, name: str, *arguments: object) -> Any:
        self.calls += 1
        results: list[object] = []
        codes: list[str | None] = []
        errors: list[EngineError] = []
        for engine in self.engines:
            try:
                results.append(getattr(engine, name)(*arguments))
                codes.append(None)
            except EngineError as error:
                results.append(None)
                codes.append(error.code)
                errors.append(error)
        assert codes[0] == codes[1], f"call {self.calls}, {name}: {codes}"
        assert _plain(results[0]) == _plain(results[1]), f"call {self.calls}, {name}"
        self.trace.append([name, encode(arguments), codes[0] or result_text(results[0]), ""])
        if errors:
            raise errors[0]
        return results[0]

    def _drain(self, name: str) -> None:
        ours, theirs = (_transmits(engine) for engine in self.engines)
        for index, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            assert one == other, f"call {self.calls}, {name}, transmit {index}"
        assert len(ours) == len(theirs), f"call {self.calls}, {name}"
        events, others = (_events(engine) for engine in self.engines)
        assert events == others, f"call {self.calls}, {name}"
        due = [engine.next_timeout_ns() for engine in self.engines]
        assert due[0] == due[1], f"call {self.calls}, {name}, next timeout"
        self.trace[-1][3] = output_text(ours, events)
        self.transmits += ours
        self.events += events

    def handle_datagram(self, now_ns: int, path: Path, data: bytes) -> None:
        self._both("handle_datagram", now_ns, path, data)
        self._drain("handle_datagram")

    def handle_timeout(self, now_ns: int) -> None:
        self._both("handle_timeout", now_ns)
        self._drain("handle_timeout")

    def next_timeout_ns(self) -> int | None:
        timeout_ns: int | None = self._both("next_timeout_ns")
        return timeout_ns

    def audio_levels(self) -> list[AudioLevel]:
        levels: list[AudioLevel] = self._both("audio_levels")
        return levels

    def stats(self) -> EngineStats:
        stats: EngineStats = self._both("stats")
        return stats

    def poll_transmit(self) -> Transmit | None:
        return self.transmits.pop(0) if self.transmits else None

    def poll_event(self) -> Event | None:
        return self.events.pop(0) if self.events else None


def _plain(value: object) -> object:
    """Dataclasses as dictionaries, and every sequence as a list: the contract says no more."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _transmits(engine: PacketEngine) -> list[Transmit]:
    transmits = []
    while (transmit := engine.poll_transmit()) is not None:
        transmits.append(transmit)
    return transmits


def _events(engine: PacketEngine) -> list[Event]:
    events = []
    while (event := engine.poll_event()) is not None:
        events.append(event)
    return events
