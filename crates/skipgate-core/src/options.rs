//! How a network was compiled, and what the compiler could make of it. Both are part of the manifest.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

/// Everything that a compilation depends on besides model and target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CompileOptions {
    /// What may be done to a network's sums.
    pub arithmetic: Arithmetic,
    /// Whether layers become calls of skipgate's own kernels, where there are kernels for them. Without, the compiler's
    /// generic code computes everything: slower, and independent of the kernels, which is what a verification needs.
    pub kernels: bool,
    /// Sizes given to dimensions that the model leaves open, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, usize>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self { arithmetic: Arithmetic::Fast, kernels: true, dimensions: BTreeMap::new() }
    }
}

/// What may be done to a network's sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Arithmetic {
    /// Compute convolutions in forms that need fewer multiplications and round a little more.
    Fast,
    /// Compute every convolution as it is defined.
    Exact,
    /// Use the fast form with tiles of so many rows and columns of results, where it applies: to compare them.
    Tiles(NonZeroUsize),
}

/// What became of the layers and gates of a network: whatever is slower than it could be is named here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Number of layers (convolutions and matrix products) that kernels compute.
    pub kernels: usize,
    /// The layers that are left to the compiler's generic code.
    pub generic: Vec<GenericLayer>,
    /// The gates that cost something, in mask order.
    pub costly_gates: Vec<CostlyGate>,
    /// The ONNX nodes, as `Operator name`, whose computed indices are limited to what they choose from. ONNX Runtime ends with
    /// an error where one is outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited_indices: Vec<String>,
}

/// A layer without a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GenericLayer {
    /// The ONNX node, as `Operator name`.
    pub node: String,
    /// Why no kernel computes it.
    pub reason: String,
}

/// A gate that is not free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CostlyGate {
    /// Its number in the mask.
    pub gate: usize,
    /// What it became.
    pub form: GateForm,
    /// Why it is not free.
    pub reason: String,
}

/// What a gate becomes in compiled code, where it cannot be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GateForm {
    /// The block's input is copied to where its output is expected, when the block is skipped.
    Copy,
    /// Some of the block's commands run when it is skipped, too.
    Partial,
    /// A branch of the program, with buffers and waits of its own.
    Branch,
}

impl fmt::Display for GateForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "a copy when it is skipped",
            Self::Partial => "left out in part when it is skipped",
            Self::Branch => "a branch",
        })
    }
}
