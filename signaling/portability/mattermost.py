"""Mattermost's bulk export: one JSON object a line, `{"type": "post", "post": {...}}`, and all versions since 1.

Channels become rooms, called TEAM-CHANNEL. Posts with their replies and reactions are taken in; of files only the name.
Direct messages, emoji, schemes, roles and bots are counted and left out. Whoever wrote is a member `mattermost_NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from signaling import strict_json
from signaling.errors import ArchiveError
from signaling.log.entries import Verb
from signaling.portability.archive import CHUNK
from signaling.portability.foreign import ForeignRooms, client_id, convert, fingerprint_of
from signaling.portability.settings import PortabilitySettings

_PREFIX = "mattermost_"


class _Version(msgspec.Struct):
    type: str
    version: int


class _Channel(msgspec.Struct):
    team: str
    name: str
    display_name: str = ""


class _ChannelMembership(msgspec.Struct):
    name: str


class _Team(msgspec.Struct):
    name: str
    channels: list[_ChannelMembership] | None = None


class _User(msgspec.Struct):
    username: str
    nickname: str = ""
    first_name: str = ""
    last_name: str = ""
    teams: list[_Team] | None = None


class _Reaction(msgspec.Struct):
    user: str
    emoji_name: str
    create_at: int


class _Attachment(msgspec.Struct):
    path: str


class _Reply(msgspec.Struct):
    user: str
    message: str
    create_at: int
    edit_at: int | None = None
    reactions: list[_Reaction] | None = None
    attachments: list[_Attachment] | None = None


class _Post(_Reply):
    team: str = ""
    channel: str = ""
    type: str | None = None
    replies: list[_Reply] | None = None


def read_mattermost(path: Path, settings: PortabilitySettings, folder: Path) -> ForeignRooms:
    """The caller closes it. Raises `ArchiveError` for what is no such export; single lines that are not what they
    should be are counted."""
    if path.stat().st_size > settings.max_foreign_bytes:
        raise ArchiveError("the export is too long")
    with path.open("rb") as file:
        rooms = ForeignRooms(folder, fingerprint_of(iter(lambda: file.read(CHUNK), b"")))
    try:
        _Reader(rooms).read(_lines(path, settings.max_foreign_part_bytes))
    except BaseException:
        rooms.close()
        raise
    return rooms


def _lines(path: Path, limit: int) -> Iterator[bytes]:
    """One that is too long is an empty one."""
    with path.open("rb") as file:
        while line := file.readline(limit):
            is_whole = line.endswith(b"\n") or len(line) < limit
            while not is_whole:
                rest = file.readline(limit)
                is_whole = not rest or rest.endswith(b"\n")
                line = b"\n"
            yield line


class _Reader:
    def __init__(self, rooms: ForeignRooms) -> None:
        self._rooms = rooms
        self._names: dict[str, str] = {}

    def read(self, lines: Iterator[bytes]) -> None:
        first = convert(_parse(next(lines, b"")), _Version)
        if first is None or first.type != "version" or first.version != 1:
            raise ArchiveError("this is no bulk export of Mattermost of version 1")
        for line in lines:
            value = _parse(line)
            kind = value.get("type") if isinstance(value, dict) else None
            known = {"channel": _Channel, "user": _User, "post": _Post}.get(kind) if isinstance(kind, str) else None
            content = convert(value.get(kind), known) if isinstance(value, dict) and known is not None else None
            if isinstance(content, _Channel):
                self._take_channel(content)
            elif isinstance(content, _User):
                self._take_user(content)
            elif isinstance(content, _Post):
                self._take_post(content)
            else:
                self._rooms.left_out[_named(kind, known is not None)] += 1

    def _take_channel(self, channel: _Channel) -> None:
        room = f"{channel.team}/{channel.name}"
        self._rooms.add_room(room, f"{channel.team}-{channel.name}", channel.display_name, 0)

    def _take_user(self, user: _User) -> None:
        name = user.nickname or f"{user.first_name} {user.last_name}".strip() or user.username
        self._names[user.username] = name
        for team in user.teams or ():
            for channel in team.channels or ():
                self._rooms.add_member(f"{team.name}/{channel.name}", _PREFIX + user.username, name)

    def _take_post(self, post: _Post) -> None:
        if post.type:
            self._rooms.left_out["posts of Mattermost itself"] += 1
            return
        room = f"{post.team}/{post.channel}"
        key = self._say(room, post, "")
        for reply in post.replies or ():
            self._say(room, reply, key)

    def _say(self, room: str, said: _Reply, parent: str) -> str:
        # The export has no ids of posts; Mattermost tells them apart by these as well.
        key = "\n".join((parent, said.user, str(said.create_at), said.message))
        sender, name = self._who(said.user)
        body: dict[str, object] = {"text": said.message}
        if said.edit_at:
            body["edited_at_ms"] = said.edit_at
        if said.message or not said.attachments:
            self._rooms.say(room, Verb.MESSAGE, said.create_at, sender, name, body, key, parent)
        for number, attachment in enumerate(said.attachments or ()):
            file = {"file_id": client_id(attachment.path), "name": PurePosixPath(attachment.path).name[:255]}
            about = key if said.message else parent
            self._rooms.say(room, Verb.FILE, said.create_at, sender, name, file, f"{key}\nfile {number}", about)
        for reaction in said.reactions or ():
            by, by_name = self._who(reaction.user)
            emoji = {"emoji": f":{reaction.emoji_name}:"}
            one = f"{key}\n{reaction.user}\n{reaction.emoji_name}"
            # Never before what it is about.
            at_ms = max(reaction.create_at, said.create_at)
            self._rooms.say(room, Verb.REACT, at_ms, by, by_name, emoji, one, key)
        return key

    def _who(self, user: str) -> tuple[str, str]:
        return _PREFIX + user, self._names.get(user, user)


def _parse(line: bytes) -> object:
    try:
        return strict_json.loads(line)
    except ValueError:
        return None


def _named(kind: object, known: bool) -> str:
    """For the report: what a stranger wrote only as far as it is short and plain."""
    if isinstance(kind, str) and kind.isascii() and kind.isidentifier() and len(kind) <= 40:
        return f"lines of type {kind}" + (" that are not what they should be" if known else "")
    return "lines that are not what they should be"
