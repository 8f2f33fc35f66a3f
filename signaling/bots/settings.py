"""Settings of bots and hooks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BotSettings:
    max_bots: int = 50
    """Of one room, incoming webhooks included."""
    max_hooks: int = 10
    """Outgoing ones, of one room."""
    hook_timeout_s: float = 5.0
    """How long one delivery of an outgoing hook may take."""
    hook_batch: int = 50
    """Entries in one delivery."""
    hook_retry_initial_s: float = 1.0
    """Wait after a failed delivery; each further failure doubles it."""
    hook_retry_max_s: float = 300.0
    """Longest wait between two tries."""
    hook_networks: tuple[str, ...] = ()
    """Networks that outgoing hooks may reach although they are not the Internet's: 127.0.0.0/8 or 10.0.0.0/8."""
