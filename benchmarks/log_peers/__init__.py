"""Servers of lasting chat, and their clients, for `bench_log.py`."""
