//! Compares artifacts with independent builds of the same model.
//!
//! [`verify`] is all of it; its parts serve tests that have their own way to make models: [`Difference`] is the measure,
//! [`OnnxRuntime`] and [`Emulator`] compute, [`masks`] says under which masks.

mod compare;
mod emulator;
mod error;
mod masks;
mod onnx_runtime;
mod origin;
mod random;
mod report;
mod verify;

pub use compare::{Difference, HALF_TOLERANCE, QUANTIZED_TOLERANCE, TOLERANCE};
pub use emulator::Emulator;
pub use error::Error;
pub use masks::masks;
pub use onnx_runtime::{LIBRARY_VARIABLE, OnnxRuntime, Session};
pub use origin::has_halves;
pub use random::random_inputs;
pub use report::{Comparison, Ran, Reference, Report};
pub use verify::{Inputs, Options, verify};
