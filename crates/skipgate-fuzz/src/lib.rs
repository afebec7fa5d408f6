//! Random residual networks through the whole of skipgate, against ONNX Runtime.
//!
//! [`generate`] makes a network from a list of decisions, [`Checker`] computes it in every way there is and compares,
//! [`Campaign`] does that for many networks in worker processes, and makes those that fail smaller. [`operators`] does it
//! with the test cases that ONNX has for operators.
#![forbid(unsafe_code)]

mod campaign;
mod case;
mod choices;
mod generate;
mod graph;
pub mod net;
pub mod operators;
mod outcome;
mod shrink;
mod worker;

pub use campaign::{Campaign, Summary};
pub use case::Checker;
pub use choices::Choices;
pub use generate::{Generated, generate};
pub use outcome::Outcome;
pub use worker::serve;
