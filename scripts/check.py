"""Run the project's checks and sum them up: `check.py lint`, `check.py test`, or both words.

Each step prints one line; what a failed step printed is shown whole, and kept in .run/check/ in any case. All
steps run, also after a failure. With `test`, linters and compilers work on what the tests leave of the processors,
at the lowest priority. Few tests of real media that failed while the machine was shared run once more at the end,
alone, and must pass then; the summary says which. The last line counts the tests; the exit code is 1 when anything
failed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from bootstrap import ENGINE, find_cargo
from debian import MISSING, has_chromium

ROOT = Path(__file__).resolve().parent.parent
KEYS = ROOT / "sealed" / "core"
ORACLE = ROOT / "sealed" / "oracle"
RECORDS = ROOT / ".run" / "check"
CORES = max(2, min(os.cpu_count() or 2, 4))
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30
"""What must be free there: databases and folders of tests are half as slow again on a disk, and worse on a busy one."""
BIN = ROOT / ".venv" / "bin"
VERDICTS = ("passed", "skipped", "failed")
AGAIN = 3
"""So many failed tests of a suite may be the machine's fault; more are not, and have no second turn."""
CLIPPY = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"]
WITHOUT_MEDIA = tuple(
    f"tests/integration/test_{name}.py" for name in ("log_crash", "packaging", "remote_doctor", "tus_clients")
)
"""Integration tests in which no packet goes through an engine: one turn is enough."""
OF_ONE_ENGINE = (
    ("tests/integration/test_nodes.py",),
    tuple(f"tests/integration/test_{name}.py" for name in ("commands", "sealed_crash", "server_sdk_js", "webhooks")),
)
"""Integration tests that ask little of an engine: those run with the default one, and those with the reference."""
BESIDE_A_CALL = tuple(
    f"tests/security/test_{name}.py"
    for name in (
        "accounts_bad_input", "any_order", "bystander_call", "dtls_bad_input", "jwt_bad_input", "stun_bad_input",
        "websocket_bad_input",
    )
)  # fmt: skip
"""Tests of bad input that listen for gaps in somebody else's call."""


@dataclass
class Step:
    """One command. `suite` steps leave a JUnit file, and running no test at all is a failure."""

    name: str
    command: list[str]
    folder: Path = ROOT
    limit_s: int = 900
    suite: bool = False
    patient: bool = False
    """It takes what is left of the processors, however long it takes then."""
    again: list[str] = field(default_factory=list)
    """What runs only the tests that failed; empty where a failure is one whatever else the machine did."""
    failed: bool = field(default=False, init=False)
    status: int = field(default=0, init=False)
    """What it ended with; 1 is failed tests and nothing worse."""
    seconds: float = field(default=0.0, init=False)
    counts: dict[str, int] = field(default_factory=dict, init=False)


def lint_steps() -> list[Step]:
    web = ROOT / "web"
    return [
        Step("ruff", [str(BIN / "ruff"), "check", "."]),
        Step("ruff format", [str(BIN / "ruff"), "format", "--check", "."]),
        Step("mypy", [str(BIN / "mypy")]),
        Step("import-linter", [str(BIN / "lint-imports")]),
        Step("hadolint", [str(BIN / "hadolint"), "docker/Dockerfile"]),
        Step("eslint", ["npm", "run", "--silent", "lint"], web),
        Step("tsc", ["npm", "run", "--silent", "typecheck"], web),
        *cargo_steps(
            ("rustfmt", ["fmt", "--all", "--check"]),
            ("clippy", CLIPPY),
        ),
        *cargo_steps(("rustfmt of keys", ["fmt", "--check"]), ("clippy of keys", CLIPPY), folder=KEYS),
    ]


def cargo_tests() -> list[Step]:
    return [
        *cargo_steps(("cargo test", ["test", *rust_packages(), "--locked"])),
        *cargo_steps(("cargo test of keys", ["test", "--locked"]), folder=KEYS),
        *cargo_steps(("cargo test beside OpenMLS", ["test", "--locked", "--release"]), folder=ORACLE),
    ]


def patient_steps(words: Sequence[str]) -> list[Step]:
    """What only computes, one after the other beside the tests."""
    steps = [*(lint_steps() if "lint" in words else []), *cargo_tests()]
    return [replace(step, patient=True) for step in steps]


