"""Data blobs: small pieces of data that a participant leaves in the room for others to fetch, such as the schema of a
data track. They live in memory as long as their participant."""

from __future__ import annotations

from collections.abc import Mapping

from sfu.control.settings import DataSettings
from sfu.errors import RequestError

MAX_KEY_BYTES = 512


class BlobBudget:
    """Bytes of all blobs of one room."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def take(self, size: int) -> bool:
        """`size` may be negative. False, and nothing taken, when there is not enough left."""
        if size > self._left:
            return False
        self._left -= size
        return True


class Blobs:
    """One participant's. Sizes count key and contents."""

    def __init__(self, config: DataSettings, budget: BlobBudget) -> None:
        self._config = config
        self._budget = budget
        self._blobs: dict[bytes, bytes] = {}

    def store(self, key: bytes, contents: bytes) -> None:
        """A blob of the same key is replaced. Raises limit_exceeded or invalid_request."""
        config = self._config
        if len(key) > MAX_KEY_BYTES:
            raise RequestError("the key of the blob is too long", code="invalid_request")
        if len(contents) > config.max_data_blob_bytes:
            raise RequestError("the blob is too large", code="limit_exceeded")
        if key not in self._blobs and len(self._blobs) >= config.max_data_blobs_per_participant:
            raise RequestError("too many blobs", code="limit_exceeded")
        if not self._budget.take(len(key) + len(contents) - self._size(key)):
            raise RequestError("the blobs of the room are too large together", code="limit_exceeded")
        self._blobs[key] = contents

    def _size(self, key: bytes) -> int:
        return len(key) + len(self._blobs[key]) if key in self._blobs else 0

    def all(self) -> Mapping[bytes, bytes]:
        return self._blobs

    def find(self, key: bytes) -> bytes | None:
        return self._blobs.get(key)

    def close(self) -> None:
        for key in list(self._blobs):
            self._budget.take(-self._size(key))
            del self._blobs[key]
