//! See `sfu/engine/reference/codecs.py`.
