"""The modules of a Rust crate use each other in one direction only. For Python, import-linter sees to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

RUST = Path(__file__).resolve().parent.parent.parent / "sfu" / "rust"

Module = tuple[str, ...]
"""Its path from the root of the crate, which is ()."""

COMMENT = re.compile(r"//.*")
UNIT_TESTS = re.compile(r"^#\[cfg\(test\)\]\nmod tests \{.*", re.MULTILINE | re.DOTALL)
"""They close a file, and their `super` is the file."""
GROUP = re.compile(r"(\w+(?:::\w+)*)::\{([^{}]*)\}")
PATH = re.compile(r"\b(crate|super|self)((?:::\w+)+)")


def modules_of(source: Path) -> dict[Module, str]:
    """The text of every module of the crate whose `lib.rs` is in `source`."""
    texts = {}
    for file in source.rglob("*.rs"):
        path = file.relative_to(source).with_suffix("").parts
        texts[path[:-1] if path[-1] in ("mod", "lib") else path] = file.read_text(encoding="utf-8")
    return texts


def uses(module: Module, modules: Mapping[Module, str]) -> set[Module]:
    """The modules that a module names by path."""
    text = COMMENT.sub("", UNIT_TESTS.sub("", modules[module]))
    while (plain := GROUP.sub(_written_out, text)) != text:
        text = plain
    found = set()
    for start, rest in PATH.findall(text):
        base = {"crate": (), "super": module[:-1], "self": module}[start]
        for part in rest.removeprefix("::").split("::"):
            base = base[:-1] if part == "super" else (*base, part)
        while base not in modules:
            base = base[:-1]
        found.add(base)
    children = (one for one in modules if one and one[:-1] == module)
    found.update(child for child in children if re.search(rf"(?<!::)\b{child[-1]}::", text))
    return found - {module}


def _written_out(group: re.Match[str]) -> str:
    members = (member.strip() for member in group[2].split(","))
    return ", ".join(f"{group[1]}::{member}" for member in members if member)


def circle(modules: Mapping[Module, str]) -> list[str]:
    """Modules that use each other in a circle; none when there is none."""
    try:
        TopologicalSorter({module: uses(module, modules) for module in modules}).prepare()
    except CycleError as error:
        return ["::".join(module) for module in error.args[1]]
    return []


@pytest.mark.parametrize("crate", ["core", "py"])
def test_no_circle(crate: str) -> None:
    modules = modules_of(RUST / crate / "src")
    assert sum(len(uses(module, modules)) for module in modules) > len(modules), "nothing was found to check"
    assert circle(modules) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use crate::{c, b::{self, B}};", "pub use super::a::*;"),
        ("fn f() { crate::b::g(); }", "#[cfg(test)]\nuse crate::a;\nfn g() {}"),
    ],
)
def test_a_circle_is_found(a: str, b: str) -> None:
    found = circle({("a",): a, ("b",): b, ("c",): "", (): "mod a; mod b; mod c;"})
    assert set(found) == {"a", "b"}


def test_a_module_and_its_parent_are_a_circle() -> None:
    assert circle({(): "", ("a",): "mod b;\npub use b::B;", ("a", "b"): "use super::A;"})
    assert not circle({(): "", ("a",): "mod b;\npub use b::B;", ("a", "b"): "//! See [`super::A`].\nuse std::fmt;"})


def test_unit_tests_may_use_their_file() -> None:
    assert not circle({(): "", ("a",): "use crate::b::B;", ("b",): "#[cfg(test)]\nmod tests {\n    use super::*;\n}"})
