//! See `sfu/engine/reference/transport_feedback.py`.
