//! What a verification found.

use std::path::PathBuf;

use serde::Serialize;
use skipgate_core::SkipMask;

use crate::Difference;

/// What an artifact was compared with, and how it did.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// The artifact.
    pub artifact: PathBuf,
    /// The model.
    pub model: PathBuf,
    /// Name of the artifact's target.
    pub target: String,
    /// How the artifact ran.
    pub ran: Ran,
    /// Number of inputs per mask.
    pub inputs: usize,
    /// Largest relative difference that is rounding.
    pub tolerance: f64,
    /// Whether all that was compared is equal.
    pub equal: bool,
    /// One comparison each.
    pub comparisons: Vec<Comparison>,
    /// Masks without a reference.
    pub not_compared: Vec<SkipMask>,
    /// References that could not be used, and why, in words.
    pub notes: Vec<String>,
}

/// How an artifact ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Ran {
    /// On this machine.
    Here,
    /// By the program for the board under qemu-arm.
    Emulated,
}

/// One mask against one reference.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// The mask.
    pub mask: SkipMask,
    /// What computed the reference.
    pub reference: Reference,
    /// The input with the largest difference.
    pub input: usize,
    /// The output with the largest difference.
    pub output: String,
    /// The largest difference.
    pub difference: Difference,
    /// Whether it is rounding.
    pub equal: bool,
}

/// What computes the model without its skipped blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// ONNX Runtime, without optimisations.
    OnnxRuntime,
    /// A build for this machine without gates, kernels and fast forms of convolutions.
    Build,
}

impl Reference {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "ONNX Runtime",
            Self::Build => "build without gates and kernels",
        }
    }
}

impl Report {
    /// The comparison that is furthest off, if any is more than rounding.
    pub fn worst(&self) -> Option<&Comparison> {
        let different = self.comparisons.iter().filter(|comparison| !comparison.equal);
        different.max_by(|a, b| a.difference.relative.total_cmp(&b.difference.relative))
    }
}
