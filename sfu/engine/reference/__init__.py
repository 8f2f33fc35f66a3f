"""The reference engine: pure Python, no sockets, no clock, no randomness of its own."""
