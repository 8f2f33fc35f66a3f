"""The figures of a node, keyed as Prometheus wants them."""

from __future__ import annotations

import resource
from collections.abc import Mapping

from sfu.control.context import ControlContext
from sfu.directory import Directory
from sfu.engine.api import EngineRuntime
from sfu.transport.transports import Transports


def collect(
    runtime: EngineRuntime, transports: Transports, control: ControlContext, directory: Directory
) -> Mapping[str, float]:
    stats = runtime.commands.stats()
    values: dict[str, float] = {
        "ting_rooms": len(directory),
        "ting_participants": sum(len(room.participants()) for room in directory),
        "ting_publications": len(control.tracks),
        "ting_subscriptions": len(control.subscriptions),
        "ting_transports": len(transports),
        "ting_consent_checks_answered_total": stats.checks_answered,
        "ting_engine_faults_total": stats.faults,
        "ting_rtp_packets_received_total": stats.packets_received,
        "ting_rtp_packets_sent_total": stats.packets_sent,
        "ting_rtp_bytes_received_total": stats.bytes_received,
        "ting_rtp_bytes_sent_total": stats.bytes_sent,
        "ting_process_max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    for name, label, counts in (
        ("ting_engine_drops_total", "reason", stats.drops),
        ("ting_ice_drops_total", "reason", transports.ice_drops),
        ("ting_transport_events_total", "event", transports.counters()),
        ("ting_io_total", "counter", runtime.io_stats()),
        ("ting_control_events_total", "event", control.counters),
    ):
        values.update({f'{name}{{{label}="{what}"}}': count for what, count in counts.items()})
    return values
