"""Rooms in archives: the same after a round trip, on SQLite and PostgreSQL and between them; broken ones refused."""

from __future__ import annotations

import secrets
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from signaling.db.models import BanRow, EntryRow, FileRow, MemberRow, RoomRow
from signaling.db.url import sqlite_url
from signaling.errors import ArchiveError
from signaling.log.entries import Verb
from signaling.portability.importing import ArchivedRooms, Importer
from signaling.portability.lines import BanLine, EntryLine, FileLine, MemberLine, RoomLine
from signaling.portability.reading import Archive
from signaling.portability.signing import ANY_SIGNER, Signer
from tests.harness.postgres import Postgres
from tests.signaling.portability import SETTINGS, Ting, draft, files_of, ting


def make_url(kind: str, request: pytest.FixtureRequest, path: Path) -> str:
    if kind == "sqlite":
        return sqlite_url(path)
    server: Postgres = request.getfixturevalue("postgres")
    name = f"db_{secrets.token_hex(4)}"
    server.run(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(make_url(request.param, request, tmp_path / "a.db"), tmp_path / "a") as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(make_url(request.param, request, tmp_path / "b.db"), tmp_path / "b") as made:
        yield made


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(sqlite_url(tmp_path / "here.db"), tmp_path / "here") as made:
        yield made


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(sqlite_url(tmp_path / "there.db"), tmp_path / "there") as made:
        yield made


async def test_what_goes_out_and_in_and_out_again_is_equal_to_the_byte(
    source: Ting, target: Ting, tmp_path: Path
) -> None:
    for name in ("hall", "Hall", "厅"):
        await source.fill(await source.make_room(name))
    first = await source.export(tmp_path / "first.tar")
    report = await target.take_in(first)
    assert (report.rooms, report.files, report.repeated, report.left_out) == (3, 3, 0, {})
    # The key is the only thing that tells the two servers apart.
    (target.folder / "archive.key").write_bytes((source.folder / "archive.key").read_bytes())
    second = await target.export(tmp_path / "second.tar")
    assert first.read_bytes() == second.read_bytes()


async def test_a_search_finds_what_came_with_an_archive(source: Ting, target: Ting, tmp_path: Path) -> None:
    await source.fill(await source.make_room())
    await target.take_in(await source.export(tmp_path / "out"))
    room = await (await target.storage.rooms()).find_room("hall")
    assert room is not None
    log = await target.storage.log()
    for word, seqs in (("世界", [2]), ("hello", [2]), ("goodbye", []), ("notes", [6])):
        found = await log.search(room.room_key, [word], None, 10, "guest_ada", 0)
        assert [entry.seq for entry in found] == seqs, word


async def test_a_folder_and_a_tar_file_hold_the_same(here: Ting, tmp_path: Path) -> None:
    await here.fill(await here.make_room())
    await here.export(tmp_path / "out.tar")
    await here.export(tmp_path / "out")
    with tarfile.open(tmp_path / "out.tar") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert list(files_of(tmp_path / "unpacked")) == list(files_of(tmp_path / "out"))


async def test_a_second_import_adds_nothing(source: Ting, target: Ting, tmp_path: Path) -> None:
    await source.fill(await source.make_room())
    out = await source.export(tmp_path / "out.tar")
    first = await target.take_in(out)
    again = await target.take_in(out)
    assert (again.entries, again.repeated, again.files) == (0, first.entries, 0)
    assert await target.take_in(out) == again


async def test_a_room_with_another_log_is_left_alone(here: Ting, there: Ting, tmp_path: Path) -> None:
    await here.fill(await here.make_room())
    out = await here.export(tmp_path / "out.tar")
    key = await there.make_room(entry="knock")
    await there.write(key, draft(key, Verb.MESSAGE, {"text": "something else"}, "other"))
    before = await there.export(tmp_path / "before.tar")
    with pytest.raises(ArchiveError, match="something else was said"):
        await there.take_in(out)
    assert (await there.export(tmp_path / "after.tar")).read_bytes() == before.read_bytes()


async def test_an_older_copy_of_a_room_is_not_mixed_with_a_newer_one(here: Ting, there: Ting, tmp_path: Path) -> None:
    key = await here.make_room()
    await here.write(key, draft(key, Verb.MESSAGE, {"text": "one"}, "c1"))
    await there.take_in(await here.export(tmp_path / "older.tar"))
    await here.write(key, draft(key, Verb.DELETE, {}, "c2", target=1))
    with pytest.raises(ArchiveError, match="something else was said"):
        await there.take_in(await here.export(tmp_path / "newer.tar"))


class Broken(RuntimeError):
    pass


async def test_an_import_that_was_broken_off_shows_nothing_and_goes_on(
    source: Ting, target: Ting, tmp_path: Path
) -> None:
    key = await source.make_room()
    await source.write(key, *(draft(key, Verb.MESSAGE, {"text": f"number {n}"}, f"c{n}") for n in range(1200)))
    out = await source.export(tmp_path / "out.tar")
    archive = Archive.open(out, target.signer, SETTINGS, accept=ANY_SIGNER)

    def break_off(report: object) -> None:
        raise Broken

    with pytest.raises(Broken):
        await Importer(target.storage, target.files, progress=break_off).take_in(ArchivedRooms(archive))
    assert await (await target.storage.rooms()).find_room("hall") is None
    assert await (await target.storage.archives()).room_names() == []
    report = await Importer(target.storage, target.files).take_in(ArchivedRooms(archive))
    archive.close()
    assert 0 < report.entries < 1200
    assert report.entries + report.repeated == 1200
    (target.folder / "archive.key").write_bytes((source.folder / "archive.key").read_bytes())
    assert (await target.export(tmp_path / "again.tar")).read_bytes() == out.read_bytes()


async def test_what_an_other_archive_began_does_not_stay(here: Ting, there: Ting, tmp_path: Path) -> None:
    """Its text may have been deleted since."""
    key = await here.make_room()
    await here.write(key, draft(key, Verb.MESSAGE, {"text": "a slip"}, "c1"))
    file_id = await here.add_file(key, b"a file")
    archive = Archive.open(await here.export(tmp_path / "old.tar"), there.signer, SETTINGS, accept=ANY_SIGNER)

    def break_off(report: object) -> None:
        raise Broken

    with pytest.raises(Broken):
        await Importer(there.storage, there.files, progress=break_off).take_in(ArchivedRooms(archive))
    archive.close()
    assert await there.files.read(file_id, 0, 1)
    await here.write(key, draft(key, Verb.DELETE, {}, "c2", target=1))
    await (await here.storage.files()).delete_file(file_id)
    await there.take_in(await here.export(tmp_path / "new.tar"))
    assert [path for path in (there.folder / "files").rglob("*") if path.is_file()] == []
    rooms = await (await there.storage.rooms()).list_rooms("", 10)
    assert [room.name for room in rooms] == ["hall"]


async def test_an_export_is_one_moment_while_the_room_goes_on(source: Ting, tmp_path: Path) -> None:
    key = await source.make_room()
    await source.write(key, *(draft(key, Verb.MESSAGE, {"text": f"number {n}"}, f"c{n}") for n in range(1100)))
    store = await source.storage.archives()
    seen: list[EntryLine] = []
    async with store.snapshot("hall") as snapshot:
        assert snapshot is not None
        async for page in snapshot.entries(None):
            if not seen:
                await source.write(
                    key,
                    draft(key, Verb.EDIT, {"text": "changed"}, "edit", target=1000),
                    draft(key, Verb.DELETE, {}, "delete", target=1001),
                )
            seen += page
    assert [entry.seq for entry in seen] == list(range(1, 1101))
    assert msgspec.json.decode(seen[999].body) == {"text": "number 999"}
    assert msgspec.json.decode(seen[1000].body) == {"text": "number 1000"}


async def test_an_owner_takes_no_more_than_is_the_owners_business(source: Ting, tmp_path: Path) -> None:
    key = await source.make_room()
    await source.fill(key)
    hidden = await source.add_file(key, b"between two", 2)
    body = {"file_id": hidden, "name": "b.txt"}
    await source.write(key, draft(key, Verb.FILE, body, "c20", sender="guest_bob", recipient="guest_cid"))
    out = await source.export(tmp_path / "out", "hall", owner="guest_ada")
    text = (out / "rooms/000001/room.jsonl").read_text()
    lines = [msgspec.json.decode(line) for line in text.splitlines()]
    assert lines[0]["scope"] == "owner"
    assert "argon2" not in text
    assert "address:" not in text
    assert "a secret of two" not in text
    assert "for you" in text
    assert hidden not in text
    assert not (out / f"rooms/000001/files/{hidden}").exists()
    assert {line["member_id"]: line["read_seq"] for line in lines if line.get("type") == "member"} == {
        "Guest_Z": 0,
        "guest_ada": 3,
    }
    assert [line["member_id"] for line in lines if line.get("type") == "seal_backup"] == ["guest_ada"]
    assert [line["epoch"] for line in lines if line.get("type") == "seal_epoch"] == [0, 1]


async def test_what_is_over_is_neither_taken_out_nor_in(here: Ting, there: Ting, tmp_path: Path) -> None:
    key = await here.make_room()
    await here.write(key, draft(key, Verb.MESSAGE, {"text": "short-lived"}, "c1", ttl_s=10), at_ms=1000)
    out = await here.export(tmp_path / "out")
    assert "short-lived" not in (out / "rooms/000001/room.jsonl").read_text()


async def test_a_file_that_was_removed_meanwhile_is_left_out(here: Ting, there: Ting, tmp_path: Path) -> None:
    key = await here.make_room()
    await here.fill(key)
    for path in (here.folder / "files").rglob("*"):
        if path.is_file():
            path.unlink()
    report = await there.take_in(await here.export(tmp_path / "out.tar"))
    assert report.left_out == {"files that are not in the archive": 1}


async def test_a_room_that_is_not_there_cannot_be_exported(here: Ting, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no room nowhere"):
        await here.export(tmp_path / "out.tar", "nowhere")
    assert not (tmp_path / "out.tar").exists()


async def test_nothing_is_written_over(here: Ting, tmp_path: Path) -> None:
    (tmp_path / "out.tar").write_text("mine")
    with pytest.raises(ArchiveError, match="there already"):
        await here.export(tmp_path / "out.tar")
    assert (tmp_path / "out.tar").read_text() == "mine"


# --- who may sign, and what is found ------------------------------------------------------------------------


async def test_only_trusted_servers_sign(here: Ting, there: Ting, tmp_path: Path) -> None:
    await here.make_room()
    out = await here.export(tmp_path / "out.tar")
    assert (here.folder / "archive.key").stat().st_mode & 0o777 == 0o600
    key = here.signer.public_key
    with pytest.raises(ArchiveError, match="not trusted"):
        await there.take_in(out, accept="")
    assert (await there.take_in(out, accept=key)).rooms == 1
    assert (await here.take_in(out, accept="")).rooms == 1
    trusting = Signer(there.folder, [key])
    Archive.open(out, trusting, SETTINGS).close()


async def test_every_changed_byte_is_found(here: Ting, tmp_path: Path) -> None:
    await here.fill(await here.make_room())
    out = await here.export(tmp_path / "out.tar")
    whole = out.read_bytes()
    for place in range(0, len(whole), len(whole) // 400):
        changed = bytearray(whole)
        changed[place] ^= 0x20
        (tmp_path / "changed.tar").write_bytes(changed)
        try:
            archive = Archive.open(tmp_path / "changed.tar", here.signer, SETTINGS)
        except ArchiveError:
            continue
        # Padding and fields of a header that say nothing: all that is used is as it was.
        original = Archive.open(out, here.signer, SETTINGS)
        assert archive.names() == original.names()
        assert all(list(archive.chunks(n)) == list(original.chunks(n)) for n in original.names())


async def test_an_archive_that_was_cut_off_is_refused(here: Ting, tmp_path: Path) -> None:
    await here.fill(await here.make_room())
    whole = (await here.export(tmp_path / "out.tar")).read_bytes()
    for length in (0, 1, 511, 512, 1000, len(whole) // 2, len(whole) - 1600, len(whole) - 1025):
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        with pytest.raises(ArchiveError):
            Archive.open(tmp_path / "cut.tar", here.signer, SETTINGS)


@pytest.mark.parametrize("what", ["more", "less", "link", "unsigned"])
async def test_a_folder_with_other_files_than_the_manifest_names_is_refused(
    here: Ting, tmp_path: Path, what: str
) -> None:
    await here.fill(await here.make_room())
    out = await here.export(tmp_path / "out")
    room = out / "rooms/000001/room.jsonl"
    if what == "more":
        (out / "rooms/000002").mkdir()
        (out / "rooms/000002/room.jsonl").write_text("x")
    elif what == "less":
        room.unlink()
    elif what == "link":
        room.rename(tmp_path / "elsewhere")
        room.symlink_to(tmp_path / "elsewhere")
    else:
        (out / "signature.json").unlink()
    with pytest.raises(ArchiveError):
        Archive.open(out, here.signer, SETTINGS)


async def test_an_archive_with_too_many_parts_or_too_long_lines_is_refused(here: Ting, tmp_path: Path) -> None:
    await here.fill(await here.make_room())
    out = await here.export(tmp_path / "out.tar")
    with pytest.raises(ArchiveError, match="too many parts"):
        Archive.open(out, here.signer, replace(SETTINGS, max_archive_parts=1))
    archive = Archive.open(out, here.signer, replace(SETTINGS, max_archive_line_bytes=60))
    with pytest.raises(ArchiveError, match="too long"):
        list(archive.lines("rooms/000001/room.jsonl"))


LEFT_OUT = {"room_key", "entry_id", "expires_at_ms of files"}
"""Columns that are this database's own business, and what a finished file has no use for."""


@pytest.mark.parametrize(
    ("model", "line"),
    [(RoomRow, RoomLine), (MemberRow, MemberLine), (BanRow, BanLine), (EntryRow, EntryLine), (FileRow, FileLine)],
)
def test_every_column_is_in_the_archive(model: type[RoomRow], line: type[RoomLine]) -> None:
    """Whoever adds a column says whether it is taken along."""
    columns = {"metadata" if name == "metadata_header" else name for name in model.__table__.c.keys()}  # noqa: SIM118
    if model.__tablename__ == "files":
        columns.discard("expires_at_ms")
    assert columns - LEFT_OUT == set(line.__struct_fields__)
