//! See `sfu/engine/reference/srtp.py`.
