"""What people meet on a cluster of three real nodes (NATS, PostgreSQL), with the SDK's libwebrtc as clients.

    python -m benchmarks.bench_cluster [--rounds 5]

First picture: from the call of join to the first decoded frame of somebody who has been there for long: on that one's
node, on a node where nobody is (a cold edge), and on one where somebody watches already (a warm one).
A node is killed (kill -9): from then until a viewer that was on it hears again, through one address for all nodes that
leads to those that live; and the longest pause that a viewer on another node has heard meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from tests.harness import tone
from tests.harness.caller import Caller
from tests.harness.media import PatternReader, SoundReader
from tests.harness.nodes import ClusterProcesses

DEADLINE_S = 60.0
QUIET_S = 4.0
NOTICE_S = 3.0


async def first_picture(url: str, room: str, name: str) -> tuple[float, Caller]:
    """In seconds."""
    caller = Caller(url, room, name)
    begin = time.perf_counter()
    await caller.join()
    eye = await caller.watch("alice")
    assert isinstance(eye, PatternReader)
    await eye.until(lambda: eye.frames, "a picture", DEADLINE_S)
    return time.perf_counter() - begin, caller


async def measure_pictures(cluster: ClusterProcesses, rounds: int) -> None:
    one, two = cluster.nodes["one"], cluster.nodes["two"]
    alice = await Caller(one.url, "pictures", "alice").join()
    await alice.publish_pattern(1)
    times: dict[str, list[float]] = {"same node": [], "cold edge": [], "warm edge": []}
    for number in range(rounds):
        near_s, near = await first_picture(one.url, "pictures", f"near{number}")
        await near.leave()
        # The last viewer's layers are asked for a little longer.
        await asyncio.sleep(QUIET_S)
        cold_s, cold = await first_picture(two.url, "pictures", f"cold{number}")
        warm_s, warm = await first_picture(two.url, "pictures", f"warm{number}")
        for name, taken in (("same node", near_s), ("cold edge", cold_s), ("warm edge", warm_s)):
            times[name].append(taken)
        await asyncio.gather(cold.leave(), warm.leave())
    await alice.leave()
    for name, taken in times.items():
        print(f"first picture, {name}: median {statistics.median(taken) * 1e3:.0f} ms, "
              f"{min(taken) * 1e3:.0f} to {max(taken) * 1e3:.0f}")  # fmt: skip


async def until_sound(caller: Caller, begin: float) -> float:
    """Seconds since `begin` until it hears alice, on whatever track."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            for participant in caller.room.remote_participants.values():
                for publication in participant.track_publications.values():
                    if participant.identity == "alice" and publication.track is not None:
                        ear = SoundReader(publication.track)
                        try:
                            await ear.until(lambda ear=ear: tone.rms(ear.since(0)) > tone.SILENCE_RMS, "sound", 1.0)
                            return time.perf_counter() - begin
                        except AssertionError:
                            continue
                        finally:
                            await ear.close()
            await asyncio.sleep(0.02)


async def measure_loss(cluster: ClusterProcesses, rounds: int) -> None:
    one, two, three = cluster.nodes.values()
    back, pauses = [], []
    for number in range(rounds):
        room = f"loss{number}"
        alice = await Caller(one.url, room, "alice").join()
        await alice.publish_melody()
        other = await Caller(two.url, room, "other").join()
        ear = await other.listen("alice")
        await ear.received(1.0)
        # The third call that comes by the one address is on the third node.
        guests = [await Caller(cluster.balancer.url, room, f"guest{index}").join() for index in range(3)]
        for guest in guests:
            await (await guest.listen("alice")).received(0.5)
            await guest.close_readers()
        position, begin = ear.position, time.perf_counter()
        await three.kill()
        waits = await asyncio.gather(*(until_reconnected(guest, begin) for guest in guests))
        await ear.received(1.0)
        back.append(max(waits))
        pauses.append(ear.longest_gap_ms(position))
        await asyncio.gather(*(caller.leave() for caller in (alice, other, *guests)))
        await three.start()
        await cluster.connected("one", "two", "three")
    print(f"killed node: its viewer hears again after median {statistics.median(back):.1f} s, "
          f"{min(back):.1f} to {max(back):.1f}")  # fmt: skip
    print(f"killed node: longest pause for a viewer elsewhere median {statistics.median(pauses):.0f} ms, "
          f"at most {max(pauses)} ms")  # fmt: skip


async def until_reconnected(guest: Caller, begin: float) -> float:
    """Of one that was on the lost node; 0 for the others."""
    try:
        async with asyncio.timeout(NOTICE_S):
            await guest.wait_for("reconnecting")
    except TimeoutError:
        return 0.0
    await guest.wait_for("reconnected")
    return await until_sound(guest, begin)


async def run(rounds: int) -> None:
    cluster = ClusterProcesses("one", "two", "three", TING_DEFAULT_KIND="open")
    await cluster.start()
    try:
        await measure_pictures(cluster, rounds)
        await measure_loss(cluster, rounds)
    finally:
        await cluster.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="First pictures and lost nodes on a cluster of three.")
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(run(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
