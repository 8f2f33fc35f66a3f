"""Settings of the LiveKit protocol: signal connections and the server API. Webhooks have `webhook_settings`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignalSettings:
    token_refresh_s: float = 600.0
    """Validity of the new tokens that a client in a call gets, half of it before its last one ends."""
    max_join_request_url_bytes: int = 65_536
    """What a client asks for that joins over a single connection, with its first offer: as it stands in the URL."""
    max_join_request_bytes: int = 131_072
    """The same, decompressed."""
    ping_interval_s: int = 5
    """How often clients are asked to ping."""
    ping_timeout_s: int = 15
    """Nothing heard from a client for this long: its signal connection is lost."""
    websocket_heartbeat_s: float = 10.0
    """WebSocket pings of the server's own; half of it is waited for the pong."""
    max_websocket_message_bytes: int = 327_680
    """A larger message closes the connection with 1009. Holds an answer for a full room of 30."""
    max_messages_per_s: float = 100.0
    """Messages of one connection, bucket of twice that size; beyond it the connection is closed with 1008."""
    max_message_bytes_per_s: int = 1_048_576
    """Bytes of one connection, bucket of twice that size; beyond it the connection is closed with 1008."""
    max_replaced_offers: int = 20
    """An offer that comes too soon after others waits for its turn, and a newer one takes its place; when that happens
    more often before its turn has come, the session ends."""
    max_violations: int = 20
    """Malformed messages of one connection before it is closed with 1008."""
    max_outbound_messages: int = 1000
    """Messages that wait for a slow reader before its connection is closed with 1013."""
    max_outbound_bytes: int = 1_048_576
    """Bytes that wait for a slow reader before its connection is closed with 1013."""


@dataclass(frozen=True, slots=True)
class ServerApiSettings:
    server_api_requests_per_minute: float = 6_000.0
    """Requests to the server API (Twirp) per address; the first minute's worth may come at once."""
    max_server_api_body_bytes: int = 262_144
    """Body of a request to the server API."""
    rpc_ack_timeout_s: float = 7.0
    """A participant that the server API calls (PerformRpc) must acknowledge within this time."""
    max_rpc_timeout_s: float = 60.0
    """How long such a call may wait for its answer at most."""
    max_rpc_calls_per_participant: int = 100
    """Calls of the server API that may wait for one participant."""
