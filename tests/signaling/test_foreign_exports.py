"""What Mattermost and Slack export becomes rooms; what cannot be read is counted and named."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.db.url import sqlite_url
from signaling.errors import ArchiveError
from signaling.log.entries import Entry
from signaling.portability.foreign import ForeignRooms
from signaling.portability.importing import Importer, Report
from signaling.portability.mattermost import read_mattermost
from signaling.portability.slack import read_slack
from signaling.rooms.policy import Entry as Entrance
from signaling.rooms.roles import Role
from tests.signaling.harness import relaxed
from tests.signaling.portability import SETTINGS, Ting, ting

T = 1_600_000_000_000
POST = {
    "team": "crew", "channel": "deck", "user": "ada", "message": "Land ahead 陆地", "create_at": T + 5,
    "edit_at": T + 9,
    "reactions": [{"user": "bob", "emoji_name": "wave", "create_at": T + 7}],
    "replies": [
        {"user": "bob", "message": "Where?", "create_at": T + 8, "attachments": [{"path": "data/../../map.png"}]},
    ],
}  # fmt: skip
MATTERMOST: list[dict[str, Any]] = [
    {"type": "version", "version": 1, "info": {"generator": "x"}},
    {"type": "team", "team": {"name": "crew"}},
    {"type": "channel", "channel": {"team": "crew", "name": "deck", "display_name": "The deck", "type": "O"}},
    {"type": "user", "user": {
        "username": "ada", "nickname": "Ada", "teams": [{"name": "crew", "channels": [{"name": "deck", "roles": "x"}]}],
    }},
    {"type": "user", "user": {"username": "bob", "first_name": "Bob", "last_name": "B", "teams": None}},
    {"type": "post", "post": POST},
    {"type": "post", "post": {"team": "crew", "channel": "deck", "user": "bob", "message": "First", "create_at": T}},
    {"type": "post", "post": {
        "team": "crew", "channel": "deck", "user": "bob", "message": "came", "create_at": T,
        "type": "system_join_channel",
    }},
    {"type": "direct_post", "direct_post": {"message": "psst"}},
    {"type": "post", "post": {"team": "crew", "channel": "hold", "user": "bob", "message": "?", "create_at": T}},
    {"type": "post", "post": {"user": 5}},
]  # fmt: skip
SLACK: dict[str, Any] = {
    "users.json": [
        {"id": "U1", "name": "ada", "profile": {"display_name": "Ada", "real_name": "Ada L"}, "team_id": "T"},
        {"id": "U2", "name": "bob", "profile": {}},
    ],
    "channels.json": [{"id": "C1", "name": "general", "created": 1_600_000_000, "members": ["U1", "U2"], "topic": {}}],
    "groups.json": [{"id": "G1", "name": "secret", "members": ["U1"]}],
    "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
    "integration_logs.json": [],
    "general/2020-09-14.json": [
        {"type": "message", "user": "U2", "ts": "1600000020.000200", "thread_ts": "1600000010.000100",
         "text": "Yes, <@U1> &amp; <#C1|general> <https://example.org|here>"},
        {"type": "message", "user": "U1", "ts": "1600000010.000100", "thread_ts": "1600000010.000100", "text": "Tea?",
         "edited": {"user": "U1", "ts": "1600000015.000000"},
         "reactions": [{"name": "+1", "users": ["U2"], "count": 1}]},
        {"type": "message", "subtype": "channel_join", "user": "U2", "ts": "1600000000.000000", "text": "joined"},
        {"type": "message", "user": "U1", "ts": "1600000030.000000", "text": "", "files": [
            {"id": "F1", "name": "plan.pdf", "size": 10, "mimetype": "application/pdf", "url_private": "https://x"},
        ]},
        {"type": "message", "user": "U1", "ts": "never", "text": "lost"},
        {"ts": 5},
    ],
    "secret/2020-09-15.json": [{"type": "message", "user": "U1", "ts": "1600100000.000000", "text": "hush"}],
    "D1/2020-09-15.json": [{"type": "message", "user": "U1", "ts": "1600100000.000000", "text": "psst"}],
}  # fmt: skip


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(sqlite_url(tmp_path / "here.db"), tmp_path / "here") as made:
        yield made


def mattermost_file(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def slack_file(path: Path, files: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


async def take_in(here: Ting, rooms: ForeignRooms) -> Report:
    try:
        return await Importer(here.storage, here.files).take_in(rooms)
    finally:
        rooms.close()


async def entries(here: Ting, name: str) -> list[Entry]:
    room = await (await here.storage.rooms()).find_room(name)
    assert room is not None
    assert room.policy.entry is Entrance.MEMBERS, "nobody comes in by knowing a name"
    found, _ = await (await here.storage.log()).since(room.room_key, 0, 100, "", 0)
    assert [entry.seq for entry in found] == list(range(1, room.last_seq + 1))
    return found


async def test_mattermost(here: Ting, tmp_path: Path) -> None:
    path = mattermost_file(tmp_path / "export.jsonl", MATTERMOST)
    report = await take_in(here, read_mattermost(path, SETTINGS, here.folder))
    assert (report.rooms, report.entries) == (1, 5)
    assert report.left_out == {
        "lines of type direct_post": 1,
        "lines of type post that are not what they should be": 1,
        "lines of type team": 1,
        "messages of channels that are not in the list": 1,
        "posts of Mattermost itself": 1,
    }
    first, land, wave, where, plan = await entries(here, "crew-deck")
    assert (first.body, first.name, first.at_ms) == ({"text": "First"}, "Bob B", T)
    assert land.body == {"text": "Land ahead 陆地", "edited_at_ms": T + 9}
    assert (wave.body, wave.target, wave.sender) == ({"emoji": ":wave:"}, land.seq, "mattermost_bob")
    assert (where.body, where.target, where.name) == ({"text": "Where?"}, land.seq, "Bob B")
    assert plan.body is not None
    assert (plan.body["name"], plan.target) == ("map.png", where.seq)
    room = await (await here.storage.rooms()).find_room("crew-deck")
    assert room is not None
    assert room.title == "The deck"
    members = await (await here.storage.rooms()).members(room.room_key)
    assert [(member.member_id, member.role, member.name) for member in members] == [
        ("mattermost_ada", Role.MEMBER, "Ada")
    ]
    again = await take_in(here, read_mattermost(path, SETTINGS, here.folder))
    assert (again.entries, again.repeated) == (0, 5)


async def test_slack(here: Ting, tmp_path: Path) -> None:
    path = slack_file(tmp_path / "export.zip", SLACK)
    report = await take_in(here, read_slack(path, SETTINGS, here.folder))
    assert (report.rooms, report.entries) == (2, 5)
    assert report.left_out == {
        "days of direct messages": 1,
        "events that nobody said": 1,
        "messages that are empty or cannot be": 1,
        "other files of the export": 2,
        "people, channels and messages that are not what they should be": 1,
    }
    tea, thumb, yes, plan = await entries(here, "general")
    assert (tea.body, tea.name, tea.at_ms) == ({"text": "Tea?", "edited_at_ms": 1600000015000}, "Ada", 1600000010000)
    assert (thumb.body, thumb.target, thumb.sender) == ({"emoji": ":+1:"}, tea.seq, "slack_U2")
    assert yes.body == {"text": "Yes, @Ada & #general [here](https://example.org)"}
    assert (yes.target, yes.name) == (tea.seq, "bob")
    assert plan.body is not None
    assert (plan.body["name"], plan.body["size"]) == ("plan.pdf", 10)
    assert [entry.body for entry in await entries(here, "secret")] == [{"text": "hush"}]
    assert (await take_in(here, read_slack(path, SETTINGS, here.folder))).entries == 0
    assert [path.name for path in here.folder.iterdir() if path.name.startswith("import-")] == []


@pytest.mark.parametrize(
    "files",
    [
        {}, {"users.json": []}, {**SLACK, "users.json": b"[" * 100_000}, {**SLACK, "channels.json": {"a": 1}},
        {**SLACK, "../../general/2020-09-14.json": [], "/etc/passwd": b"x", "general/../2020-09-14.json": []},
        {**SLACK, "general/2020-09-14.json": b'[{"ts":"1.0","text":"\\ud800"},{"ts":"2.0","text":"a\\u0000b"}]'},
        {**SLACK, "general/2020-09-16.json": b"\xff\xfe"},
        {**SLACK, "users.json": [{"id": "U" * 5000, "name": "x" * 5000}]},
        {**SLACK, "channels.json": [{"id": "C1", "name": "\u202e"}, {"id": "C2", "name": "x" * 999}]},
    ],
)  # fmt: skip
async def test_strange_exports_of_slack(here: Ting, tmp_path: Path, files: dict[str, Any]) -> None:
    path = slack_file(tmp_path / "export.zip", files)
    if not {"users.json", "channels.json"} <= files.keys():
        with pytest.raises(ArchiveError, match="no export of Slack"):
            read_slack(path, SETTINGS, here.folder)
        return
    report = await take_in(here, read_slack(path, SETTINGS, here.folder))
    # Three there always are: days of direct messages, and lists of others.
    assert sum(report.left_out.values()) > 3
    assert {name.partition(".db")[0] for name in os.listdir(tmp_path)} == {"export.zip", "here"}


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    bomb = {**SLACK, "general/2020-09-14.json": b"[" + b" " * 5_000_000 + b"]"}
    path = slack_file(tmp_path / "export.zip", bomb)
    assert path.stat().st_size < 20_000
    for settings in (
        replace(SETTINGS, max_foreign_part_bytes=1_000_000),
        replace(SETTINGS, max_foreign_bytes=1_000_000),
        replace(SETTINGS, max_archive_parts=3),
    ):
        with pytest.raises(ArchiveError, match="too"):
            read_slack(path, settings, tmp_path / "work")
    lines = mattermost_file(tmp_path / "export.jsonl", MATTERMOST)
    with pytest.raises(ArchiveError, match="too long"):
        read_mattermost(lines, replace(SETTINGS, max_foreign_bytes=100), tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_line_that_is_too_long_is_counted(tmp_path: Path) -> None:
    path = mattermost_file(tmp_path / "export.jsonl", [MATTERMOST[0], {"type": "x" * 3000}, {"type": "bot"}])
    rooms = read_mattermost(path, replace(SETTINGS, max_foreign_part_bytes=1000), tmp_path)
    assert rooms.left_out == {"lines that are not what they should be": 1, "lines of type bot": 1}
    rooms.close()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\x00") | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The same, with one thing somewhere in it replaced, taken out or put in."""
    if draw(st.integers(0, 3)) == 0 or not isinstance(value, dict | list) or not value:
        return draw(_json)
    places = sorted(value) if isinstance(value, dict) else range(len(value))
    place = draw(st.sampled_from(list(places)))
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place] = draw(changed(value[place]))
    return copy


