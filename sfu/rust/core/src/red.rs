//! See `sfu/engine/reference/red.py`.
