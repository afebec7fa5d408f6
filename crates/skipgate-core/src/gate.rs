//! One row of the gate table.

use serde::{Deserialize, Serialize};

/// A gate and the residual block behind it. A gate's number is its place in the table and in the skip mask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Name of the residual block, unique in its model.
    pub block: String,
    /// Number of the segment the block belongs to, from 0 in execution order.
    pub segment: usize,
    /// Multiply-accumulate operations that skipping the block saves, per image.
    pub macs: u64,
    /// Weights inside the block.
    pub parameters: u64,
}
