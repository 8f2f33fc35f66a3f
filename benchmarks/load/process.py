"""CPU time and memory of processes with their children (proc(5), clock_getcpuclockid(3))."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def tree(roots: Sequence[int]) -> list[int]:
    """The processes and all their descendants that are alive."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents[int(entry.name)] = int(fields[1])
    found = [pid for pid in roots if pid in parents]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid and child not in found]
    return found


class CpuMeter:
    """CPU time of processes and their descendants, in ns of the scheduler's clock (clock_getcpuclockid(3)).

    The clock of a process keeps what its ended threads used, so none is lost; /proc/PID/stat has the same sum in ticks
    of 10 ms. Of a process that ends, what it used after the last `read` is lost, and nothing before.
    """

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots
        self._used_s: dict[int, float] = {}

    def read(self) -> float:
        """Seconds since the processes began; never less than the time before."""
        for pid in tree(self._roots):
            with contextlib.suppress(OSError):
                self._used_s[pid] = time.clock_gettime(_cpu_clock(pid))
        return sum(self._used_s.values())


def _cpu_clock(pid: int) -> int:
    """Linux: the inverted pid above three bits, of which 2 is the scheduler's clock of the whole process."""
    return (~pid << 3) | 2


def resident_bytes(pids: Sequence[int]) -> int:
    total = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            total += int(fields[21]) * _PAGE_BYTES
    return total


def _stat(pid: int) -> list[str]:
    """Fields from the state on; empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    # The name in parentheses may hold blanks and parentheses.
    return text.rpartition(")")[2].split()
