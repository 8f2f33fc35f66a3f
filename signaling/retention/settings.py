"""Settings of retention."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    retention_check_s: float = 60.0
    """How often the database is asked for what is over, at least; what is known to end earlier goes when it ends."""
    retention_scrub_s: float = 120.0
    """How long after it went something may still be found in the raw files of the database."""
    max_retention_batch: int = 500
    """Entries that go in one transaction."""