def test_phases() -> list[list[Step]]:
    """One phase after the other, the steps of a phase at the same time."""
    junit = ["--reporter=default", "--reporter=junit", f"--outputFile={record('web')}"]
    apart = ignoring(("tests/integration", "tests/browser", *BESIDE_A_CALL))
    calls = ["tests/integration", *ignoring(WITHOUT_MEDIA)]
    turns = [pytest_step("calls", calls, again=True, limit_s=1500)]
    if has_rust_engine():
        of_default, of_reference = (ignoring(paths) for paths in OF_ONE_ENGINE)
        turns = [
            pytest_step("calls", [*calls, *of_reference], again=True, limit_s=1500),
            pytest_step("other calls", [*calls, *of_default], "TING_ENGINE=reference", again=True, limit_s=1500),
        ]
    return [
        # They wait for messages and for media in real time, a third of a core each. The patient steps have the rest.
        turns,
        [
            pytest_step("server", ["tests", *apart, *WITHOUT_MEDIA], cores=CORES + 1),
            Step("web", ["npm", "test", "--silent", "--", *junit], ROOT / "web", suite=True),
        ],
        [pytest_step("beside a call", list(BESIDE_A_CALL), again=True)],
        *([[pytest_step("browser", ["tests/browser"], again=True, limit_s=2700)]] if has_chromium() else []),
    ]


def ignoring(paths: Sequence[str]) -> list[str]:
    return [f"--ignore={path}" for path in paths]


def cargo_steps(*steps: tuple[str, list[str]], folder: Path = ENGINE) -> list[Step]:
    """Steps of a Rust workspace, the engine's unless told; none where there is no cargo."""
    cargo = find_cargo()
    if cargo is None:
        return []
    # PyO3 asks this interpreter what to link to.
    environment = ["env", f"PYO3_PYTHON={BIN / 'python'}", f"PATH={cargo.parent}{os.pathsep}{os.environ['PATH']}"]
    return [Step(name, [*environment, str(cargo), *words], folder, limit_s=1200) for name, words in steps]


def rust_packages() -> list[str]:
    """The binding's own tests are a program that needs libpython as a library, which not every Python has."""
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return ["--workspace"]
    return ["--package", "ting-association", "--package", "ting-core"]


def has_rust_engine() -> bool:
    """Whether `auto` means the Rust engine; then the reference engine needs a turn of its own."""
    code = "import sys; from sfu.engine import engine_name; sys.exit(engine_name('auto') != 'rust')"
    return subprocess.run([str(BIN / "python"), "-c", code], cwd=ROOT, check=False).returncode == 0


def pytest_step(
    name: str, arguments: list[str], *environment: str, cores: int = 1, limit_s: int = 900, again: bool = False
) -> Step:
    """`environment` are assignments as `env` takes them. The files of a suite keep together: many share a server."""
    remembering = ["-o", f"cache_dir={record(name, '.cache')}"]
    pytest = [
        "env",
        *environment,
        str(BIN / "python"),
        "-m",
        "pytest",
        "-q",
        "--color=no",
        "--durations=30",
        *remembering,
    ]
    spread = [f"--numprocesses={cores}", "--dist=loadfile"] if cores > 1 else []
    command = [*pytest, f"--junitxml={record(name)}", *spread, *arguments]
    failed = [*pytest, f"--junitxml={record(f'{name} again')}", "--last-failed", *arguments] if again else []
    return Step(name, command, suite=True, limit_s=limit_s, again=failed)


def record(name: str, suffix: str = ".xml") -> Path:
    return RECORDS / (name.replace(" ", "-") + suffix)


def run(step: Step) -> None:
    begin = time.monotonic()
    if step.suite:
        record(step.name).unlink(missing_ok=True)
    log = record(step.name, ".log")
    with log.open("wb") as output:
        # A group of its own, so that a step over its time is ended with all that it started.
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        process = subprocess.Popen(step.command, cwd=step.folder, start_new_session=True, **streams)
        if step.patient:
            give_way(process.pid)
        try:
            step.status = process.wait(step.limit_s * 3 if step.patient else step.limit_s)
            step.failed = step.status != 0
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            step.failed = True
            output.write(f"\nEnded after {time.monotonic() - begin:.0f} s.\n".encode())
            if not isinstance(sys.exception(), subprocess.TimeoutExpired):
                raise
    step.seconds = time.monotonic() - begin
    if step.name.startswith("cargo test"):
        step.counts = count_cargo(log.read_text(encoding="utf-8", errors="replace"))
    if step.suite:
        step.counts = count(record(step.name))
        step.failed = step.failed or not step.counts.get("passed")
    if step.failed:
        print(f"\n--- {step.name} ---\n{log.read_text(encoding='utf-8', errors='replace').rstrip()}")
    print(f"{'FAILED' if step.failed else 'ok':6} {step.name:16} {step.seconds:6.1f} s  {describe(step)}", flush=True)


