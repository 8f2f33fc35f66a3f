"""Archives that somebody made by hand: refused with a sentence, and nothing of them stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.db.url import sqlite_url
from signaling.errors import ArchiveError
from signaling.portability import lines
from signaling.portability.archive import Kind, Part, Seal
from signaling.portability.output import write_archive
from signaling.portability.reading import Archive
from signaling.portability.signing import Signer
from tests.signaling.harness import relaxed
from tests.signaling.portability import SETTINGS, Ting, ting

HEADER = {"format": "ting-room", "version": 1, "scope": "operator"}
ROOM = {"type": "room", "name": "hall", "title": "Hall", "created_at_ms": 1, "policy": {}, "last_seq": 3}
MEMBER = {"type": "member", "member_id": "guest_a", "role": "owner", "name": "A", "added_at_ms": 1}
BAN = {"type": "ban", "subject": "guest_e", "kind": "ban", "member_id": "guest_e", "name": "E", "at_ms": 1}
ENTRY = {
    "type": "entry", "seq": 1, "verb": "message", "sender": "guest_a", "name": "A", "client_id": "c", "at_ms": 1,
    "body": {"text": "hello"},
}  # fmt: skip
POLL = {**ENTRY, "seq": 2, "verb": "poll", "client_id": "d", "body": {"question": "?", "options": ["a", "b"]}}
VOTE = {**ENTRY, "seq": 3, "verb": "vote", "client_id": "e", "target": 2, "body": {"choices": [0]}}
FILE = {
    "type": "file", "file_id": "0" * 32, "member_id": "guest_a", "name": "f", "media_type": "", "metadata": "",
    "size_bytes": 0, "created_at_ms": 1, "completed_at_ms": 1, "sha256": "0" * 64,
}  # fmt: skip
GOOD: list[Any] = [HEADER, ROOM, MEMBER, BAN, ENTRY, POLL, VOTE, FILE]


def text_of(values: list[Any]) -> bytes:
    return b"".join(value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n" for value in values)


async def pack(server: Ting, path: Path, room: bytes) -> Path:
    """Signed with the server's own key."""

    async def parts() -> AsyncGenerator[Part]:
        yield Part("rooms/000001/room.jsonl", len(room), _once(room))

    async def _once(content: bytes) -> AsyncIterator[bytes]:
        yield content

    await write_archive(parts(), Seal(server.signer, Kind.ROOMS), path, lambda _: None)
    return path


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(sqlite_url(tmp_path / "here.db"), tmp_path / "here") as made:
        yield made


async def test_the_lines_that_others_are_made_from_are_good(here: Ting, tmp_path: Path) -> None:
    report = await here.take_in(await pack(here, tmp_path / "x.tar", text_of(GOOD)))
    assert (report.rooms, report.entries) == (1, 3)
    assert report.left_out == {"files that are not in the archive": 1}


def replaced(place: int, **fields: Any) -> list[Any]:
    return [*GOOD[:place], {**GOOD[place], **fields}, *GOOD[place + 1 :]]


