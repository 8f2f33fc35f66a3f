"""Settings of the REST interface, the web app and the metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiSettings:
    web_root: str = ""
    """Directory of the built web app. Empty: the one that came with the package, else web/dist of a checkout."""
    frame_ancestors: tuple[str, ...] = ()
    """Origins of pages that may show the web app in a frame, as `https://example.org` or `https://*.example.org`.
    They may command it there, too."""
    metrics_allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read /metrics."""
    guest_tokens_per_minute: float = 60.0
    """Guest tokens per address (IPv6: per /64); the first minute's worth may come at once."""
    room_lookups_per_minute: float = 120.0
    """Room lookups per address."""
    preview_wait_s: float = 1.0
    """How long a room's page waits for the title that its link preview shows; after that it comes without."""
    max_body_bytes: int = 16_384
    """Body of a REST request."""
    api_requests_per_minute: float = 6000.0
    """Requests to our own API per address: a whole school may be behind one."""
    knock_poll_s: float = 20.0
    """How long the answer to a question about a knock waits for news."""
