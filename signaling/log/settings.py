"""Settings of the log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomLogSettings:
    max_entry_bytes: int = 4096
    """The text of a message, and the body of any other entry, in UTF-8."""
    max_sealed_entry_bytes: int = 32_768
    """The body of an entry in a sealed room: the same, padded, encrypted, and in base64."""
    entries_per_second: float = 5.0
    """What one person may write to one room in the long run."""
    entry_burst: int = 20
    """And at once."""
    max_page_entries: int = 200
    """In one page of history, and in one answer of a search."""
    max_pending_entries: int = 2000
    """That wait for the database; beyond, writers are told to come back."""
    max_sync_connections_per_person: int = 20
    sync_messages_per_second: float = 20.0
    """What one connection may send in the long run, whatever it is."""
    sync_message_burst: int = 100
    """And at once."""
    max_sync_queue: int = 1000
    """Messages that wait for one slow reader, before it is cut off and may start over."""
    max_pins: int = 50
    """That are shown."""
