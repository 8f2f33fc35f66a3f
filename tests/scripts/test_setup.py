"""What `make` does before it runs anything: each step for itself, and nothing that fails takes others along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import check
import debian
import progress
from progress import SetupError, Step


def apt_that_refuses(folder: Path, refused: str, log: Path) -> None:
    """An `apt-get` that notes what it is asked for."""
    apt = folder / "apt-get"
    apt.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\ncase "$*" in *{refused}*) echo "E: no {refused}"; exit 100;; esac\n'
    )
    apt.chmod(0o755)


@pytest.fixture
def needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two things are missing, one of which cannot be had. Gives what apt-get was asked for."""
    log = tmp_path / "asked"
    apt_that_refuses(tmp_path, "unobtainable", log)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(debian, "_updated", False)
    monkeypatch.setattr(debian, "MISSING", tmp_path / "run" / "left-out")
    needs = (
        debian.Need("tests of the one", ("unobtainable",), lambda: False),
        debian.Need("tests of the other", ("other-server", "other-tools"), lambda: False),
        debian.Need("tests of what is there", ("there",), lambda: True),
    )
    monkeypatch.setattr(debian, "NEEDS", needs)
    return log


def test_a_package_that_cannot_be_installed_leaves_its_tests_out_and_no_others(needs: Path) -> None:
    assert debian.provide(Step("system packages", debian.provide))
    asked = [line.split() for line in needs.read_text().splitlines()]
    assert [words[0] for words in asked] == ["update", "install", "install"]
    assert "unobtainable" in asked[1]
    assert asked[2][-2:] == ["other-server", "other-tools"]
    left_out = debian.MISSING.read_text().splitlines()
    assert len(left_out) == 1
    assert left_out[0].startswith("tests of the one: ")
    assert "apt-get install unobtainable" in left_out[0]


def test_what_is_there_now_is_not_said_to_be_left_out(needs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian.provide(Step("system packages", debian.provide))
    monkeypatch.setattr(debian, "NEEDS", debian.NEEDS[2:])
    assert not debian.provide(Step("system packages", debian.provide))
    assert debian.MISSING.read_text() == ""


@pytest.mark.parametrize(
    ("failed", "left_out", "in_ci", "code"),
    [([], [], True, 0), ([], ["x"], False, 0), ([], ["x"], True, 1), (["unit"], [], False, 1)],
)
def test_left_out_tests_are_an_error_in_ci_only(failed: list[str], left_out: list[str], in_ci: bool, code: int) -> None:
    assert check.exit_code(failed, left_out, in_ci=in_ci) == code


FLAKY = """
import pathlib
import pytest

HERE = pathlib.Path(__file__).parent

@pytest.mark.parametrize("number", range({failing}))
def test_first(number):
    seen = HERE / f"seen{{number}}"
    was_there = seen.exists()
    seen.touch()
    assert was_there and {passes}

def test_good():
    assert not (HERE / "seen0").exists() or not (HERE / "good").exists()
    (HERE / "good").touch()
"""


@pytest.mark.parametrize(
    ("failing", "passes", "alone"), [(2, True, 2), (2, False, 0), (check.AGAIN + 1, True, 0), (0, True, 0)]
)
def test_few_failed_tests_run_again_alone_and_no_others(
    failing: int, passes: bool, alone: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "RECORDS", tmp_path / "records")
    check.RECORDS.mkdir()
    suite = tmp_path / "test_suite.py"
    suite.write_text(FLAKY.format(failing=failing, passes=passes))
    step = check.pytest_step("suite", [str(suite), f"--rootdir={tmp_path}"], again=True)
    check.run(step)
    assert step.failed is (failing > 0)
    passed_alone = check.second_turn(step)
    assert len(passed_alone) == alone
    assert step.failed is (failing > 0 and not alone)
    assert step.counts["passed"] == 1 + alone


def test_patient_steps_leave_the_processors_to_others() -> None:
    """Its niceness alone would not do: where processors are shared among sessions it counts inside of one only."""
    session = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        check.give_way(session.pid)
        assert os.getpriority(os.PRIO_PROCESS, session.pid) == 19
        share = Path(f"/proc/{session.pid}/autogroup")
        assert not share.exists() or share.read_text().endswith("nice 19\n")
    finally:
        session.kill()
        session.wait()


def test_what_only_computes_is_patient_and_nothing_else_is() -> None:
    patient = check.patient_steps(["lint", "test"])
    assert [step.name for step in patient] == [step.name for step in (*check.lint_steps(), *check.cargo_tests())]
    assert all(step.patient for step in patient)
    assert not any(
        step.patient for step in (*check.lint_steps(), *(one for phase in check.test_phases() for one in phase))
    )


LEAVES_TRACES = """
import pathlib
import pytest

@pytest.fixture
def seen():
    path = pathlib.Path(__file__).parent / "seen"
    yield path.exists()
    was_there = path.exists()
    path.touch()
    assert was_there

def test_only(seen):
    assert seen
"""


def test_a_test_that_fails_and_cannot_clean_up_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "RECORDS", tmp_path / "records")
    check.RECORDS.mkdir()
    suite = tmp_path / "test_suite.py"
    suite.write_text(LEAVES_TRACES)
    step = check.pytest_step("suite", [str(suite), f"--rootdir={tmp_path}"], again=True)
    check.run(step)
    assert step.counts == {"passed": 0, "skipped": 0, "failed": 1}
    assert check.second_turn(step) == ["test_suite.test_only"]
    assert not step.failed


CUT_SHORT = """
import pathlib
import pytest

SEEN = pathlib.Path(__file__).parent / "seen"

def test_first():
    assert SEEN.exists()

def test_second():
    if not SEEN.exists():
        SEEN.touch()
        pytest.exit("something broke", returncode=3)

def test_third():
    pass
"""


def test_a_suite_that_did_not_come_to_its_end_has_no_second_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did not come to would never have run."""
    monkeypatch.setattr(check, "RECORDS", tmp_path / "records")
    check.RECORDS.mkdir()
    suite = tmp_path / "test_suite.py"
    suite.write_text(CUT_SHORT)
    step = check.pytest_step("suite", [str(suite), f"--rootdir={tmp_path}"], again=True)
    check.run(step)
    assert step.counts["failed"] == 1
    assert check.second_turn(step) == []
    assert step.failed


def test_every_step_comes_to_its_end_and_all_errors_are_told() -> None:
    ended: list[str] = []

    def fails(step: Step) -> bool:
        raise SetupError(f"{step.name} cannot be had")

    def works(step: Step) -> bool:
        ended.append(step.name)
        return True

    with pytest.raises(SetupError, match="one cannot be had\ntwo cannot be had"):
        progress.run_all([Step("one", fails), Step("three", works), Step("two", fails)])
    assert ended == ["three"]


def test_a_command_that_fails_shows_what_it_printed() -> None:
    lines: list[str] = []
    with pytest.raises(SetupError, match=r"first\nsecond\nFailed \(exit 3\): sh -c"):
        progress.run(["sh", "-c", "echo first; echo second >&2; exit 3"], on_line=lines.append)
    assert lines == ["first", "second"]


def test_work_that_is_done_is_told_with_what_it_is_at(capsys: pytest.CaptureFixture[str]) -> None:
    def work(step: Step) -> bool:
        step.tell("compiling")
        return True

    progress.run_all([Step("engine", work), Step("nothing to do", lambda _step: False)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "==> engine: compiling"
    assert printed[1].startswith("==> engine: done in ")
    assert len(printed) == 2
