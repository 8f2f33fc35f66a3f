#!/bin/sh
# nats-py 2.16.0: `allow_reconnect=False` counts for a connection that was there and is lost. The first one is tried again all
# the same, 60 times with 2 s in between where nothing else is said: a program that wants to hear at once that there is no
# server hears nothing for two minutes. `max_reconnect_attempts=1` says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv new
new/bin/pip install -q nats-py==2.16.0
cat >try.py <<'PY'
import asyncio
import socket
import sys
import time

import nats
from nats.errors import NoServersError

WAIT_S = 12


async def quiet(error):
    pass


async def give_up_after(**options):
    """Seconds until `connect` says that nobody is there; None when it still tries after a while."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        begin = time.monotonic()
        try:
            async with asyncio.timeout(WAIT_S):
                await nats.connect(f"nats://127.0.0.1:{port}", error_cb=quiet, allow_reconnect=False, **options)
        except TimeoutError:
            return None
        except (NoServersError, OSError):
            return time.monotonic() - begin


alone, said = asyncio.run(give_up_after()), asyncio.run(give_up_after(max_reconnect_attempts=1))
print(f"allow_reconnect=False: {'still tries after %d s' % WAIT_S if alone is None else 'gives up'}")
print(f"with max_reconnect_attempts=1: {'still tries' if said is None else 'gives up within %d s' % WAIT_S}")
sys.exit(0 if alone is None and said is not None else 1)
PY
new/bin/python try.py
# Seen: allow_reconnect=False: still tries after 12 s
#       with max_reconnect_attempts=1: gives up within 12 s
