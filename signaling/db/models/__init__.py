"""The tables. A change here needs a migration in `migrations/versions`; a test compares the two."""

from signaling.db.models.base import Base
from signaling.db.models.calls import Delivery, ReceiverGone, Revocation

__all__ = ["Base", "Delivery", "ReceiverGone", "Revocation"]
