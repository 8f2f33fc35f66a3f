"""What a store says about a change, as an error for whoever asked for it."""

from __future__ import annotations

from signaling.accounts.records import Outcome
from signaling.errors import ApiError

_ERRORS = {
    Outcome.TAKEN: ("taken", "Somebody else has this already."),
    Outcome.FULL: ("limit_reached", "There are as many as there may be."),
    Outcome.MISSING: ("not_found", "There is nothing here."),
    Outcome.LAST_ADMIN: ("last_admin", "Somebody must be left who is an admin."),
    Outcome.LAST_SIGN_IN: ("last_sign_in", "The account would have no way to sign in any more."),
}


def require_name(outcome: Outcome) -> None:
    """As `require`, where what may be taken is a name."""
    if outcome is Outcome.TAKEN:
        raise ApiError("name_taken", "There is an account of this name, or of one that looks like it.")
    require(outcome)


def require(outcome: Outcome) -> None:
    """Raises `ApiError` unless it is done."""
    if outcome is not Outcome.DONE:
        raise ApiError(*_ERRORS[outcome])
