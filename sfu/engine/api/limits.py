"""Numbers of the contract."""

TICK_NS = 10_000_000
"""Longest time between two calls of `handle_timeout` while something waits for the clock."""
IDLE_TICK_NS = 60_000_000
"""The same while nothing does."""
KEYFRAME_INTERVAL_NS = 500_000_000
KEYFRAME_CACHE_PACKETS = 4096
KEYFRAME_CACHE_NS = 15_000_000_000
OVERHEAD_BYTES = 70
"""What a packet takes on a line beside its payload, about: IPv4, UDP, RTP header with extensions, SRTP tag."""
MAX_WANTED_BPS = 1_000_000_000
REPLAY_SPEED = 8
REPLAY_ALONE_NS = 1_000_000_000
MAX_PATHS = 4
MAX_DATAGRAM_BYTES = 1500
MAX_REDUNDANCY = 3
MAX_REDUNDANCY_STEP = 4
MAX_FEC_PACKETS = 15
"""Packets that share a repair packet: the shortest mask has as many bits."""
MAX_RED_BYTES = 1000
"""Of a payload with redundancy that is made here: it fits where any packet does."""
HIGHEST_LAYER = 255
"""`set_target_layer` with this value means "whatever is best"."""
