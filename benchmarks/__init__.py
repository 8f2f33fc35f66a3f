"""Benchmarks and the load generator behind `ting load-test`."""
