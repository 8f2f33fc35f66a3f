"""What a Ting that nobody uses costs: memory and CPU time of `ting serve`, and how long `ting --help` takes.

python benchmarks/idle.py [SECONDS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTLE_S = 2.0
RUNS = 5
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SERVE = "import sys; from signaling.cli import main; sys.exit(main())"
PORTS = ("--port", "0", "--rtc-udp-port", "27882", "--rtc-tcp-port", "0", "--rtc-addresses", "127.0.0.1")


def cpu_s(pid: int) -> float:
    """User and system time (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_server(seconds: float) -> tuple[float, float]:
    """MiB and percent of one CPU, after a start with a new database and one with an old one; of the second."""
    with tempfile.TemporaryDirectory(prefix="ting-") as data:
        environment = {**os.environ, "TING_DATA_DIR": data, "PYTHONPATH": str(ROOT)}
        for _ in range(2):
            command = [sys.executable, "-c", _SERVE, "serve", "--dev", *PORTS]
            with subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as server:
                assert server.stdout is not None
                if b"ready" not in server.stdout.readline():
                    sys.exit("ting serve did not start")
                time.sleep(SETTLE_S)
                before = cpu_s(server.pid)
                time.sleep(seconds)
                percent = 100 * (cpu_s(server.pid) - before) / seconds
                memory = rss_mib(server.pid)
                server.terminate()
    return memory, percent


def measure_start(*arguments: str) -> float:
    """Milliseconds, the median of a few runs."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    memory, percent = measure_server(seconds)
    print(f"ting serve, idle    {memory:6.1f} MiB RSS   {percent:.2f} % of one CPU over {seconds:.0f} s")
    print(f"ting --help         {measure_start(_SERVE, '--help'):6.0f} ms")
    print(f"python -c pass      {measure_start('pass'):6.0f} ms")


if __name__ == "__main__":
    main()
