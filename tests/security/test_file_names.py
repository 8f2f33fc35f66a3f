"""What senders call their files (FI1): for reading, and never as it is in a path, a header or on a disk."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.api.downloads import content_disposition
from signaling.api.tus import read_metadata
from signaling.errors import ApiError
from signaling.files.names import clean_file_name, clean_media_type
from tests.harness.files import FilesServer, Person, metadata, people, serving

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FilesServer]:
    async with serving(tmp_path) as server:
        yield server


@pytest.fixture
async def ada(files: FilesServer) -> AsyncIterator[Person]:
    async with people(files, "ada") as [person]:
        yield person


NAMES = [
    ("../../etc/passwd", "passwd"),
    ("..\\..\\windows\\system.ini", "system.ini"),
    ("/etc/shadow", "shadow"),
    ("C:\\autoexec.bat", "autoexec.bat"),
    ("a\x00b.txt", "ab.txt"),
    ("a\r\nSet-Cookie: x=y\r\n\r\n<html>", "a Set-Cookie: x=y <html>"),
    ("con", "_con"),
    ("NUL.txt", "_NUL.txt"),
    ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
    ("厅" * 300, "厅" * 255),
    ("." * 300, "file"),
    ("photo\u202egpj.exe", "photogpj.exe"),
    ("a.png.html", "a.png.html"),
    ("Cafe\u200b\u0301.txt", "Caf\u00e9.txt"),
    ("Cafe\u0301.txt", "Caf\u00e9.txt"),
    ("e" + "\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308" * 100, "\u00e9\u0302\u0303\u0304\u0305"),
    ("\u200b\u2060\ufeff", "file"),
    ("  ", "file"),
    ("", "file"),
    ("..", "file"),
    ("~", "~"),
    ("a\ud800b", "ab"),
    ("\U0001f469\u200d\U0001f52c.png", "\U0001f469\u200d\U0001f52c.png"),
]


@pytest.mark.parametrize(("given_name", "shown"), NAMES)
def test_names_are_for_reading_only(given_name: str, shown: str) -> None:
    assert clean_file_name(given_name) == shown


@given(st.text())
def test_every_name_is_safe_to_show_and_to_send(name: str) -> None:
    shown = clean_file_name(name)
    assert 0 < len(shown) <= 255
    assert unicodedata.is_normalized("NFC", shown)
    assert not set(shown) & {*BIDI, "/", "\\", "\0", "\r", "\n", "\u2028", "\u2029"}
    assert clean_file_name(shown) == shown
    header = content_disposition(shown)
    found = re.fullmatch(
        r"attachment; filename=\"([^\"\\\r\n]*)\"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)", header
    )
    assert found
    assert header.isascii()
    assert unquote(found[2]) == shown


async def test_names_never_reach_the_disk(ada: Person, files: FilesServer) -> None:
    sent = [name for name, _ in NAMES if name.isprintable() and len(metadata(name=name)) < 2048] + [
        "Photo.JPG",
        "photo.jpg",
        "photo.jpg",
    ]
    ids = [await ada.send(b"x", name) for name in sent]
    assert sorted(path.name for path in files.stored()) == sorted(ids)
    assert all(re.fullmatch(r"[0-9a-f]{32}", file_id) for file_id in ids)
    assert all((files.folder / "files") in path.parents for path in files.stored())


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_any_metadata_is_read_or_refused(header: str) -> None:
    found: dict[str, str] = {}
    try:
        found, code = read_metadata(header), ""
    except ApiError as error:
        code = error.code
    assert code in ("", "invalid_upload")
    for value in found.values():
        clean_file_name(value)
        clean_media_type(value)


def test_types_are_for_icons_only() -> None:
    for text, shown in (
        ("image/PNG; charset=x", "image/png"), ("text/html\r\nx: y", ""), ("x" * 200 + "/y", ""), ("image", ""),
        ("/", ""),
        ("a/b/c", ""), ("image/svg+xml", "image/svg+xml"), ("image/\u202egnp", ""),
    ):  # fmt: skip
        assert clean_media_type(text) == shown
