"""/metrics in the Prometheus text format: signaling's counters, the SFU's, and a few under LiveKit's names, so that
dashboards made for it show something here. Only for the networks of `metrics_allow`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from sfu.api import Sfu
from signaling.addresses import ClientAddresses, is_in, parse_networks
from signaling.errors import ApiError
from signaling.metrics import Metrics

_SERIES = re.compile(r"(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)(?:\{(?P<labels>[^{}]*)\})?")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*)"')


class MetricsEndpoint:
    """`allow` are the networks that may read."""

    def __init__(self, metrics: Metrics, sfu: Sfu, addresses: ClientAddresses, allow: Sequence[str]) -> None:
        self._registry = metrics.registry
        self._addresses = addresses
        self._allow = parse_networks(allow)
        self._registry.register(SfuCollector(sfu))

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/metrics", self._get)

    async def _get(self, request: web.Request) -> web.Response:
        if not is_in(self._addresses.of(request), self._allow):
            raise ApiError("forbidden", "Metrics are not for this address.")
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


class SfuCollector(Collector):
    """Asks the SFU at each scrape."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu

    def describe(self) -> list[Metric]:
        """Nothing: the names are known only once the SFU runs."""
        return []

    def collect(self) -> Iterator[Metric]:
        values = self._sfu.metrics()
        yield from _families(values)
        rooms = self._sfu.rooms()
        yield GaugeMetricFamily("livekit_room_total", "Rooms", value=len(rooms))
        participants = sum(room.num_participants for room in rooms)
        yield GaugeMetricFamily("livekit_participant_total", "Participants", value=participants)
        yield _by_direction("livekit_packet_total", "Packets", values, "packets")
        yield _by_direction("livekit_packet_bytes", "Bytes in packets", values, "bytes")


def _families(values: Mapping[str, float]) -> Iterator[Metric]:
    families: dict[str, Metric] = {}
    yield from _histograms(values)
    for series, value in values.items():
        match = _SERIES.fullmatch(series)
        if match is None:
            raise ValueError(f"{series} is not the name of a series")
        name = match["name"]
        if "le=" in (match["labels"] or "") or name.endswith("_sum"):
            continue
        labels = dict(_LABEL.findall(match["labels"] or ""))
        if name not in families:
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            families[name] = family(name, name, labels=list(labels))
        families[name].add_sample(name, labels, value)
    yield from families.values()


def _histograms(values: Mapping[str, float]) -> Iterator[Metric]:
    """What the SFU counts in buckets: series `…_bucket{le="…"}`, lowest first, and `…_sum`."""
    buckets: dict[str, list[tuple[str, float]]] = {}
    for series, value in values.items():
        name, is_bucket, limit = series.partition('_bucket{le="')
        if is_bucket:
            buckets.setdefault(name, []).append((limit.removesuffix('"}'), value))
    for name, counts in buckets.items():
        yield HistogramMetricFamily(name, name, buckets=counts, sum_value=values[f"{name}_sum"])


def _by_direction(name: str, text: str, values: Mapping[str, float], unit: str) -> Metric:
    """LiveKit's form of the SFU's two counters. A gauge to this library, which would append _total to a counter."""
    family = GaugeMetricFamily(name, text, labels=["direction", "transmission"])
    for direction, ours in (("incoming", "received"), ("outgoing", "sent")):
        family.add_metric([direction, "initial"], values.get(f"ting_rtp_{unit}_{ours}_total", 0))
    return family
