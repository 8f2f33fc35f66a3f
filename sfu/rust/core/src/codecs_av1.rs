//! See `sfu/engine/reference/codecs_av1.py`.
