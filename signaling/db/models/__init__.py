"""The tables. A change here needs a migration in `migrations/versions`; a test compares the two."""

from signaling.db.models.base import Base
from signaling.db.models.calls import Delivery, ReceiverGone, Revocation
from signaling.db.models.files import FileRow
from signaling.db.models.rooms import BanRow, EntryRow, InvitationRow, MemberRow, RoomRow, WordRow

__all__ = [
    "BanRow", "Base", "Delivery", "EntryRow", "FileRow", "InvitationRow", "MemberRow", "ReceiverGone", "Revocation",
    "RoomRow", "WordRow",
]  # fmt: skip
