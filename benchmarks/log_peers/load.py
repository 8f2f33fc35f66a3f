"""The load generator, a process of its own: reads a plan and then commands as JSON lines, answers each with one.

    {"protocol", "port", "people": [{"reads", "secret", "rooms"}], "writers": [[person, room]], "pids": {part: [pid]}}
    {"seconds": 5, "rate": 0, "drain_s": 10}

`rate` 0: every writer says the next thing when the last one is acknowledged. Else so many messages a second are due in
turns, and time counts from when each was due, not from when the client got round to it.
"""

from __future__ import annotations

import asyncio
import collections
import json
import resource
import statistics
import sys
import time
from typing import Any

import uvloop

from benchmarks.log_peers.cpu import cpu_s
from benchmarks.log_peers.links import LINKS, Link

_OPEN_AT_ONCE = 10
_QUIET_S = 1.0
_SETTLE_S = 60.0


class Load:
    def __init__(self, plan: dict[str, Any]) -> None:
        make = LINKS[plan["protocol"]]
        self._people: list[Link] = [
            make(self, number, person, plan["port"], reads=person["reads"])
            for number, person in enumerate(plan["people"])
        ]
        self._writers: list[tuple[int, str]] = [(person, room) for person, room in plan["writers"]]
        self._pids: dict[str, list[int]] = plan["pids"]
        reading = [(n, one["rooms"]) for n, one in enumerate(plan["people"]) if one["reads"]]
        self._readers = {
            (person, room): sum(room in rooms for n, rooms in reading if n != person) for person, room in self._writers
        }
        self._number = 0
        self._sent_at: dict[int, float] = {}
        self._sender: dict[int, int] = {}
        self._missing: dict[int, int] = {}
        self._unacknowledged: dict[int, asyncio.Future[None] | None] = {}
        self._latencies: list[float] = []
        self._acknowledged = 0
        self._heard_at = 0.0
        self._complaints: collections.Counter[str] = collections.Counter()

    async def open(self) -> None:
        """Ten at a time: a hundred logins at once are another benchmark."""
        for start in range(0, len(self._people), _OPEN_AT_ONCE):
            await asyncio.gather(*(person.open() for person in self._people[start : start + _OPEN_AT_ONCE]))

    def close(self) -> None:
        for person in self._people:
            person.close()

    # --- what clients tell -------------------------------------------------------------------------------------

    def saw(self, person: int, numbers: list[int]) -> None:
        now = self._heard_at = time.perf_counter()
        missing = self._missing
        for number in numbers:
            left = missing.get(number)
            if left is None or self._sender[number] == person:
                continue
            if left == 1:
                del missing[number]
                self._latencies.append(now - self._sent_at[number])
            else:
                missing[number] = left - 1

    def acknowledged(self, number: int) -> None:
        self._heard_at = time.perf_counter()
        if number not in self._unacknowledged:
            return  # of the run before
        done = self._unacknowledged.pop(number)
        self._acknowledged += 1
        if done is not None and not done.done():
            done.set_result(None)

    def failed(self, why: str) -> None:
        self._complaints[why] += 1

    # --- runs ----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Until nothing comes any more: what one run left behind is not to slow down the next."""
        for person in self._people:
            person.forget()
        deadline = time.perf_counter() + _SETTLE_S
        while time.perf_counter() < min(self._heard_at + _QUIET_S, deadline):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def run(self, seconds: float, rate: float, drain_s: float) -> dict[str, Any]:
        await self.settle()
        self._latencies, self._acknowledged = [], 0
        self._missing.clear()
        self._unacknowledged.clear()
        self._complaints.clear()
        cpu, own, start = self._cpu(), _own_cpu_s(), time.perf_counter()
        if rate:
            await self._write_at(rate, seconds)
        else:
            await asyncio.gather(*(self._write_on(person, room, start + seconds) for person, room in self._writers))
        wrote_s = time.perf_counter() - start
        deadline = time.perf_counter() + drain_s
        while (self._missing or self._unacknowledged) and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        wall_s = time.perf_counter() - start
        used = {part: after - cpu[part] for part, after in self._cpu().items()}
        late = len(self._missing)
        now = time.perf_counter()
        self._latencies += [now - self._sent_at[number] for number in self._missing]
        return {
            "acknowledged": self._acknowledged, "wrote_s": wrote_s, "cpu_s": used, "undelivered": late,
            "generator_share": (_own_cpu_s() - own) / wall_s, "complaints": dict(self._complaints.most_common(3)),
            **_percentiles(self._latencies),
        }  # fmt: skip

    async def _write_on(self, person: int, room: str, end: float) -> None:
        while time.perf_counter() < end:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._write(person, room, time.perf_counter(), done)
            try:
                await asyncio.wait_for(done, 20)
            except TimeoutError:
                self.failed("no acknowledgement in 20 s")
                return

    async def _write_at(self, rate: float, seconds: float) -> None:
        start = time.perf_counter()
        for count in range(round(rate * seconds)):
            due = start + count / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            person, room = self._writers[count % len(self._writers)]
            self._write(person, room, due, None)

    def _write(self, person: int, room: str, due: float, done: asyncio.Future[None] | None) -> None:
        self._number += 1
        number = self._number
        self._sent_at[number], self._sender[number] = due, person
        self._missing[number] = self._readers[person, room]
        self._unacknowledged[number] = done
        self._people[person].write(room, number)

    def _cpu(self) -> dict[str, float]:
        return {part: sum(cpu_s(pid) for pid in pids) for part, pids in self._pids.items()}


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _percentiles(latencies: list[float]) -> dict[str, float]:
    if len(latencies) < 2:
        return {"p50_ms": 0.0, "p99_ms": 0.0}
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {"p50_ms": 1000 * cuts[49], "p99_ms": 1000 * cuts[98]}


async def main() -> None:
    loop = asyncio.get_running_loop()
    load = Load(json.loads(await loop.run_in_executor(None, sys.stdin.readline)))
    await load.open()
    print(json.dumps({"open": True}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await load.run(**json.loads(line))), flush=True)
    load.close()


if __name__ == "__main__":
    uvloop.run(main())
