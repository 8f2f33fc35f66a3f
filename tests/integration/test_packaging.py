"""What `pip install .` gives: the command, with the built web app inside; and what the lock file promises."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_wheel_carries_the_built_web_app(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    index = wheel.read("signaling/webapp/index.html").decode()
    used = re.findall(r'(?:src|href)="/([^"]+)"', index)
    assert any(name.endswith(".js") for name in used), index
    assert {f"signaling/webapp/{name}" for name in used} <= names


def test_wheel_carries_the_migrations(wheel: zipfile.ZipFile) -> None:
    folder = Path("signaling/db/migrations")
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")}
    assert f"{folder}/env.py" in there
    assert there <= set(wheel.namelist())


def test_wheel_runs_without_the_checkout(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = (
        "import sys, signaling.cli; from signaling.api.web import find_web_root;"
        "print(find_web_root('')); signaling.cli.main(['--version'])"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    first, second = done.stdout.splitlines()
    assert Path(first) == tmp_path / "signaling" / "webapp", done.stderr
    assert re.fullmatch(r"ting \d+\.\d+\.\d+", second)


def test_wheel_has_the_command_and_nothing_foreign(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    entry_points = next(name for name in names if name.endswith("entry_points.txt"))
    assert "ting = signaling.cli:main" in wheel.read(entry_points).decode()
    packages = {name.split("/")[0].partition("-")[0] for name in names}
    assert packages == {"benchmarks", "sealed", "sfu", "signaling", "ting"}
    # Of the benchmarks only what `ting load-test` is.
    tops = {name.split("/")[1] for name in names if name.startswith("benchmarks/")}
    assert tops == {"__init__.py", "load"}
    # Of the keys of sealed rooms what the crate is built to, not the crate.
    assert "sealed/mls/ting_mls.wasm" in names
    assert not [name for name in names if name.startswith(("sealed/core/", "sealed/oracle/"))]
    assert not [name for name in names if "/." in name or "__pycache__" in name]


LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_lock_pins_every_dependency_with_hashes_and_names_no_server(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all(re.match(r"[a-z0-9._-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [one for one in project["dependency-groups"][lock.stem] if isinstance(one, str)]
    if lock.stem != "uv":
        wanted += project["project"]["dependencies"]
    locked = {entry.partition("==")[0] for entry in entries}
    assert {re.match(r"[A-Za-z0-9._-]+", one)[0].lower() for one in wanted} <= locked  # type: ignore[index]


def test_locks_agree_and_there_is_one_for_each_group() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert {lock.stem for lock in LOCKS} == set(groups)
    pinned = re.compile(r"^[a-z0-9._-]+==[^\\\n]+", re.MULTILINE)
    locked = [set(pinned.findall(lock.read_text("utf-8"))) for lock in LOCKS]
    names = [{entry.partition("==")[0] for entry in entries} for entries in locked]
    for mine, my_names in zip(locked, names, strict=True):
        for other, other_names in zip(locked, names, strict=True):
            shared = my_names & other_names
            assert [one for one in mine if one.partition("==")[0] in shared and one not in other] == []


def test_running_installs_nothing_that_only_tests_and_linters_need() -> None:
    run = (ROOT / "requirements" / "run.txt").read_text("utf-8")
    for name in ("pytest", "mypy", "ruff", "playwright", "matplotlib", "numpy", "livekit", "maturin", "uv"):
        assert not re.search(rf"^{name}==", run, re.MULTILINE), name
