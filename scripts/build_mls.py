"""Builds `ting_mls.wasm`, the MLS library of sealed rooms, from `sealed/core`.

The file is checked in, so only who changes `sealed/core` runs this. It wants a Rust toolchain with the target
`wasm32-wasip1` (`rustup target add wasm32-wasip1`). Where that cannot be had, a toolchain with its own sources builds
the target on the way: `TING_MLS_CARGO="-Z build-std=std,panic_abort"` with RUSTC_BOOTSTRAP=1.

Beside the file lies what it was built from, as hashes: a test compares them, so that neither goes stale in silence.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CRATE = ROOT / "sealed" / "core"
WASM = ROOT / "web" / "src" / "sealed" / "mls" / "ting_mls.wasm"
RECORD = WASM.with_suffix(".sha256")
TARGET = "wasm32-wasip1"


def sources_hash(crate: Path = CRATE) -> str:
    """SHA-256 over everything that the library is made from, names and contents."""
    whole = hashlib.sha256()
    for path in [crate / "Cargo.lock", crate / "Cargo.toml", *sorted((crate / "src").glob("*.rs"))]:
        whole.update(f"{path.relative_to(crate).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def record() -> str:
    """What RECORD has to say."""
    return f"{sources_hash()}  sealed/core\n{hashlib.sha256(WASM.read_bytes()).hexdigest()}  {WASM.name}\n"


def without_folders(wasm: bytes) -> bytes:
    """The library without the folders of the machine that built it.

    Messages of panics name source files; the names stay as long as they were, so that nothing moves.
    """
    command = ["rustc", "--print", "sysroot"]
    sysroot = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    cargo_home = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    extra = os.environ.get("TING_MLS_FOLDERS", "").split(os.pathsep)
    for folder in [str(CRATE), sysroot, cargo_home, *extra]:
        if folder:
            wasm = wasm.replace(folder.encode(), b"." * len(folder.encode()))
    return re.sub(rb"index\.crates\.io-[0-9a-f]+", lambda found: b"." * len(found[0]), wasm)


def main() -> int:
    extra = shlex.split(os.environ.get("TING_MLS_CARGO", ""))
    command = ["cargo", "build", "--release", "--locked", "--target", TARGET, *extra]
    subprocess.run(command, cwd=CRATE, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", CRATE / "target"))
    WASM.write_bytes(without_folders((target / TARGET / "release" / WASM.name).read_bytes()))
    RECORD.write_text(record())
    print(f"{WASM.relative_to(ROOT)}: {WASM.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