@given(lines=changed(MATTERMOST), cut=st.integers(0, 3000), junk=st.binary(max_size=40))
@hypothesis.settings(parent=relaxed, max_examples=150)
def test_no_export_of_mattermost_is_too_strange(
    tmp_path_factory: pytest.TempPathFactory, lines: Any, cut: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    text = "".join(json.dumps(line) + "\n" for line in (lines if isinstance(lines, list) else [lines])).encode()
    (folder / "x").write_bytes(text[:cut] + junk + text[cut:])
    read_all(lambda: read_mattermost(folder / "x", SETTINGS, folder))


@given(files=changed(SLACK), cut=st.integers(0, 2000), junk=st.binary(max_size=3))
@hypothesis.settings(parent=relaxed, max_examples=150)
def test_no_export_of_slack_is_too_strange(
    tmp_path_factory: pytest.TempPathFactory, files: Any, cut: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    hypothesis.assume(isinstance(files, dict))
    # What zipfile writes at all.
    named = {name: value for name, value in files.items() if name and name.isprintable()}
    whole = slack_file(folder / "x", named).read_bytes()
    (folder / "x").write_bytes(whole[:cut] + junk + whole[cut + len(junk) :])
    read_all(lambda: read_slack(folder / "x", SETTINGS, folder))


def read_all(read: Callable[[], ForeignRooms]) -> None:
    """Everything that comes out of it can be written to any database."""
    try:
        rooms = read()
    except ArchiveError:
        return
    for _, lines in rooms.rooms():
        for number, line in enumerate(lines):
            text = repr(line)
            assert "\\x00" not in text
            assert "\\ud800" not in text
            assert number >= 0
    rooms.close()
