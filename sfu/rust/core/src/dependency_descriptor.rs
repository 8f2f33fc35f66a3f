//! See `sfu/engine/reference/dependency_descriptor.py`.
