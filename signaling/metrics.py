"""Signaling's own counters. Label values come from fixed sets: no room, no user, no address."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sfu.api import NodeEvent, ParticipantJoined, PublicationEnded, PublicationStarted

_LATENCY_BUCKETS_MS = (100, 250, 500, 1000, 2000, 5000, 10_000)


class Metrics:
    """One registry per server, so that several servers may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections = Gauge("ting_signal_connections", "Open signal connections", registry=self.registry)
        self.joins = self._counter("ting_signal_joins", "Joins and resumes by result", "result")
        self.messages = self._counter("ting_signal_messages", "Messages of clients by kind", "message")
        self.pings = {name: self.messages.labels(name) for name in ("ping", "ping_req")}
        """Of `messages`: the most frequent ones, found already."""
        self.violations = self._counter("ting_signal_violations", "Malformed messages of clients by reason", "reason")
        self.refusals = self._counter("ting_signal_refusals", "Requests of clients that were not granted", "reason")
        self.closures = self._counter("ting_signal_closures", "Signal connections that the server closed", "reason")
        self.data_drops = self._counter("ting_data_packets_dropped", "Data packets that did not go on", "reason")
        self.tokens_refused = self._counter("ting_tokens_refused", "Room tokens that were not accepted", "reason")
        self.unfulfilled = self._counter(
            "ting_unfulfilled_wishes", "Wishes of tokens that were let in and are not part of this server", "wish"
        )
        self.requests = self._counter("ting_http_requests", "HTTP requests by route and status", "route", "status")
        self.http_sessions = Gauge(
            "ting_http_sessions", "Sessions of WHIP and WHEP", ["protocol"], registry=self.registry
        )
        self.key_sets = self._counter("ting_key_sets", "Key sets of token issuers that were asked for", "result")
        self.database_errors = self._counter("ting_database_errors", "Transactions that failed, by their use", "use")
        self.entries = self._counter("ting_entries", "Entries written to the logs of rooms", "verb")
        self.files = self._counter("ting_files", "Files of rooms, by what became of them", "result")
        self.entries_expired = Counter(
            "ting_entries_expired", "Entries that are gone because their time was over", registry=self.registry
        )
        self.hook_deliveries = self._counter(
            "ting_hook_deliveries", "Deliveries of new entries to the hooks of rooms", "result"
        )
        self.webhook_deliveries = self._counter("ting_webhook_deliveries", "Webhook deliveries by their end", "result")
        self.webhook_failures = self._counter(
            "ting_webhook_failures", "Attempts that a receiver did not take", "reason"
        )
        self.webhook_queue = Gauge("ting_webhook_queue", "Webhook deliveries that wait", registry=self.registry)
        self.connections_refused = self._counter(
            "ting_connections_refused", "Connections closed before their first request", "reason"
        )

        # LiveKit's names, for dashboards made for it. The first is a gauge in spite of its name.
        self._published = Gauge(
            "livekit_track_published_total", "Tracks that are published now", ["kind"], registry=self.registry
        )
        self._join_latency = Histogram(
            "livekit_session_join_latency_ms", "From the join to the first connected transport",
            buckets=_LATENCY_BUCKETS_MS, registry=self.registry,
        )  # fmt: skip

    def handle(self, event: NodeEvent) -> None:
        """The SFU's listener."""
        if isinstance(event, PublicationStarted):
            self._published.labels(event.publication.kind).inc()
        elif isinstance(event, PublicationEnded):
            self._published.labels(event.publication.kind).dec()
        elif isinstance(event, ParticipantJoined):
            self._join_latency.observe(max(0, time.time_ns() // 1_000_000 - event.participant.joined_at_ms))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
