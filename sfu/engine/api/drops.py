"""Packets that went no further."""

DROP_REASONS = (
    "not_rtc",
    "too_long",
    "unknown_path",
    "no_keys",
    "malformed",
    "unknown_ssrc",
    "unknown_payload_type",
    "ssrc_limit",
    "replayed",
    "too_old",
    "auth_failed",
    "duplicate",
    "padding_only",
    "muted",
    "policed",
    "no_payload_for_subscriber",
    "nack_limited",
    "feedback_limited",
    "pacer_full",
)
"""Every reason a packet can be dropped for; `EngineStats.drops` has all of them as keys."""
