"""What a room that grows costs and tells: sessions straight at the SFU, without media, of whom three may publish.

    python -m benchmarks.bench_audience [--people 100 1000 3000]

For each size with an audience (`audience_from` as it is by default) and without: CPU time of a join, events that a
member was sent while the others joined, and how many participants these told of.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import time

from sfu.api import JoinRequest, ParticipantsUpdated, Permissions, SessionEvent
from sfu.config import SfuConfig
from sfu.ids import Identity, RoomName
from sfu.node import Node
from tests.sfu.conftest import free_port

PUBLISHERS = 3
BATCH = 50
PAUSE_S = 0.05
REST_S = 1.0
NO_AUDIENCE = 1_000_000


async def measure(people: int, audience_from: int) -> None:
    config = SfuConfig(
        rtc_addresses=("127.0.0.1",),
        rtc_udp_port=free_port(socket.SOCK_DGRAM),
        rtc_tcp_port=free_port(socket.SOCK_STREAM),
        audience_from=audience_from,
        max_participants_per_room=people,
        max_half_open_transports=2 * people,
    )
    node = Node(config)
    await node.start()
    events = told = 0

    def hear(event: SessionEvent) -> None:
        nonlocal events, told
        events += 1
        if isinstance(event, ParticipantsUpdated):
            told += len(event.participants)

    begin = time.process_time()
    for number in range(people):
        rights = Permissions(can_publish=number < PUBLISHERS)
        session = await node.join(JoinRequest(RoomName("hall"), Identity(f"p{number}"), permissions=rights), hear)
        session.start()
        if number % BATCH == BATCH - 1:
            await asyncio.sleep(PAUSE_S)
    await asyncio.sleep(REST_S)
    used_ms = (time.process_time() - begin) / people * 1e3
    what = "without audience" if audience_from == NO_AUDIENCE else f"audience from {audience_from}"
    print(f"{people:6} people, {what:17}: {used_ms:5.2f} ms CPU a join, {events / people:6.1f} events a member, "
          f"which tell of {told / people:8.1f} participants")  # fmt: skip
    await node.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, nargs="+", default=[100, 1000, 3000])
    for people in parser.parse_args().people:
        for audience_from in (SfuConfig().audience_from, NO_AUDIENCE):
            asyncio.run(measure(people, audience_from))


if __name__ == "__main__":
    main()
