"""`python -m benchmarks.peers PEER [options of ting load-test]`: the load test against another server's protocol."""

import sys

from benchmarks.load.cli import main
from benchmarks.peers.janus import janus_protocol

PROTOCOLS = {"janus": janus_protocol}

if len(sys.argv) < 2 or (sys.argv[1] not in PROTOCOLS and sys.argv[1] != "livekit"):
    sys.exit(f"usage: python -m benchmarks.peers {{{','.join(['livekit', *PROTOCOLS])}}} [options of ting load-test]")
sys.exit(main(sys.argv[2:], f"benchmarks.peers {sys.argv[1]}", PROTOCOLS.get(sys.argv[1])))
