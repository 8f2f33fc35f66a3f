"""Names of rooms and people."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import ApiError
from signaling.rooms.calls import MAX_GUEST_NAME_LENGTH, clean_guest_name, clean_room_name, is_clean
from tests.signaling.harness import relaxed


@pytest.mark.parametrize("name", ["lobby", "会议室 一", "café", "a/b", "🎉", "@user:example.org", "x" * 128])
def test_ordinary_names_pass(name: str) -> None:
    assert clean_room_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "\t", "a\nb", "a\rb", "a\x00b", "\x1b[31m", "a\u2028b", "a\u2029b", "\ud800", "abc\u202ecba",
     "\u2066x\u2069", "x" * 129],
)  # fmt: skip
def test_names_that_deceive_or_break_lines_do_not(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        clean_room_name(name)
    assert caught.value.code == "invalid_room_name"


@relaxed
@given(st.text(st.characters(), max_size=300) | st.none() | st.integers())
def test_a_cleaned_name_is_clean_and_stays_so(name: object) -> None:
    try:
        cleaned = clean_guest_name(name)
    except ApiError:
        return
    assert is_clean(cleaned, MAX_GUEST_NAME_LENGTH)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean_guest_name(cleaned) == cleaned
    cleaned.encode("utf-8")
