//! Arithmetic with unsigned integers.

use super::context::Context;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::{UINT8, UINT16, UINT32, UINT64};

/// Refuses operators to which it matters whether integers have a sign: the compiler takes all of them for signed.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let is_unsigned = |name: &String| {
        let of = context.tensor_type(name).map(|value| value.element_type);
        matches!(of, Some(UINT8 | UINT16 | UINT32 | UINT64))
    };
    if !node.input.iter().any(is_unsigned) || is_sign_free(node)? {
        return Ok(());
    }
    Err(unsupported(node, "it computes with unsigned integers, which the compiler takes for signed ones"))
}

/// Whether the results have the same bits for both kinds of integers, or the operator is one that the compiler honours.
fn is_sign_free(node: &NodeProto) -> Result<bool, Error> {
    let shifts_left = || {
        let direction = Attributes::of(node).string("direction").map_err(|problem| problem.of(node))?;
        Ok(direction == Some(b"LEFT"))
    };
    let scatters = || {
        let reduction = Attributes::of(node).string("reduction").map_err(|problem| problem.of(node))?;
        Ok(matches!(reduction, None | Some(b"none" | b"add" | b"mul")))
    };
    match node.op_type.as_str() {
        "BitShift" => shifts_left(),
        "ScatterElements" | "ScatterND" => scatters(),
        op_type => Ok(SIGN_FREE.contains(&op_type)),
    }
}

/// Operators of modular arithmetic, on bits, on places, and from and to quantised values.
const SIGN_FREE: &[&str] = &[
    "Add",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "CastLike",
    "Concat",
    "ConvInteger",
    "DepthToSpace",
    "DequantizeLinear",
    "Equal",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "If",
    "MatMulInteger",
    "Mul",
    "Pad",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "ReduceSum",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Sub",
    "Sum",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
];
