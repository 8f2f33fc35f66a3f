"""What a participant may say of itself, and what others may say of it: the limits of name, metadata and attributes."""

from __future__ import annotations

from collections.abc import Mapping

from sfu.api import ParticipantChanges, ParticipantInfo
from sfu.errors import RequestError
from signaling.grants import MAX_ATTRIBUTES
from signaling.rooms.calls import MAX_NAME_LENGTH, is_clean

RESERVED = "ting."
"""Attributes of this beginning say what the server says of a participant, its role for example."""


def check_changes(info: ParticipantInfo, changes: ParticipantChanges, max_bytes: int) -> None:
    """Raises `RequestError` limit_exceeded, invalid_name or not_allowed. `max_bytes` is for the metadata, and for all
    attributes together as they would be after the change."""
    if len(changes.name) > MAX_NAME_LENGTH:
        raise RequestError("exceeds name length limit", code="limit_exceeded")
    if changes.name and not is_clean(changes.name, MAX_NAME_LENGTH):
        raise RequestError("the name has characters that are not allowed", code="invalid_name")
    if any(name.startswith(RESERVED) for name in changes.attributes):
        raise RequestError(f"attributes that begin with {RESERVED} are the server's", code="not_allowed")
    check_metadata(changes.metadata, max_bytes)
    check_attributes({**info.attributes, **changes.attributes}, max_bytes)


def check_metadata(metadata: str, max_bytes: int) -> None:
    """Raises `RequestError` limit_exceeded."""
    if len(metadata.encode()) > max_bytes:
        raise RequestError("exceeds metadata size limit", code="limit_exceeded")


def check_attributes(attributes: Mapping[str, str], max_bytes: int) -> None:
    """Attributes with an empty value are on their way out and do not count. Raises `RequestError` limit_exceeded."""
    kept = {key: value for key, value in attributes.items() if value}
    size = sum(len(key.encode()) + len(value.encode()) for key, value in kept.items())
    if len(kept) > MAX_ATTRIBUTES or size > max_bytes:
        raise RequestError("exceeds attributes size limit", code="limit_exceeded")
