"""What signaling tells clients when something is refused: one stable code and one sentence each.

    ArchiveError    an archive that cannot be made or taken in
    ApiError        becomes a JSON answer {"error": {"code", "message"}}
    ConfigError     a setting that cannot be used; `ting` prints it and exits with 2
    DatabaseError   the database cannot be opened or has failed
    TokenError      a room token that is not accepted; the code says why

Codes are part of the public interface and never change their meaning. Messages are for people and hold no
secret, no token and nothing that the caller sent.
"""

from __future__ import annotations

from collections.abc import Mapping

HTTP_STATUS: Mapping[str, int] = {
    "invalid_archive": 400,
    "invalid_body": 400,
    "invalid_upload": 400,
    "invalid_name": 400,
    "invalid_password": 400,
    "invalid_room_name": 400,
    "sign_in_failed": 401,
    "unauthorized": 401,
    "banned": 403,
    "denied": 403,
    "forbidden": 403,
    "link_required": 403,
    "link_invalid": 403,
    "guests_disabled": 403,
    "invitation_over": 403,
    "kicked": 403,
    "members_only": 403,
    "password_needed": 403,
    "registration_closed": 403,
    "room_full": 403,
    "room_locked": 403,
    "sealed_room": 403,
    "step_up_needed": 403,
    "wrong_password": 403,
    "entry_not_found": 404,
    "knock_not_found": 404,
    "not_found": 404,
    "file_not_found": 404,
    "room_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "epoch_conflict": 409,
    "last_admin": 409,
    "last_owner": 409,
    "last_sign_in": 409,
    "limit_reached": 409,
    "name_taken": 409,
    "not_present": 409,
    "not_sealed": 409,
    "poll_closed": 409,
    "taken": 409,
    "entry_gone": 410,
    "epoch_gone": 410,
    "sign_in_expired": 410,
    "upload_conflict": 409,
    "tus_version_unknown": 412,
    "body_too_large": 413,
    "file_too_large": 413,
    "quota_exceeded": 413,
    "upload_too_long": 413,
    "upload_type_wrong": 415,
    "range_not_satisfiable": 416,
    "file_refused": 422,
    "rate_limited": 429,
    "checksum_mismatch": 460,
    "internal": 500,
    "unavailable": 503,
    "storage_full": 507,
}
"""Every code of the REST interface with its HTTP status."""


class ApiError(Exception):
    """A request that is answered with an error. `code` is a key of `HTTP_STATUS`; `headers` go with the answer."""

    def __init__(
        self, code: str, message: str, *, retry_after_s: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = HTTP_STATUS[code]
        self.retry_after_s = retry_after_s
        self.headers = {} if headers is None else dict(headers)

    def body(self) -> dict[str, dict[str, str]]:
        return {"error": {"code": self.code, "message": str(self)}}


class ArchiveError(Exception):
    """An archive that cannot be made or taken in. The message is one line; it may hold names of rooms."""


class ConfigError(Exception):
    """A setting that is unknown, of the wrong type, or not usable. The message is one line."""


class DatabaseError(Exception):
    """The database cannot be opened, or a transaction has failed. The message is one line without values."""


class TokenError(Exception):
    """A token that is not accepted. Codes: malformed, unknown_key, bad_signature, expired, not_yet_valid,
    invalid_claims, not_allowed, revoked, sealed_room, unsupported."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
