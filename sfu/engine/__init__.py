"""Packet engines: one contract (`sfu.engine.api`), and the only place that knows which engines there are."""

from __future__ import annotations

from sfu.engine.api import EngineRuntime, PacketEngine
from sfu.errors import EngineError

ENGINE_KINDS = ("auto", "reference", "rust")


def engine_name(kind: str) -> str:
    """The engine that `kind` stands for here. Raises `EngineError` when it cannot be had."""
    if kind == "rust":
        raise EngineError("the rust engine is not built into this installation", code="engine_not_built")
    if kind not in ENGINE_KINDS:
        raise EngineError(f"unknown engine {kind!r}: one of {', '.join(ENGINE_KINDS)}", code="unknown_engine")
    return "reference"


def create_engine(kind: str, *, seed: int) -> PacketEngine:
    """A sans-IO engine. Equal seeds and equal calls give equal bytes. Raises `EngineError` like `engine_name`."""
    engine_name(kind)
    from sfu.engine.reference.engine import ReferenceEngine

    return ReferenceEngine(seed=seed)


def create_runtime(kind: str, *, seed: int) -> EngineRuntime:
    """An engine with sockets and a clock around it. Raises `EngineError` like `engine_name`."""
    from sfu.engine.driver import AsyncioRuntime

    return AsyncioRuntime(create_engine(kind, seed=seed))
