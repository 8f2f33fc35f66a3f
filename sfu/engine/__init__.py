"""Packet engines: one contract (`sfu.engine.api`), and the only place that knows which engines there are."""

from __future__ import annotations

import logging

from sfu.engine.api import EngineRuntime, PacketEngine
from sfu.errors import EngineError

logger = logging.getLogger(__name__)

ENGINE_KINDS = ("auto", "reference", "rust")

REFERENCE_COST = "the Python reference engine runs instead and takes about four times the CPU per packet"


def engine_name(kind: str) -> str:
    """The engine that `kind` stands for here. Raises `EngineError` when it cannot be had."""
    return _choose(kind)[0]


def engine_note(kind: str) -> str:
    """Why `kind` stands for the reference engine although the Rust engine was wanted, and what that costs; else ""."""
    return _choose(kind)[1]


def create_engine(kind: str, *, seed: int) -> PacketEngine:
    """A sans-IO engine. Equal seeds and equal calls give equal bytes. Raises `EngineError` like `engine_name`."""
    if engine_name(kind) == "rust":
        from sfu.engine.native import load

        engine: PacketEngine = load().PacketEngine(seed)
        return engine
    from sfu.engine.reference.engine import ReferenceEngine

    return ReferenceEngine(seed=seed)


def create_runtime(kind: str, *, seed: int, threads: int = 0) -> EngineRuntime:
    """An engine with sockets and a clock around it. `threads` of the Rust engine: 0 is one per core; the reference
    engine always runs in the event loop's one. Raises `EngineError` like `engine_name`."""
    name, note = _choose(kind)
    if note:
        logger.warning(note)
    if name == "rust":
        from sfu.engine.native import RustRuntime

        return RustRuntime(seed=seed, threads=threads)
    from sfu.engine.driver import AsyncioRuntime

    return AsyncioRuntime(create_engine(name, seed=seed))


def _choose(kind: str) -> tuple[str, str]:
    if kind not in ENGINE_KINDS:
        raise EngineError(f"unknown engine {kind!r}: one of {', '.join(ENGINE_KINDS)}", code="unknown_engine")
    if kind == "reference":
        return "reference", ""
    from sfu.engine.native import load

    try:
        load()
    except EngineError as error:
        if kind == "rust":
            raise
        return "reference", f"{error}: {REFERENCE_COST}"
    return "rust", ""
