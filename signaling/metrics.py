"""Signaling's own counters. Label values come from fixed sets: no room, no user, no address."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """One registry per server, so that several servers may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections = Gauge("ting_signal_connections", "Open signal connections", registry=self.registry)
        self.joins = self._counter("ting_signal_joins", "Joins and resumes by result", "result")
        self.messages = self._counter("ting_signal_messages", "Messages of clients by kind", "message")
        self.violations = self._counter("ting_signal_violations", "Malformed messages of clients by reason", "reason")
        self.refusals = self._counter("ting_signal_refusals", "Requests of clients that were not granted", "reason")
        self.closures = self._counter("ting_signal_closures", "Signal connections that the server closed", "reason")
        self.data_drops = self._counter("ting_data_packets_dropped", "Data packets that did not go on", "reason")
        self.tokens_refused = self._counter("ting_tokens_refused", "Room tokens that were not accepted", "reason")
        self.requests = self._counter("ting_http_requests", "HTTP requests by route and status", "route", "status")
        self.http_sessions = Gauge(
            "ting_http_sessions", "Sessions of WHIP and WHEP", ["protocol"], registry=self.registry
        )
        self.database_errors = self._counter("ting_database_errors", "Transactions that failed, by their use", "use")
        self.connections_refused = self._counter(
            "ting_connections_refused", "Connections closed before their first request", "reason"
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
