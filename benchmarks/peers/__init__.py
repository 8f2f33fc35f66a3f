"""Other servers under the same load: one module per server, `PEERS` in `registry.py`."""
