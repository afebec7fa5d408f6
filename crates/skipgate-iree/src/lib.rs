//! Compiles gated ONNX models to artifacts through `libIREECompiler`.
//!
//! The compiler library is opened when it is first needed, so a program that links this crate starts on a machine
//! without it. Three steps, one module each:
//!
//! * [`plan`] decides how an ONNX model is computed: what becomes a call of skipgate's own kernels, what stands where, what
//!   is a gate, in which order; [`import_onnx`] writes the [`Plan`] as MLIR text in the form that IREE's ONNX input
//!   expects. It needs no Python, and every operation carries the name of its ONNX node, so that the compiler's
//!   diagnostics name it;
//! * [`Compiler`] turns MLIR into a vmfb for a [`Target`];
//! * [`compile`] and [`write_artifact`] make the artifact folder of a model; [`Build`] is all of it, from the file on.
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
mod blame;
mod branch_edges;
mod build;
mod compiler;
mod diagnostics;
mod dialect;
mod emit;
mod error;
mod flags;
mod folder;
mod function_ids;
mod gating;
mod ir;
mod kernels;
mod libcalls;
mod library;
mod linker;
mod memory;
#[expect(
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    non_snake_case,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    reason = "written by bindgen"
)]
mod mlir_bindings;
#[cfg(test)]
#[path = "../../skipgate-onnx/tests/suite/net.rs"]
#[expect(dead_code, reason = "tests of another crate use all of it")]
mod net;
mod partial;
mod passes;
mod plan;
mod size;
mod temporary;

pub use artifact::{Compiled, compile, interface};
pub use build::{Build, Gating, Source};
pub use compiler::{Compiler, Verification};
pub use dialect::DialectError;
pub use error::{ArtifactError, CompileError, ImportError, LoadError};
pub use folder::write_artifact;
pub use gating::GateError;
pub use library::{LIBRARY_VARIABLE, find_library, python_packages};
pub use linker::try_linker;
pub use memory::CheckError;
pub use passes::plan;
pub use plan::{Plan, PlanError, PlanProblem};
pub use temporary::{TemporaryFolderError, check_temporary_folder};

use skipgate_core::{CompileOptions, Target};
use skipgate_onnx::Model;

/// Writes `model` as MLIR text: a module `@skipgate` with one function `@run` that takes the graph's inputs and
/// returns its outputs, both in the graph's order.
///
/// Errors: those of [`plan`], and what has no form in MLIR.
pub fn import_onnx(model: &Model, target: &Target, options: &CompileOptions) -> Result<String, ImportError> {
    Ok(emit::emit(&plan(model, target, options)?)?.mlir)
}
