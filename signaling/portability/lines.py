"""The lines of a room in an archive (JSON Lines): a header, the room, its members and bans, its log, its files, and of
a sealed room its group, the wrapped keys of its epochs, and its members' backups of keys.

    {"format":"ting-room","version":1,"scope":"operator"}
    {"type":"room", ...}  {"type":"member", ...}*  {"type":"ban", ...}*  {"type":"entry", ...}*  {"type":"file", ...}*
    {"type":"seal_group", ...}?  {"type":"seal_epoch", ...}*  {"type":"seal_backup", ...}*

Members, bans, files and backups stand in the order of their ids' bytes, entries in that of `seq`, epochs in that of
`n`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from signaling import strict_json
from signaling.errors import ArchiveError
from signaling.log.entries import BODIES, MAX_CLIENT_ID_LENGTH, SEALED_BODIES, Verb
from signaling.rooms.calls import MAX_ROOM_NAME_LENGTH, is_clean
from signaling.rooms.policy import Policy
from signaling.rooms.roles import Role

FORMAT = "ting-room"
VERSION = 1
_BIGGEST = 2**53
_ADDED_BY_THE_SERVER = {"edited_at_ms": int, "closed": bool}
"""Fields of a body that no client writes."""

Text = Annotated[str, msgspec.Meta(max_length=512)]
Time = Annotated[int, msgspec.Meta(ge=0, le=_BIGGEST)]
Seq = Annotated[int, msgspec.Meta(ge=1, le=_BIGGEST)]
FileId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Scope(StrEnum):
    OWNER = "owner"
    """Without what is only the operator's or other people's business: their private messages, what they have read,
    hashes of passwords and addresses."""
    OPERATOR = "operator"
    ACCOUNT = "account"
    """What one account said and sent, what was said to it in private, and what is kept of it."""


class Header(msgspec.Struct, frozen=True):
    format: str
    version: int
    scope: Scope


class RoomLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="room"):
    name: Annotated[str, msgspec.Meta(max_length=MAX_ROOM_NAME_LENGTH)]
    title: Text
    created_at_ms: Time
    policy: Policy
    password_hash: Annotated[str, msgspec.Meta(max_length=256)] = ""
    last_seq: Annotated[int, msgspec.Meta(ge=0, le=_BIGGEST)]


class MemberLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="member"):
    member_id: Text
    role: Role
    name: Text
    added_at_ms: Time
    read_seq: Annotated[int, msgspec.Meta(ge=0, le=_BIGGEST)] = 0


class BanLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ban"):
    subject: Text
    kind: Annotated[str, msgspec.Meta(max_length=16)]
    member_id: Text
    name: Text
    at_ms: Time
    until_ms: Time | None = None


class EntryLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="entry", omit_defaults=True):
    seq: Seq
    verb: Verb
    sender: Text
    name: Text
    client_id: Annotated[str, msgspec.Meta(max_length=MAX_CLIENT_ID_LENGTH)]
    at_ms: Time
    body: Any
    """An object; null: it is gone. On the way out, the database's own text."""
    target: Seq | None = None
    recipient: Text = ""
    ttl_s: Seq | None = None
    expires_at_ms: Time | None = None


class FileLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="file"):
    file_id: FileId
    member_id: Text
    name: Annotated[str, msgspec.Meta(max_length=255)]
    media_type: Annotated[str, msgspec.Meta(max_length=128)]
    metadata: Annotated[str, msgspec.Meta(max_length=2048)]
    size_bytes: Time
    created_at_ms: Time
    completed_at_ms: Seq
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


Opaque = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$")]
GroupId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
Epoch = Annotated[int, msgspec.Meta(ge=0, le=_BIGGEST)]


class SealGroupLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="seal_group"):
    """The commits before it stay behind: devices that missed them come in anew."""

    group_id: GroupId
    epoch: Epoch
    group_info: Opaque
    at_ms: Time


class SealEpochLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="seal_epoch"):
    n: Seq
    group_id: GroupId
    epoch: Epoch
    wrap: Opaque
    secrets: Opaque
    at_ms: Time


class SealBackupLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="seal_backup"):
    member_id: Text
    blob: Opaque
    at_ms: Time


SealLine = SealGroupLine | SealEpochLine | SealBackupLine
Line = RoomLine | MemberLine | BanLine | EntryLine | FileLine | SealLine
_ORDER: tuple[type[Any], ...] = (
    RoomLine, MemberLine, BanLine, EntryLine, FileLine, SealGroupLine, SealEpochLine, SealBackupLine,
)  # fmt: skip
_encoder = msgspec.json.Encoder()


def encode(line: Header | Line) -> bytes:
    return _encoder.encode(line) + b"\n"


def header(scope: Scope) -> bytes:
    return encode(Header(FORMAT, VERSION, scope))


def read(lines: Iterable[bytes]) -> Iterator[Line]:
    """Checked one by one, and their order with them. Raises `ArchiveError` with the number of the line."""
    place, last_seq, newest = -1, 0, 0
    for number, text in enumerate(lines, start=1):
        line = _decode(text, number)
        if isinstance(line, Header):
            if number != 1 or line.format != FORMAT or line.version != VERSION:
                raise ArchiveError(f"line {number}: a room of another format or version")
            continue
        here = _ORDER.index(type(line))
        if number == 1 or here < place or (here == 0) != (number == 2):
            raise ArchiveError(f"line {number}: stands where it may not")
        place = here
        if isinstance(line, RoomLine):
            newest = line.last_seq
        if isinstance(line, EntryLine):
            if not last_seq < line.seq <= newest or (line.target or 0) >= line.seq:
                raise ArchiveError(f"line {number}: the entries are not in their order")
            last_seq = line.seq
        yield line
    if place < 0:
        raise ArchiveError("a room without its first lines")


def _decode(text: bytes, number: int) -> Header | Line:
    try:
        value = strict_json.loads(text)
        line: Header | Line = msgspec.convert(value, Header if number == 1 else Line)
        _check(line)
    except (ValueError, RecursionError):
        raise ArchiveError(f"line {number}: is not what the format says") from None
    return line


def _check(line: Header | Line) -> None:
    """What the types do not say. Raises `ValueError`."""
    if isinstance(line, RoomLine) and not is_clean(line.name, MAX_ROOM_NAME_LENGTH):
        raise ValueError
    if isinstance(line, BanLine) and line.kind not in ("ban", "kick"):
        raise ValueError
    if isinstance(line, EntryLine) and line.body is not None:
        if not isinstance(line.body, dict):
            raise ValueError
        check_body(line.verb, line.body)


def check_body(verb: Verb, body: dict[str, Any]) -> None:
    """Whether the server can work with it: fields that it knows are of their kind, others are left alone. Raises
    `ValueError`."""
    kind = (SEALED_BODIES if "sealed" in body else BODIES).get(verb)
    if kind is None:
        return
    msgspec.convert({name: value for name, value in body.items() if name in kind.__struct_fields__}, kind)
    for name, wanted in _ADDED_BY_THE_SERVER.items():
        if name in body and type(body[name]) is not wanted:
            raise ValueError
