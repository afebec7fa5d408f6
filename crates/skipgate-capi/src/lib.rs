//! The C interface of skipgate's runtime: `include/skipgate.h`, which `cargo xtask bindings` writes from these files.
//!
//! Everything here is thin: it turns pointers into references, calls `skipgate-runtime`, and turns errors into a status
//! and a message.
#![allow(clippy::doc_markdown, reason = "the documentation becomes that of a C header")]

pub mod artifact;
pub mod controller;
pub mod describe;
pub mod session;
pub mod status;
pub mod tensor;
pub mod version;
