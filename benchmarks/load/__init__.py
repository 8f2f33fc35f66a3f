"""`ting load-test`: many simulated participants over real signalling, ICE, DTLS and SRTP.

Signalling, ICE and DTLS are Python (`livekit.py`, `transport.py`); the media of all participants is moved and judged by
one thread of the Rust extension (`ting_engine.LoadGenerator`), so that the tool is not the bottleneck of its own test.
"""
