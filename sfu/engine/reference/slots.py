"""Where streams lie in the table of an engine. The other tables are indexed by the handles that callers know."""

from __future__ import annotations

from typing import NewType

StreamSlot = NewType("StreamSlot", int)
"""Of an inbound stream; never reused."""
