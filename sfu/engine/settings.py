"""Settings of the packet engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineSettings:
    """Which engine, and its threads and queues."""

    engine: str = "auto"
    """"auto", "rust" or "reference"."""
    engine_threads: int = 0
    """Threads of the Rust engine; 0 is one per core. The reference engine has one."""
    max_queued_packets: int = 16_384
    """Packets that may wait for a thread to send them, in each of the Rust engine's send queues; more are dropped."""
    max_hold_ms: float = 2.0
    """Milliseconds that packets for many receivers may wait in the Rust engine while many of them come, so that those
    for one receiver leave together: a third of the CPU time of a hall with 10 who speak. 0: no wait."""
