//! See `sfu/engine/reference/codecs_vp8.py`.
