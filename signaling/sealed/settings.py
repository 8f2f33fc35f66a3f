"""Settings of sealed rooms. Sizes are those of the bytes themselves, not of their base64."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SealedSettings:
    max_commit_bytes: int = 524_288
    """One commit; with 500 newcomers at once it has 500 leaves."""
    max_group_info_bytes: int = 524_288
    """The public state of a group with its tree: about 200 kB with 500 members."""
    max_welcome_bytes: int = 1_048_576
    """What newcomers get: the tree, and some bytes for each of them."""
    max_key_package_bytes: int = 4096
    max_history_bytes: int = 65_536
    """The wrapped keys of one epoch, each of the two parts."""
    max_seal_backup_bytes: int = 262_144
    """What one member keeps for its other devices in one room."""
    max_seal_backups: int = 2000
    """Such members in one room."""
    max_history_epochs: int = 200_000
    """Epochs whose wrapped keys are kept in one room; beyond, the oldest go."""
    kept_commits: int = 200
    """Of one room; a device that missed more of them comes in anew."""
    max_waiting_joins: int = 1000
    """Devices of one room that wait to be let into its group."""
    waiting_join_s: float = 60.0
    """For so long."""
    seal_ask_silent_s: float = 3.0
    """A device that has said nothing for so long is asked whether it is there."""
    seal_silent_s: float = 5.0
    """And is gone when it does not answer within this time."""
    presence_interval_s: float = 0.1
    """Comings, goings and wishes to be let in within this time are told together, after the first of them."""
    presence_device_interval_s: float = 0.001
    """And so much longer for each device that is there: telling all of many costs as much as they are."""
    seal_commits_per_minute: float = 600.0
    """Of one member in one room; so for the next ones."""
    seal_joins_per_minute: float = 60.0
    seal_asks_per_minute: float = 60.0
    """Questions for a missing key, to all others."""
    seal_gives_per_minute: float = 600.0
    """Answers to them."""
    max_seal_ask_bytes: int = 32_768
    """A question or an answer, as JSON."""

    @property
    def max_request_bytes(self) -> int:
        """Of the body of any request about a group: all of its parts in base64, and names and numbers around them."""
        parts = self.max_commit_bytes + self.max_group_info_bytes + self.max_welcome_bytes + 2 * self.max_history_bytes
        return (max(parts, self.max_seal_backup_bytes) * 4) // 3 + 131_072
