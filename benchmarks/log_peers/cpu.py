"""CPU time of servers that have several processes."""

from __future__ import annotations

import psutil


def cpu_s(pid: int) -> float:
    """Of a process and its children, those that have ended too."""
    total = 0.0
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
