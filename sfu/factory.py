"""Where an SFU comes from: seen by the command and the application only."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.api import Check, ClusterPlace, Sfu, TurnServer
from sfu.config import SfuConfig
from sfu.diagnose import run_checks
from sfu.node import Node


def create_sfu(config: SfuConfig, cluster: ClusterPlace | None = None) -> Sfu:
    """An SFU for this process, alone or with others. Nothing is opened before `start`."""
    return Node(config, cluster)


def diagnose(config: SfuConfig) -> list[Check]:
    """What would stop media on this machine: ports, interfaces, advertised addresses, engine, file limits."""
    return run_checks(config)


async def check_media(sdp: str, local_ufrag: str, turn_servers: Sequence[TurnServer], timeout_s: float) -> list[Check]:
    """Whether what the offer `sdp` of another server names is reached from here. Never raises.

    `local_ufrag` is that of the answer which that server was given.
    """
    # A server needs nothing of it.
    from sfu.transport import reach

    return await reach.check_media(sdp, local_ufrag, turn_servers, timeout_s)
