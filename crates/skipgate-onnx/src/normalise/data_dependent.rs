//! Operators whose results have as many elements as their data say, and those that nothing computes.

use super::context::Context;
use super::unsupported;
use crate::error::Error;
use crate::proto::NodeProto;

/// Refuses what has no static shape, and what nothing behind this module computes.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    let reason = match node.op_type.as_str() {
        "Compress" | "NonMaxSuppression" | "NonZero" | "Unique" => {
            "how many elements its result has depends on its data, and a compiled network has static shapes"
        }
        "Attention"
        | "CausalConvWithState"
        | "Col2Im"
        | "DeformConv"
        | "LinearAttention"
        | "MaxUnpool"
        | "RMSNormalization"
        | "RoiAlign"
        | "RotaryEmbedding"
        | "TensorScatter" => "it is not one that can be written in other operators",
        "ImageDecoder" => "the compiler does not know this operator",
        _ => return Ok(()),
    };
    Err(unsupported(node, reason))
}
