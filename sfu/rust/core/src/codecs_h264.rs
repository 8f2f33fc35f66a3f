//! See `sfu/engine/reference/codecs_h264.py`.
