"""How soon somebody who knocks hears that they were let in, from the answer to whoever let them in.

python -m benchmarks.admission [COUNT]
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.signaling.harness import running
from tests.signaling.rooms import Person, founder


async def measure(count: int) -> list[float]:
    """Milliseconds, shortest first; below 0 the news was there before the answer."""
    found = []
    async with running(guest_tokens_per_minute=100_000, api_requests_per_minute=100_000) as server:
        ada = await founder(server, policy={"entry": "knock"})
        for number in range(count):
            bob = Person(server, f"Bob {number}", ada.room)
            knock = (await bob.enter())["knock"]

            async def hear(person: Person, path: str) -> float:
                await person.good("GET", path)
                return time.perf_counter()

            hearing = asyncio.create_task(hear(bob, f"knocks/{knock}/answer"))
            await asyncio.sleep(0.05)
            [waiting] = (await ada.good("GET", "knocks"))["knocks"]
            await ada.good("POST", f"knocks/{waiting['knock_id']}/admit")
            answered = time.perf_counter()
            found.append((await hearing - answered) * 1000)
    return sorted(found)


def main() -> None:
    found = asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
    print(f"{len(found)} admissions: median {found[len(found) // 2]:.1f} ms, longest {found[-1]:.1f} ms")


if __name__ == "__main__":
    main()
