"""Twirp's error codes (Twirp protocol v7, "Error Codes") and what our own errors are called there."""

from __future__ import annotations

from collections.abc import Mapping

from sfu.errors import RequestError
from signaling.livekit.rpc import RpcError

STATUS: Mapping[str, int] = {
    "canceled": 408,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
}
"""Every code in use with its HTTP status."""

_OF_REQUEST_ERRORS: Mapping[str, tuple[str, str]] = {
    "unknown_room": ("not_found", "requested room does not exist"),
    "unknown_participant": ("not_found", "participant does not exist"),
    "left": ("not_found", "participant does not exist"),
    "unknown_track": ("not_found", "track is not found"),
    "limit_exceeded": ("resource_exhausted", ""),
    "not_allowed": ("permission_denied", ""),
    "duplicate": ("already_exists", ""),
    "not_connected": ("failed_precondition", ""),
    "unavailable": ("unavailable", ""),
}
"""Code of a `RequestError` to Twirp's code and LiveKit's sentence; an empty one means the error's own."""


_OF_RPC_ERRORS: Mapping[int, str] = {
    1400: "invalid_argument",
    1401: "not_found",
    1402: "malformed",
    1403: "unimplemented",
    1404: "unimplemented",
    1501: "canceled",
    1502: "canceled",
    1503: "unavailable",
}
"""What LiveKit makes of them; all others, the application's too, are "internal"."""


class TwirpError(Exception):
    """`code` is a key of `STATUS`; the message is for people, `meta` for programs."""

    def __init__(
        self, code: str, message: str, *, meta: Mapping[str, str] | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.meta = dict(meta or {})
        self.retry_after_s = retry_after_s


def from_rpc_error(error: RpcError) -> TwirpError:
    """The code and the data of the participant's error are in `meta` as well."""
    meta = {"rpc_code": str(error.code), "rpc_message": error.message}
    if error.data:
        meta["rpc_data"] = error.data
    return TwirpError(_OF_RPC_ERRORS.get(error.code, "internal"), str(error), meta=meta)


def from_request_error(error: RequestError) -> TwirpError:
    code, text = _OF_REQUEST_ERRORS.get(error.code, ("invalid_argument", ""))
    return TwirpError(code, text or str(error))
