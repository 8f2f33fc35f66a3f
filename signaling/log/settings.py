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
    max_drawn_bytes: int = 16_384
    """The body of an entry with what was drawn, in an open room; in a sealed one it is as long as any other."""
    drawn_per_second: float = 3.0
    """Entries with what was drawn that one person may write to one room in the long run, beside all others."""
    drawn_burst: int = 40
    """And at once."""
    max_timeline_bytes: int = 16_384
    """Where the policy wants it: what an entry keeps of how a call went for one who left, in JSON. Of more figures
    every second one goes, in the end the oldest entries."""
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
    max_read_marks: int = 100
    """Others of whom one hears how far they have read, when one comes; those who have read most."""
    max_handed_entries: int = 200
    """That a member hands on to somebody who came later, in a room that keeps nothing."""
    max_handed_bytes: int = 60_000
    """And how long they may be together, in JSON and UTF-8; a message of the WebSocket has 65,536 at most."""
    handing_answer_s: float = 3.0
    """How long a member may take to hand it on, before the next is asked."""
    handing_asks_per_minute: int = 6
    """How often one person may ask in one room."""
    max_handing_asks: int = 20
    """Of one room that wait for an answer at once."""