BAD: dict[str, list[Any]] = {
    "nothing": [],
    "no room": GOOD[:1],
    "no header": GOOD[1:],
    "another version": replaced(0, version=2),
    "another format": replaced(0, format="x"),
    "two headers": [HEADER, *GOOD],
    "two rooms": [HEADER, ROOM, *GOOD[1:]],
    "a member after the log": [*GOOD[:5], MEMBER],
    "an entry after a file": [*GOOD, ENTRY],
    "an entry twice": [*GOOD[:5], ENTRY],
    "a client id twice": replaced(5, client_id="c"),
    "seq out of order": replaced(4, seq=3),
    "seq beyond the last": replaced(6, seq=4),
    "seq zero": replaced(4, seq=0),
    "seq huge": replaced(4, seq=2**80),
    "seq a text": replaced(4, seq="1"),
    "a target ahead": replaced(6, target=3),
    "a verb that is not known": replaced(4, verb="shout"),
    "a body that is a list": replaced(4, body=[]),
    "a message without text": replaced(4, body={}),
    "a poll that would break voting": replaced(5, body={"question": "?", "options": 5}),
    "a poll that is closed by a text": replaced(5, body={"question": "?", "options": ["a", "b"], "closed": "no"}),
    "a vote for nothing": replaced(6, body={"choices": [10**9]}),
    "NUL": replaced(4, body={"text": "a\x00b"}),
    "NUL in a name": replaced(2, name="\x00"),
    "a lone surrogate": replaced(4, body={"text": "\ud800"}),
    "a field twice": [*GOOD[:4], b'{"type":"entry","seq":1,"seq":1}\n'],
    "NaN": [*GOOD[:4], b'{"type":"entry","seq":NaN}\n'],
    "deep": [*GOOD[:4], b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n"],
    "no UTF-8": [*GOOD[:4], b"\xff\n"],
    "no end of line": [*GOOD[:4], b'{"type":"entry"'],
    "an empty line": [*GOOD[:4], b"\n"],
    "a room that nobody could name": replaced(1, name="a\nb"),
    "a hidden room": replaced(1, name="\x01hall"),
    "a room without a name": replaced(1, name=""),
    "a name that is too long": replaced(1, name="x" * 129),
    "a title that is too long": replaced(1, title="x" * 513),
    "a policy that is not known": replaced(1, policy={"entry": "everybody"}),
    "a role that is not known": replaced(2, role="emperor"),
    "a ban of another kind": replaced(3, kind="hug"),
    "a file that leads elsewhere": replaced(7, file_id="../../etc/passwd"),
    "a time in the far future": replaced(4, at_ms=10**30),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_line_is_refused_and_nothing_stays(here: Ting, tmp_path: Path, what: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        await here.take_in(await pack(here, tmp_path / "x.tar", text_of(BAD[what])))
    assert "\n" not in str(caught.value)
    assert await (await here.storage.rooms()).list_rooms("", 10) == []
    assert (await here.take_in(await pack(here, tmp_path / "y.tar", text_of(GOOD)))).entries == 3


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\x00") | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
@hypothesis.settings(parent=relaxed, max_examples=300)
def test_lines_are_read_or_refused(data: st.DataObject) -> None:
    values = [dict(value) for value in GOOD]
    changed = data.draw(st.sampled_from(values))
    changed[data.draw(st.sampled_from(sorted(changed)))] = data.draw(_json)
    text = text_of(values)
    cut = data.draw(st.integers(0, len(text)))
    text = text[:cut] + data.draw(st.binary(max_size=4)) + text[cut + data.draw(st.integers(0, 4)) :]
    try:
        for line in lines.read(text.splitlines(keepends=True)):
            again = lines.encode(line)
            assert b"\\u0000" not in again
    except ArchiveError:
        pass


@given(data=st.data())
@hypothesis.settings(parent=relaxed, max_examples=300)
def test_archives_are_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever was done to the tar file, what comes out of it is what went in."""
    folder = tmp_path_factory.mktemp("fuzz")
    signer = Signer(folder / "key")
    room = text_of(GOOD)

    async def parts() -> AsyncGenerator[Part]:
        yield Part("rooms/000001/room.jsonl", len(room), _once())

    async def _once() -> AsyncIterator[bytes]:
        yield room

    asyncio.run(write_archive(parts(), Seal(signer, Kind.ROOMS), folder / "x.tar", lambda _: None))
    whole = (folder / "x.tar").read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(whole)))
        whole = whole[:place] + data.draw(st.binary(max_size=16)) + whole[place + data.draw(st.integers(0, 600)) :]
    (folder / "x.tar").write_bytes(whole)
    try:
        archive = Archive.open(folder / "x.tar", signer, SETTINGS)
    except ArchiveError:
        return
    assert b"".join(archive.lines("rooms/000001/room.jsonl")) == room
    archive.close()


async def test_a_file_that_is_not_what_its_line_says_is_refused(here: Ting, tmp_path: Path) -> None:
    async def parts() -> AsyncGenerator[Part]:
        for name, content in (("room.jsonl", text_of(GOOD)), (f"files/{'0' * 32}", b"another")):
            yield Part(f"rooms/000001/{name}", len(content), _once(content))

    async def _once(content: bytes) -> AsyncIterator[bytes]:
        yield content

    await write_archive(parts(), Seal(here.signer, Kind.ROOMS), tmp_path / "x.tar", lambda _: None)
    with pytest.raises(ArchiveError, match="not what its line says"):
        await here.take_in(tmp_path / "x.tar")
    assert await (await here.storage.rooms()).list_rooms("", 10) == []
