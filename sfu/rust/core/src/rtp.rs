//! See `sfu/engine/reference/rtp.py`.
