//! See `sfu/engine/reference/codecs_vp9.py`.
