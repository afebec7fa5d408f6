//! Compiles gated ONNX models to artifacts through `libIREECompiler`.
//!
//! The compiler library is opened when it is first needed, so a program that links this crate starts on a machine
//! without it. Three steps, one module each:
//!
//! * [`import_onnx`] writes an ONNX model as MLIR text in the form that IREE's ONNX input expects, with kernels of its
//!   own for convolutions. It needs no Python, and every operation carries the name of its ONNX node, so that the compiler's diagnostics name it;
//! * [`Compiler`] turns MLIR into a vmfb for a [`Target`](skipgate_core::Target);
//! * [`compile`] and [`write_artifact`] make the artifact folder of a model.
//!
//! The same model, target and compiler give the same bytes.

mod artifact;
#[expect(
    clippy::pedantic,
    dead_code,
    non_camel_case_types,
    non_snake_case,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    reason = "written by bindgen"
)]
mod bindings;
mod branch_edges;
mod compiler;
mod error;
mod flags;
mod folder;
mod function_ids;
mod gating;
mod import;
mod ir;
mod kernels;
mod library;
mod linker;
#[expect(
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    non_snake_case,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    reason = "written by bindgen"
)]
mod mlir_bindings;
mod size;
mod temporary;

pub use artifact::{Compiled, compile};
pub use compiler::Compiler;
pub use error::{ArtifactError, CompileError, ImportError, LoadError};
pub use folder::write_artifact;
pub use gating::GateError;
pub use import::import_onnx;
pub use library::{LIBRARY_VARIABLE, find_library};
pub use temporary::{TemporaryFolderError, check_temporary_folder};
