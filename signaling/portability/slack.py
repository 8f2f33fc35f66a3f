"""Slack's export: a zip file with lists of people and channels, and a folder for each channel with a file for each day.

Channels (public and private) become rooms of the same name. Messages with their threads, reactions and edits are taken
in; of files only what is said of them. Direct messages and what apps did are counted and left out. Whoever wrote is a
member `slack_ID`. Nothing of the zip file is ever unpacked onto the disk, so that its names lead nowhere.
"""

from __future__ import annotations

import html
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from signaling.errors import ArchiveError
from signaling.log.entries import Verb
from signaling.portability.archive import CHUNK
from signaling.portability.foreign import ForeignRooms, client_id, convert, fingerprint_of
from signaling.portability.settings import PortabilitySettings

_PREFIX = "slack_"
_DAY = re.compile(r"([^/\\]{1,200})/\d{4}-\d\d-\d\d\.json")
_LISTS = ("channels.json", "groups.json")
_REFERENCE = re.compile(r"<([^<>]{1,2000})>")
_TIME = re.compile(r"\d{1,11}\.\d{1,6}")
_SAID = {None, "", "thread_broadcast", "me_message", "file_share", "bot_message", "reply_broadcast"}
"""Subtypes that somebody said; others tell what happened."""


class _Profile(msgspec.Struct):
    display_name: str = ""
    real_name: str = ""


class _Person(msgspec.Struct):
    id: str
    name: str = ""
    profile: _Profile = msgspec.field(default_factory=_Profile)


class _Channel(msgspec.Struct):
    id: str
    name: str
    created: int = 0
    members: list[str] = []


class _Reaction(msgspec.Struct):
    name: str
    users: list[str] = []


class _Edited(msgspec.Struct):
    ts: str


class _File(msgspec.Struct):
    id: str
    name: str | None = None
    size: int = 0
    mimetype: str = ""


class _Message(msgspec.Struct):
    ts: str
    type: str = "message"
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    username: str | None = None
    text: str | None = None
    thread_ts: str | None = None
    edited: _Edited | None = None
    reactions: list[_Reaction] = []
    files: list[Any] = []


def read_slack(path: Path, settings: PortabilitySettings, folder: Path) -> ForeignRooms:
    """The caller closes it. Raises `ArchiveError` for what is no such export, and for one that would be too long
    unpacked; single messages that are not what they should be are counted."""
    with path.open("rb") as file:
        rooms = ForeignRooms(folder, fingerprint_of(iter(lambda: file.read(CHUNK), b"")))
    try:
        with zipfile.ZipFile(path) as archive:
            _Reader(archive, rooms, settings).read()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        rooms.close()
        raise ArchiveError("this is no zip file that can be read, or it is damaged") from None
    except BaseException:
        rooms.close()
        raise
    return rooms


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, rooms: ForeignRooms, settings: PortabilitySettings) -> None:
        self._archive = archive
        self._rooms = rooms
        self._settings = settings
        self._left = settings.max_foreign_bytes
        self._people: dict[str, str] = {}
        self._channels: dict[str, str] = {}

    def read(self) -> None:
        names = self._archive.namelist()
        if len(names) > self._settings.max_archive_parts:
            raise ArchiveError("the export has too many files")
        if "users.json" not in names or "channels.json" not in names:
            hint = "; take the .jsonl file out of an export of Mattermost" if _has_lines(names) else ""
            raise ArchiveError(f"this is no export of Slack: it has no users.json and channels.json{hint}")
        for person in self._items("users.json", _Person):
            profile = person.profile
            self._people[person.id] = profile.display_name or profile.real_name or person.name or person.id
        channels = [one for name in _LISTS if name in names for one in self._items(name, _Channel)]
        self._channels = {one.id: one.name for one in channels}
        for one in channels:
            self._rooms.add_room(one.name, one.name, one.name, one.created * 1000)
            for member in one.members:
                self._rooms.add_member(one.name, _PREFIX + member, self._people.get(member, member))
        known = set(self._channels.values())
        for name in sorted(names):
            found = _DAY.fullmatch(name)
            if found is not None and found[1] in known:
                for message in self._items(name, _Message):
                    self._take(found[1], message)
            elif not name.endswith("/") and name not in ("users.json", *_LISTS):
                self._rooms.left_out["days of direct messages" if found else "other files of the export"] += 1

    def _items(self, name: str, kind: Any) -> Iterator[Any]:
        """Of a list in a file; what is not of the kind is counted."""
        try:
            values = json.loads(self._unpack(name))
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, list):
            self._rooms.left_out["files that are not what they should be"] += 1
            return
        for value in values:
            item = convert(value, kind)
            if item is None:
                self._rooms.left_out["people, channels and messages that are not what they should be"] += 1
            else:
                yield item

    def _unpack(self, name: str) -> bytes:
        """What the zip file says of sizes is not believed: it is counted while it is unpacked."""
        limit = min(self._settings.max_foreign_part_bytes, self._left)
        with self._archive.open(name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise ArchiveError("the export is too long when it is unpacked")
        self._left -= len(data)
        return data

    def _take(self, room: str, message: _Message) -> None:
        if message.type != "message" or message.subtype not in _SAID:
            self._rooms.left_out["events that nobody said"] += 1
            return
        at_ms = _milliseconds(message.ts)
        who = message.user or message.bot_id or "unknown"
        sender, name = _PREFIX + who, self._people.get(who) or message.username or who
        is_answer = message.thread_ts is not None and message.thread_ts != message.ts
        parent = message.thread_ts if is_answer and message.thread_ts else ""
        body: dict[str, Any] = {"text": self._plain(message.text or "")}
        if message.edited is not None and (edited_at_ms := _milliseconds(message.edited.ts)) > 0:
            body["edited_at_ms"] = edited_at_ms
        if message.text or not message.files:
            self._rooms.say(room, Verb.MESSAGE, at_ms, sender, name, body, message.ts, parent)
        first = message.ts if message.text else f"{message.ts} file 0"
        for number, value in enumerate(message.files):
            file = convert(value, _File)
            if file is None:
                self._rooms.left_out["files that are not what they should be"] += 1
                continue
            said = {"file_id": client_id(file.id), "name": (file.name or file.id)[:255], "size": max(file.size, 0)}
            said["type"] = file.mimetype[:255]
            self._rooms.say(room, Verb.FILE, at_ms, sender, name, said, f"{message.ts} file {number}", parent)
        for reaction in message.reactions:
            for user in reaction.users:
                key = f"{message.ts} {user} {reaction.name}"
                emoji = {"emoji": f":{reaction.name}:"}
                by = self._people.get(user, user)
                self._rooms.say(room, Verb.REACT, at_ms, _PREFIX + user, by, emoji, key, first)

    def _plain(self, text: str) -> str:
        """Slack's references as what they mean, its entities as what they stand for."""
        return html.unescape(_REFERENCE.sub(self._reference, text))

    def _reference(self, found: re.Match[str]) -> str:
        target, _, label = found[1].partition("|")
        if target.startswith("@"):
            return "@" + (self._people.get(target[1:]) or label or target[1:])
        if target.startswith("#"):
            return "#" + (label or self._channels.get(target[1:], target[1:]))
        if target.startswith("!"):
            return "@" + (label or target[1:]).removeprefix("@")
        return f"[{label}]({target})" if label and label != target else target


def _has_lines(names: list[str]) -> bool:
    return any(name.endswith(".jsonl") for name in names)


def _milliseconds(ts: str) -> int:
    """-1 for what is no time."""
    if not _TIME.fullmatch(ts):
        return -1
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1000 + int(fraction.ljust(6, "0")) // 1000
