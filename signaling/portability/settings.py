"""Settings of archives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortabilitySettings:
    trusted_archive_keys: tuple[str, ...] = ()
    """Public keys of other servers, whose archives are taken in as this server's own are."""
    max_import_bytes: int = 2_147_483_648
    """One archive that an owner sends. The operator's commands have no such limit."""
    max_archive_transfers: int = 4
    """Exports and imports of owners that go on at once; beyond, they are told to come back."""
    max_archive_parts: int = 1_000_000
    """Rooms and files in one archive."""
    max_archive_line_bytes: int = 1_048_576
    """One line of a room in an archive."""
    max_import_entries: int = 1_000_000
    """That an owner takes into a room at once."""
    max_foreign_bytes: int = 17_179_869_184
    """What an export of another system may hold once it is unpacked."""
    max_foreign_part_bytes: int = 67_108_864
    """One file in a Slack export, unpacked (a day of one channel, or the list of all people); one line of Mattermost's
    export (a post with all answers to it)."""
