"""Where an SFU comes from: seen by the command and the application only."""

from __future__ import annotations

from sfu.api import Check, Sfu
from sfu.config import SfuConfig
from sfu.diagnose import run_checks
from sfu.node import Node
from sfu.transport.reach import TurnServer, check_media

__all__ = ["TurnServer", "check_media", "create_sfu", "diagnose"]


def create_sfu(config: SfuConfig) -> Sfu:
    """An SFU for this process. Nothing is opened before `start`."""
    return Node(config)


def diagnose(config: SfuConfig) -> list[Check]:
    """What would stop media on this machine: ports, interfaces, advertised addresses, engine, file limits."""
    return run_checks(config)
