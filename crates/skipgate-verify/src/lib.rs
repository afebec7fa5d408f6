//! Compares artifacts with independent builds of the same model.

mod compare;
mod emulator;
mod error;
mod masks;
mod onnx_runtime;

pub use compare::{Difference, QUANTIZED_TOLERANCE, TOLERANCE};
pub use emulator::{Emulator, PROGRAM_VARIABLE};
pub use error::Error;
pub use masks::masks;
pub use onnx_runtime::{LIBRARY_VARIABLE, OnnxRuntime, Session};
