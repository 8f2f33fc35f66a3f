"""Settings of WHIP and WHEP."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WhipSettings:
    max_whip_sessions: int = 1000
    """WHIP and WHEP sessions at once; beyond it newcomers get 503."""
    whip_requests_per_minute: float = 240.0
    """POST, PATCH and DELETE of one address; the first minute's worth may come at once."""
    max_event_streams_per_session: int = 2
    """Event streams of one WHEP session."""
    max_whip_sdp_bytes: int = 65_536
    """Body of a WHIP or WHEP request."""
