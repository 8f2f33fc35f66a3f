//! See `sfu/engine/reference/rtcp.py`.
