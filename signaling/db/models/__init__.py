"""The tables. A change here needs a migration in `migrations/versions`; a test compares the two."""

from signaling.db.models.accounts import Account, Audit, Device, Invitation, OpenidLink, Passkey
from signaling.db.models.base import Base
from signaling.db.models.bots import BotRow, HookRow
from signaling.db.models.calls import Delivery, ReceiverGone, Revocation
from signaling.db.models.files import FileRow
from signaling.db.models.rooms import BanRow, EntryRow, InvitationRow, MemberRow, RoomRow, WordRow
from signaling.db.models.sealed import SealedBackupRow, SealedCommitRow, SealedEpochRow, SealedGateRow, SealedGroupRow

__all__ = [
    "Account", "Audit", "BanRow", "Base", "BotRow", "Delivery", "Device", "EntryRow", "FileRow", "HookRow",
    "Invitation", "InvitationRow", "MemberRow", "OpenidLink", "Passkey", "ReceiverGone", "Revocation", "RoomRow",
    "SealedBackupRow", "SealedCommitRow", "SealedEpochRow", "SealedGateRow", "SealedGroupRow", "WordRow",
]  # fmt: skip
