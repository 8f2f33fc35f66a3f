"""What the protocol's requests can ask for and this server does not do: refused, so that nobody counts on it.

A field with its default is not a request: clients send many always. What a table here does not name is done, or says
something of the client that nobody has to act on; `tests/signaling/test_request_fields.py` knows which, field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf.message import Message

from signaling.livekit.twirp_errors import TwirpError

_AGENTS = "there is no agent service"
_EGRESS = "there is no egress service"
UNDONE: Mapping[str, Mapping[str, str]] = {
    "livekit.CreateRoomRequest": {
        "egress": _EGRESS,
        "agents": _AGENTS,
        "tags": "rooms have no tags here",
        "min_playout_delay": "playout delays are not part of this server",
        "max_playout_delay": "playout delays are not part of this server",
        "sync_streams": "streams are not synchronised by this server",
        "replay_enabled": "there is no replay service",
    },
    "livekit.ParticipantPermission": {"hidden": "nobody is invisible here"},
}
"""Message and field to why not."""


def refuse_undone(message: Message) -> None:
    """Raises `TwirpError` unimplemented for the first wish in a request that this server cannot fulfil."""
    for name, reason in _undone(message):
        raise TwirpError("unimplemented", f"{name}: {reason}")


def _undone(message: Message) -> Iterator[tuple[str, str]]:
    reasons = UNDONE.get(message.DESCRIPTOR.full_name, {})
    for field, value in message.ListFields():
        if field.name in reasons and (value or field.message_type is not None):
            yield field.name, reasons[field.name]
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else [value]:
                yield from _undone(inner)
