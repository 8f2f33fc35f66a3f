"""Groups of sealed rooms in the words of RFC 9420. The page has the same in `web/src/sealed/mls/mls.ts`.

The secrets in what `Device`, `KeyPackage` and `Group.save` give belong to the caller, who stores them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import IntEnum

from sealed.mls.library import Library
from sealed.mls.wire import Field, Reader

_BETWEEN = "\0"
"""Between identity and device id in a basic credential; neither contains it."""


class _Call(IntEnum):
    """The numbers of `sealed/core/src/calls.rs`."""

    DEVICE = 1
    KEY_PACKAGE = 2
    CREATE = 3
    WELCOME = 4
    EXTERNAL = 5
    COMMIT = 6
    APPLY = 7
    DISCARD = 8
    PROPOSE_REMOVAL = 9
    PROCESS = 10
    EXPORTER = 11
    AUTHENTICATOR = 12
    MEMBERS = 13
    GROUP_INFO = 14
    STATE = 15
    SAVE = 16
    RESTORE = 17
    FORGET = 18
    SET_LINK = 19
    LINK = 20
    READ = 21


@dataclass(frozen=True, slots=True)
class Device:
    """A device: `identity` is the participant's, `device` tells that person's devices apart.

    `device` is drawn anew whenever the signature key is: two keys of one device id are never in a group together.
    """

    identity: str
    device: str
    public_key: bytes
    secret_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """One leaf of a group."""

    leaf: int
    identity: str
    device: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class KeyPackage:
    """A key package (RFC 9420, 10), which admits its device once.

    `id` is its reference, `message` what is published, `secret` is kept until a welcome spends it.
    """

    id: bytes
    message: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did: the epoch that began, who made it (None: no member that is known), who came and went."""

    epoch: int
    is_external: bool
    is_removed: bool
    by: Member | None
    added: list[Member]
    removed: list[Member]
    note: bytes


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a proposal asks for; someone's next commit carries it out. `by` is None for who is not a member."""

    by: Member | None
    adds: Member | None
    removes: Member | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a commit is to do: messages of key packages to add, leaves to remove, what members agree on from then on
    (None: as before), and a note that is authenticated, not encrypted."""

    adds: list[bytes] = field(default_factory=list)
    removes: list[int] = field(default_factory=list)
    agreed: bytes | None = None
    note: bytes = b""


@dataclass(frozen=True, slots=True)
class Commit:
    """A prepared commit, and a welcome for those it adds (empty where there is nobody)."""

    message: bytes
    welcome: bytes


@dataclass(frozen=True, slots=True)
class State:
    """Where a membership stands."""

    id: bytes
    epoch: int
    leaf: int
    is_removed: bool
    agreed: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What a message says of itself, unverified. `group` is empty where it names none."""

    kind: str
    group: bytes
    epoch: int


def _now() -> int:
    return int(time.time())


def _credential(identity: str, device: str) -> str:
    if _BETWEEN in identity or _BETWEEN in device:
        raise ValueError("a name with a NUL")
    return identity + _BETWEEN + device


def _leaf_of(device: Device) -> list[Field]:
    return [_credential(device.identity, device.device), device.public_key, device.secret_key]


def _member(reader: Reader) -> Member:
    leaf = reader.number()
    identity, _, device = reader.text().partition(_BETWEEN)
    return Member(leaf, identity, device, reader.data())


def _first(members: list[Member]) -> Member | None:
    return members[0] if members else None


def _event(answer: bytes) -> Committed | Proposed:
    reader = Reader(answer)
    if reader.text() == "proposal":
        by, adds, removes = (_first(reader.items(_member)) for _ in range(3))
        return Proposed(by, adds, removes)
    epoch, is_external, is_removed = reader.number(), reader.flag(), reader.flag()
    by = _first(reader.items(_member))
    added, removed = reader.items(_member), reader.items(_member)
    return Committed(epoch, is_external, is_removed, by, added, removed, reader.data())


