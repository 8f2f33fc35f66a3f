from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import strict_json
from tests.signaling.harness import relaxed


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1,]", "NaN", "Infinity", "-Infinity", "1e999", "-1e999", '{"a":1,"a":2}', '{"x":{"a":1,"a":1}}',
        '"\\ud800"', '{"\\udc00":1}', '["\\ud800\\u0041"]', '"\\u0000"', '{"a\\u0000":1}', "[" * 100_000,
        "[" * 33 + "]" * 33, "[" * 32 + "1" + "]" * 32, '{"a":' * 32 + "1" + "}" * 32, '"\\ud800' + "[" * 9 + '"',
        '{"a":' * 40 + "1" + "}" * 40, "9" * 5000, b"\xff", b'"\xed\xa0\x80"', "'a'", "[1] 2", "\ufeff{}",
    ],
)  # fmt: skip
def test_what_is_not_strict_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - ValueError is the contract
        strict_json.loads(text)


@pytest.mark.parametrize("depth", [1, 30, 31])
def test_values_may_be_nested_as_deep_as_the_limit(depth: int) -> None:
    for text in ("[" * depth + "1" + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        assert json.dumps(strict_json.loads(text), separators=(",", ":")) == text
    assert strict_json.loads("[" * (depth + 1) + "]" * (depth + 1)) is not None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@relaxed
@given(JSON)
def test_what_is_strict_means_what_it_says(value: object) -> None:
    assert strict_json.loads(json.dumps(value)) == value
    assert strict_json.loads(json.dumps(value, ensure_ascii=False).encode()) == value


@relaxed
@given(st.text() | st.binary())
def test_nothing_but_value_error_comes_out(text: str | bytes) -> None:
    try:
        value = strict_json.loads(text)
    except ValueError:
        return
    json.dumps(value, ensure_ascii=False).encode("utf-8")
