//! See `sfu/engine/reference/frame_info.py`.