def give_way(session: int) -> None:
    """Let the processes of a new session run when no others want to. Where Linux shares processors among sessions
    (autogroup), the niceness of a process says nothing about those of other sessions, and that of its session does."""
    os.setpriority(os.PRIO_PGRP, session, 19)
    with contextlib.suppress(OSError):
        Path(f"/proc/{session}/autogroup").write_text("19", encoding="ascii")


def second_turn(step: Step) -> list[str]:
    """Run the failed tests of this step once more; those that passed now, when all did."""
    if not step.again or step.status != 1 or not 1 <= step.counts.get("failed", 0) <= AGAIN:
        return []
    alone = Step(f"{step.name} again", step.again, suite=True, limit_s=600)
    run(alone)
    if alone.failed or alone.counts.get("passed", 0) < step.counts["failed"]:
        return []
    step.failed = False
    step.counts["passed"] += step.counts.pop("failed")
    return names(record(alone.name))


def names(report: Path) -> list[str]:
    return list(verdicts(report))


def count(report: Path) -> dict[str, int]:
    """Passed, failed and skipped of a JUnit file; empty when there is none."""
    if not report.is_file():
        return {}
    found = list(verdicts(report).values())
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def verdicts(report: Path) -> dict[str, str]:
    """By the name of each test. One that failed, and could not clean up either, is in the file twice."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        verdict = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        name = f"{case.get('classname')}.{case.get('name')}"
        found[name] = max(verdict, found.get(name, verdict), key=VERDICTS.index)
    return found


def count_cargo(printed: str) -> dict[str, int]:
    """Passed, failed and skipped of what `cargo test` printed."""
    results = re.findall(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", printed)
    sums = [sum(map(int, column)) for column in zip(*results, strict=True)] or [0, 0, 0]
    return dict(zip(("passed", "failed", "skipped"), sums, strict=True))


def describe(step: Step) -> str:
    return ", ".join(f"{number} {word}" for word, number in step.counts.items() if number)


def main(words: list[str]) -> int:
    if not words or not set(words) <= {"lint", "test"}:
        sys.exit(__doc__)
    RECORDS.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    phases = test_phases() if "test" in words else [lint_steps()]
    patient = patient_steps(words) if "test" in words else []
    with temporary_files():
        with ThreadPoolExecutor(max_workers=1) as aside:
            others = [aside.submit(run, step) for step in patient]
            try:
                for phase in phases:
                    with ThreadPoolExecutor(max_workers=2) as pool:
                        list(pool.map(run, phase))
                for other in others:
                    other.result()
            finally:
                aside.shutdown(cancel_futures=True)
        done = [*patient, *(step for phase in phases for step in phase)]
        alone = [name for step in done if step.failed for name in second_turn(step)]
    failed = [step.name for step in done if step.failed]
    print(f"\n{len(done) - len(failed)} of {len(done)} steps are good in {time.monotonic() - begin:.0f} s.")
    if failed:
        print(f"Failed: {', '.join(failed)}. What they printed is above and in .run/check/.")
    for name in alone:
        print(f"Failed beside others and passed alone: {name}")
    left_out = MISSING.read_text(encoding="utf-8").splitlines() if "test" in words and MISSING.is_file() else []
    for line in left_out:
        print(f"Left out: {line}")
    if "test" in words:
        totals = {word: sum(step.counts.get(word, 0) for step in done) for word in ("passed", "failed", "skipped")}
        print(", ".join(f"{number} {word}" for word, number in totals.items()))
    return exit_code(failed, left_out, in_ci=bool(os.environ.get("CI")))


@contextlib.contextmanager
def temporary_files() -> Iterator[None]:
    """What the tests write is in memory where there is enough of it, and gone afterwards."""
    room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    with tempfile.TemporaryDirectory(
        prefix="ting-", dir=MEMORY if room else None, ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user.
        os.environ["TMPDIR"] = folder
        yield


def exit_code(failed: list[str], left_out: list[str], *, in_ci: bool) -> int:
    """Where nobody looks, tests that did not run must not pass for tests that did."""
    return 1 if failed or (left_out and in_ci) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
