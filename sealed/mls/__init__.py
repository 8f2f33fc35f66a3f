"""Members of sealed rooms: their MLS group (RFC 9420), as the page has it.

It needs `wasmtime`
(`pip install ting[sealed]`), which runs the same `ting_mls.wasm` that the page runs.
"""

from sealed.mls.errors import Failure, MlsError
from sealed.mls.groups import (
    Changes,
    Commit,
    Committed,
    Device,
    Group,
    Header,
    KeyPackage,
    Member,
    Proposed,
    State,
    new_device,
    new_key_package,
    read_header,
)
from sealed.mls.library import Library

__all__ = [
    "Changes",
    "Commit",
    "Committed",
    "Device",
    "Failure",
    "Group",
    "Header",
    "KeyPackage",
    "Library",
    "Member",
    "MlsError",
    "Proposed",
    "State",
    "new_device",
    "new_key_package",
    "read_header",
]
