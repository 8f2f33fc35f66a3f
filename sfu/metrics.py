"""The figures of a node, keyed as Prometheus wants them."""

from __future__ import annotations

import resource
from collections.abc import Mapping

from sfu.api import Moment, SwitchCause
from sfu.control.context import ControlContext
from sfu.directory import Directory
from sfu.engine.api import EngineRuntime, EngineStats
from sfu.transport.transports import Transports

QUANTILES = (0.5, 0.95)
SWITCHES = (Moment.PAUSED, Moment.RESUMED, Moment.LOWERED, Moment.RAISED)
CAUSES = (SwitchCause.LINE, SwitchCause.WISH, SwitchCause.SOURCE)


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
        **_lines(stats),
        **control.lines.series(),
        **{
            f'ting_video_switches_total{{what="{what}",cause="{cause}"}}': control.switches[what, cause]
            for what in SWITCHES
            for cause in CAUSES
        },
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


def _lines(stats: EngineStats) -> Mapping[str, float]:
    """Of subscribers' lines: those of which feedback says when packets arrive, those that have shown a limit, and how
    all that is sent to subscribers gets there."""
    limited = [one for one in stats.transports if one.estimate_bps is not None]
    sending = [one for one in stats.subscriptions if one.packets_sent]
    values: dict[str, float] = {
        "ting_lines_heard": sum(one.acknowledged_bps > 0 for one in stats.transports),
        "ting_lines_limited": len(limited),
        "ting_lines_limited_estimate_bps": sum(one.estimate_bps or 0 for one in limited),
        "ting_lines_limited_acknowledged_bps": sum(one.acknowledged_bps for one in limited),
    }
    for name, figures in (
        ("ting_subscription_loss_ratio", [one.fraction_lost for one in sending]),
        ("ting_subscription_rtt_ms", [one.rtt_ms for one in sending if one.rtt_ms is not None]),
    ):
        figures.sort()
        for quantile in QUANTILES if figures else ():
            values[f'{name}{{quantile="{quantile}"}}'] = figures[min(int(quantile * len(figures)), len(figures) - 1)]
    return values
