//! What a residual branch is, for people.

use std::fmt;

use serde::Serialize;

use crate::attributes::Attributes;
use crate::cost::Costs;
use crate::dataflow::Dataflow;
use crate::proto::NodeProto;

/// What a branch F consists of, by its operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// It multiplies values that it computes with each other, as attention does.
    Attention,
    /// It looks at several places of an image with weights.
    Convolution,
    /// It looks at one place at a time: matrix products, or convolutions of one tap.
    Perceptron,
    /// It looks at several places of an image without weights, as in `PoolFormer`.
    Pooling,
    /// Two blocks one behind the other: one that mixes places, and a perceptron.
    Layer,
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attention => "attention",
            Self::Convolution => "convolution",
            Self::Perceptron => "perceptron",
            Self::Pooling => "pooling",
            Self::Layer => "layer",
        })
    }
}

impl BlockKind {
    /// Whether it brings several places of an image, or several tokens, together.
    pub(crate) fn mixes(self) -> bool {
        matches!(self, Self::Attention | Self::Convolution | Self::Pooling)
    }

    /// The kind of a branch that consists of these nodes.
    pub(crate) fn of(flow: &Dataflow, branch: &[usize]) -> Self {
        let nodes = || branch.iter().map(|&index| flow.node(index));
        let multiplies_values = |node: &NodeProto| {
            matches!(node.op_type.as_str(), "Einsum" | "MatMul")
                && node.input.len() == 2
                && node.input.iter().all(|operand| flow.flows(operand))
        };
        if nodes().any(multiplies_values) {
            Self::Attention
        } else if nodes().any(looks_around) {
            Self::Convolution
        } else if nodes().any(|node| Costs::is_weighted(flow, node)) {
            Self::Perceptron
        } else {
            Self::Pooling
        }
    }
}

/// Whether `node` is a convolution of more than one tap.
fn looks_around(node: &NodeProto) -> bool {
    let taps = Attributes::of(node).ints("kernel_shape").ok().flatten();
    matches!(node.op_type.as_str(), "Conv" | "ConvTranspose")
        && taps.is_none_or(|taps| taps.iter().any(|&taps| taps > 1))
}
