"""Whether the server takes calls: it starts, is ready, and drains before it stops."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


NOT_IN_CLUSTER = "not in the cluster"
"""What a node says instead while it has never been in the registry of its cluster."""


class Lifecycle:
    """One per application; what answers requests looks here."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING

    @property
    def ready(self) -> bool:
        return self.phase is Phase.READY
