"""What can go wrong with a group, in the words that a program acts on."""

from __future__ import annotations

from enum import IntEnum


class Failure(IntEnum):
    """The kinds of failure, numbered as in `sealed/core/src/error.rs`."""

    STALE_EPOCH = 1
    """The message belongs to an epoch that is over: drop it."""
    FUTURE_EPOCH = 2
    """The message belongs to an epoch that this device has not reached: fetch the commits that are missing."""
    UNKNOWN_GROUP = 3
    """No such group here, or the message is for another one."""
    NOT_MEMBER = 4
    """This device was removed from the group."""
    BAD_MESSAGE = 5
    """The message, key or state is not valid."""
    NO_LINK = 6
    """A newcomer's commit does not carry the secret of the link, or this device does not know that secret."""
    BAD_CALL = 7
    """A fault of the program."""


class MlsError(Exception):
    """A call failed and changed nothing. The text is for the log and holds nothing secret."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure
