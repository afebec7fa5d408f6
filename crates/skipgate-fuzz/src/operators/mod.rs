//! The test cases that ONNX has for its operators: a small model each, with inputs and what it makes of them.
//!
//! `tests/python/operator_cases.py` writes them. [`Survey`] compiles and runs them in worker processes and keeps what
//! became of each in a file; [`Support`] is the sum of that by operator, which `docs/support` shows.

mod bake;
mod case;
mod check;
mod page;
mod support;
mod survey;

use serde::{Deserialize, Serialize};

pub use check::serve;
pub use support::Support;
pub use survey::Survey;

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every output is as the case says.
    Right,
    /// An output is another one, without a word.
    Wrong(String),
    /// The compiler or runtime died, or said something that it never must.
    Crash(String),
    /// skipgate says that it cannot, and why.
    Refused(String),
    /// An input or output is of a kind that does not cross the interface of a compiled network.
    OutOfScope(String),
}

/// A case and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// Kind and name of the case.
    pub case: String,
    /// The operator of a model of one node.
    pub operator: Option<String>,
    /// Version of its operator set.
    pub opset: i64,
    /// What became of it.
    pub outcome: Outcome,
    /// Inputs that decide about a shape, or how something is computed, and were compiled in with the values of the case.
    pub baked: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}
