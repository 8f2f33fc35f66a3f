"""The library that is checked in is the one that `sealed/core` makes, and it tells nothing of who built it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import wasmtime

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import build_mls


def test_neither_the_library_nor_its_sources_were_changed_alone() -> None:
    assert build_mls.RECORD.read_text() == build_mls.record(), "run scripts/build_mls.py and check in what it makes"


def test_a_change_of_a_source_changes_the_hash(tmp_path: Path) -> None:
    crate = tmp_path / "core"
    (crate / "src").mkdir(parents=True)
    for name in ("Cargo.toml", "Cargo.lock", "src/lib.rs"):
        (crate / name).write_text(name)
    before = build_mls.sources_hash(crate)
    (crate / "src" / "lib.rs").write_text("another")
    assert build_mls.sources_hash(crate) != before


def test_no_folder_of_a_machine_is_in_it() -> None:
    found = re.findall(rb"/(?:home|root|tmp|usr|Users)/[\w./-]*", build_mls.WASM.read_bytes())
    assert found == []


def test_it_wants_random_bytes_and_what_a_panic_prints_with_and_nothing_else() -> None:
    module = wasmtime.Module.from_file(wasmtime.Engine(), str(build_mls.WASM))
    wanted = {(item.module, item.name) for item in module.imports}
    names = {"environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get"}
    assert wanted == {("wasi_snapshot_preview1", name) for name in names}
