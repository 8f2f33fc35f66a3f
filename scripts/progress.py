"""Steps of a set-up that run at the same time, and say what they are at."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

TELL_EVERY_S = 10.0

_printing = threading.Lock()


class SetupError(Exception):
    """A step cannot go on; the message is for the user."""


@dataclass
class Step:
    """`work` gets the step itself, to say with `tell` what it is at. It returns whether there was anything to do."""

    name: str
    work: Callable[[Step], bool]
    doing: str = field(default="", init=False)
    begin: float = field(default=0.0, init=False)

    def tell(self, doing: str) -> None:
        if not self.doing:
            say(f"{self.name}: {doing}")
        self.doing = doing

    def run(self) -> None:
        self.begin = time.monotonic()
        if self.work(self):
            say(f"{self.name}: done in {time.monotonic() - self.begin:.0f} s")


def run_all(steps: Sequence[Step]) -> None:
    """All at once. While they work, a line every ten seconds says what each is at. Raises `SetupError` with all that
    went wrong, once every step has come to its end."""
    with ThreadPoolExecutor(max_workers=max(1, len(steps))) as pool:
        running = {pool.submit(step.run): step for step in steps}
        errors: dict[str, str] = {}
        while running:
            done, _ = wait(running, timeout=TELL_EVERY_S, return_when=FIRST_COMPLETED)
            for future in done:
                step = running.pop(future)
                error = future.exception()
                if isinstance(error, SetupError):
                    errors[step.name] = str(error)
                elif error is not None:
                    raise error
            if not done:
                now = time.monotonic()
                for step in running.values():
                    if step.doing:
                        say(f"  … {step.name}: {step.doing} ({now - step.begin:.0f} s)")
    if errors:
        raise SetupError("\n".join(errors[step.name] for step in steps if step.name in errors))


def say(text: str) -> None:
    with _printing:
        print(f"==> {text}", flush=True)


def run(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a command quietly. `on_line` sees each line that it prints. Raises `SetupError` with all of them."""
    process = subprocess.Popen(
        [str(word) for word in command], cwd=folder, env={**os.environ, **(environment or {})}, text=True,
        errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if on_line is not None:
            on_line(line.strip())
    if process.wait():
        shown = " ".join(str(word) for word in command)
        raise SetupError(f"{''.join(printed).rstrip()}\nFailed (exit {process.returncode}): {shown}")


def stamp_is(path: Path, wanted: str) -> bool:
    """Whether the step that leaves this file has run for what there is now."""
    return path.is_file() and path.read_text(encoding="ascii") == wanted
