//! Raw bindings to IREE's C runtime, built from source as one static archive.