class Group:
    """One device's membership in one group. What fails raises MlsError and changes nothing."""

    def __init__(self, library: Library, handle: int) -> None:
        self._library = library
        self._handle = handle

    @classmethod
    def create(cls, library: Library, device: Device, group_id: bytes, link: bytes, agreed: bytes) -> Group:
        """Creates a group of one. `link` is the secret of the room's link, `agreed` what members agree on."""
        answer = library.call(_Call.CREATE, *_leaf_of(device), group_id, link, agreed, _now())
        return cls(library, Reader(answer).number())

    @classmethod
    def welcome(cls, library: Library, device: Device, message: bytes, secrets: list[bytes]) -> tuple[Group, bytes]:
        """Joins by a welcome; answers also the id of the key package whose secret is to be deleted now."""
        reader = Reader(library.call(_Call.WELCOME, *_leaf_of(device), message, secrets))
        return cls(library, reader.number()), reader.data()

    @classmethod
    def external(cls, library: Library, device: Device, group_info: bytes, link: bytes) -> tuple[Group, bytes]:
        """Joins by a commit of its own, in place of this device's former leaf if there is one.

        The group counts when the delivery service has accepted the commit; else it is to be forgotten and joined anew.
        """
        answer = library.call(_Call.EXTERNAL, *_leaf_of(device), group_info, b"", link, _now())
        reader = Reader(answer)
        return cls(library, reader.number()), reader.data()

    @classmethod
    def restore(cls, library: Library, saved: bytes) -> Group:
        """What `save` gave."""
        return cls(library, Reader(library.call(_Call.RESTORE, saved)).number())

    def _on(self, call: _Call, *fields: Field) -> bytes:
        return self._library.call(call, self._handle, *fields)

    def commit(self, changes: Changes | None = None) -> Commit:
        """Prepares one commit; it counts by `apply` or when its echo is processed.

        Until then, or `discard`, no other is prepared (BAD_CALL): the echo of a forgotten commit cannot be followed.
        """
        wanted = changes or Changes()
        agreed = [] if wanted.agreed is None else [wanted.agreed]
        reader = Reader(self._on(_Call.COMMIT, _now(), wanted.adds, wanted.removes, agreed, wanted.note))
        return Commit(reader.data(), reader.data())

    def apply(self) -> Committed:
        """The prepared commit was accepted."""
        event = _event(self._on(_Call.APPLY))
        assert isinstance(event, Committed)
        return event

    def discard(self) -> None:
        """The prepared commit was certainly not accepted."""
        self._on(_Call.DISCARD)

    def propose_removal(self, leaf: int) -> bytes:
        """A proposal to remove a leaf; one's own says goodbye."""
        return self._on(_Call.PROPOSE_REMOVAL, leaf)

    def process(self, message: bytes) -> Committed | Proposed:
        """Processes a commit (own ones included) or a proposal, and tells who did what."""
        return _event(self._on(_Call.PROCESS, _now(), message))

    def exporter(self, label: str, context: bytes, length: int) -> bytes:
        """A secret of this epoch for one purpose (RFC 9420, 8.5)."""
        return self._on(_Call.EXPORTER, label, context, length)

    def authenticator(self) -> bytes:
        """Equal for all members of an epoch, and for nobody else: what the room's code is made from (RFC 9420, 8.7)."""
        return self._on(_Call.AUTHENTICATOR)

    def members(self) -> list[Member]:
        return Reader(self._on(_Call.MEMBERS)).items(_member)

    def group_info(self) -> bytes:
        """What a newcomer needs to join in this epoch, the ratchet tree included."""
        return self._on(_Call.GROUP_INFO)

    def state(self) -> State:
        reader = Reader(self._on(_Call.STATE))
        return State(reader.data(), reader.number(), reader.number(), reader.flag(), reader.data())

    @property
    def link(self) -> bytes:
        """The secret of the room's link; empty where this device does not know it."""
        return self._on(_Call.LINK)

    @link.setter
    def link(self, secret: bytes) -> None:
        self._on(_Call.SET_LINK, secret)

    def save(self) -> bytes:
        """Everything of this membership as bytes, the prepared commit included, former epochs not. Secret."""
        return self._on(_Call.SAVE)

    def forget(self) -> None:
        """Wipes this membership from the library's memory; the object is of no use after it."""
        self._on(_Call.FORGET)


def new_device(library: Library, identity: str, device: str) -> Device:
    """Draws a signature key for a device."""
    reader = Reader(library.call(_Call.DEVICE, _credential(identity, device)))
    return Device(identity, device, reader.data(), reader.data())


def new_key_package(library: Library, device: Device) -> KeyPackage:
    reader = Reader(library.call(_Call.KEY_PACKAGE, *_leaf_of(device), _now()))
    return KeyPackage(reader.data(), reader.data(), reader.data())


def read_header(library: Library, message: bytes) -> Header:
    """What a message says of itself, unverified."""
    reader = Reader(library.call(_Call.READ, message))
    return Header(reader.text(), reader.data(), reader.number())
