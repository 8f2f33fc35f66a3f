//! See `sfu/engine/reference/seqnum.py`.
