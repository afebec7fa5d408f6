//! Raw bindings to IREE's C runtime, built from source as one static archive.
//!
//! `skipgate-runtime` is the safe layer on top, and the only intended user. The functions and types are those of IREE's
//! [C API](https://iree.dev/reference/bindings/c-api/) under their own names; what the C headers state about
//! ownership and threads holds. C's inline functions have no symbol and are therefore absent.
//!
//! # Building
//!
//! The build script finds IREE's source in `IREE_SOURCE_DIR`, in a checkout in `third_party/iree`, or in the pinned
//! package that carries it. It needs `cmake` 3.26, `ninja`, and a C and C++ compiler for the target; where one is missing it
//! says so. In skipgate's checkout, `cargo xtask setup` installs them. The archive has the single-threaded CPU device on every target and the multi-threaded one
//! where pointers have 64 bits.
//!
//! | variable | meaning |
//! |---|---|
//! | `IREE_SOURCE_DIR` | folder with IREE's source |
//! | `CMAKE` | the `cmake` program |
//! | `SKIPGATE_TOOLS` | folder that `cargo xtask setup` fills |
//! | `SKIPGATE_NATIVE_DIR` | where built archives are kept; `native` in cargo's target folder if unset |
//! | `CMAKE_TOOLCHAIN_FILE_<target>` | toolchain file for a target (dashes as underscores), instead of the one in `toolchains` |
#![no_std]

// Layouts differ by pointer width alone: the file for x86_64 was compared with one made for aarch64.
#[cfg_attr(target_pointer_width = "64", path = "../bindings/x86_64.rs")]
#[cfg_attr(target_pointer_width = "32", path = "../bindings/arm.rs")]
#[allow(
    missing_docs,
    non_camel_case_types,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from C headers"
)]
mod bindings;

pub use bindings::*;
