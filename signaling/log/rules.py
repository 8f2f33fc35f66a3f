"""Who may write what: the rules that need nothing but the draft, and those that need the entry it is about."""

from __future__ import annotations

import unicodedata
from typing import Any

from signaling.errors import ApiError
from signaling.log.entries import WRITABLE, Draft, Entry, Verb

TARGETED = {
    Verb.EDIT: frozenset({Verb.MESSAGE}),
    Verb.DELETE: frozenset({Verb.MESSAGE, Verb.FILE, Verb.POLL}),
    Verb.REACT: frozenset({Verb.MESSAGE, Verb.FILE, Verb.POLL}),
    Verb.PIN: frozenset({Verb.MESSAGE, Verb.FILE, Verb.POLL}),
    Verb.VOTE: frozenset({Verb.POLL}),
    Verb.CLOSE_POLL: frozenset({Verb.POLL}),
}
"""Verbs that are about an entry, and which entries that may be."""
REPLIES = frozenset({Verb.MESSAGE, Verb.FILE})
"""Verbs that may be about an entry: a reply to it."""
_ANSWERABLE = frozenset({Verb.MESSAGE, Verb.FILE, Verb.POLL})
_OWN_ONLY = frozenset({Verb.EDIT})
_OWN_OR_MODERATED = frozenset({Verb.DELETE, Verb.CLOSE_POLL})
_MODERATED = frozenset({Verb.PIN})


def check_text(text: str, max_bytes: int) -> str:
    """Normalised (NFC). Raises `ApiError` invalid_body for what could not be shown or stored everywhere."""
    normalised = unicodedata.normalize("NFC", text)
    if not normalised.strip() or len(normalised.encode()) > max_bytes:
        raise ApiError("invalid_body", f"A text has 1 to {max_bytes} bytes and is not blank.")
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in normalised):
        raise ApiError("invalid_body", "The text has control characters.")
    return normalised


def check_draft(draft: Draft) -> None:
    """What can be said of it by itself. Raises `ApiError`."""
    if draft.verb not in WRITABLE:
        raise ApiError("forbidden", "Only the server writes such an entry.")
    if draft.verb in TARGETED and draft.target is None:
        raise ApiError("invalid_body", "A target is needed.")
    if draft.target is not None and draft.verb not in TARGETED and draft.verb not in REPLIES:
        raise ApiError("invalid_body", "This verb has no target.")
    if draft.recipient and draft.verb not in REPLIES:
        raise ApiError("invalid_body", "Only a message or a file is for one person alone.")
    if (draft.verb in _MODERATED or draft.body.get("announce", False)) and not draft.moderates:
        raise ApiError("forbidden", "Owners and moderators do that.")


def check_target(draft: Draft, target: Entry | None) -> ApiError | None:
    """What speaks against `draft` about this entry; None is none, or one that this sender may not see."""
    if target is None or not target.visible_to(draft.sender):
        return ApiError("entry_not_found", "There is no such entry.")
    allowed = TARGETED.get(draft.verb, _ANSWERABLE)
    if target.verb not in allowed:
        return ApiError("invalid_body", "The target is not of a kind that this can be said of.")
    if target.body is None:
        return ApiError("entry_gone", "The entry was removed.")
    own = target.sender == draft.sender
    if draft.verb in _OWN_ONLY and not own:
        return ApiError("forbidden", "Only its author may do that.")
    if draft.verb in _OWN_OR_MODERATED and not own and not draft.moderates:
        return ApiError("forbidden", "Only its author, owners and moderators may do that.")
    if draft.verb is Verb.VOTE:
        return _check_vote(draft.body, target.body)
    if target.recipient and draft.recipient not in (target.recipient, target.sender) and draft.verb in REPLIES:
        return ApiError("invalid_body", "A reply to a private message is private.")
    return None


def _check_vote(vote: dict[str, Any], poll: dict[str, Any]) -> ApiError | None:
    if "sealed" in poll and "sealed" not in vote:
        return ApiError("poll_closed", "The poll is from when the room was sealed, and takes no more votes.")
    choices = [] if "sealed" in vote else vote["choices"]  # What is sealed is for its readers to check.
    if any(choice >= len(poll["options"]) for choice in choices) or len(set(choices)) != len(choices):
        return ApiError("invalid_body", "There is no such option.")
    if len(choices) > 1 and not poll.get("multiple", False):
        return ApiError("invalid_body", "This poll takes one choice.")
    if poll.get("closed", False):
        return ApiError("poll_closed", "The poll is closed.")
    return None
