"""The SFU's exceptions.

    SfuError
    ├── EngineError        the engine was called wrongly (unknown handle, command after close)
    ├── SdpError           a session description that is malformed, over a limit, or not acceptable
    ├── BindError          a port could not be opened
    └── RequestError       a participant asked for something that it cannot have

Every one carries a stable `code` (snake_case, part of the public API) and a human message that holds
no secret, no SDP and no address.
"""

from __future__ import annotations


class SfuError(Exception):
    """Root of everything that the SFU raises on purpose."""

    code = "sfu_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class EngineError(SfuError):
    code = "engine_error"


class SdpError(SfuError):
    code = "invalid_sdp"


class BindError(SfuError):
    code = "bind_failed"


class RequestError(SfuError):
    """Codes in use: not_allowed, unknown_track, limit_exceeded, unknown_participant, unknown_room, left,
    unavailable, duplicate, not_connected, try_later. Signaling adds unknown_preset."""

    code = "invalid_request"
