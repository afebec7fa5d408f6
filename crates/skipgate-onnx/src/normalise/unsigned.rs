//! Arithmetic with unsigned integers.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, INT32, UINT8, UINT16, UINT32, UINT64};

/// Operators to which the sign matters, and which compute with wider integers what they compute with narrow ones.
const WIDENED: &[&str] = &[
    "ArgMax",
    "ArgMin",
    "Clip",
    "Div",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "MaxPool",
    "Min",
    "Mod",
    "ReduceMax",
    "ReduceMin",
    "TopK",
];

/// Computes with other numbers that hold all of the unsigned ones.
pub(super) fn widen(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let narrow = |context: &Context, name: &str| {
        let of = context.tensor_type(name).map(|value| value.element_type);
        of.filter(|ty| matches!(*ty, UINT8 | UINT16))
    };
    if !WIDENED.contains(&node.op_type.as_str())
        || !node.input.iter().any(|name| narrow(context, name).is_some())
    {
        return Step::Keep;
    }
    let types: Vec<_> = node.output.iter().map(|name| narrow(context, name)).collect();
    // A pool of integers is one of bytes only, and floats hold all of these integers.
    let wide = if node.op_type == "MaxPool" { FLOAT } else { INT32 };
    let mut build = Build::of(node, context);
    let mut inputs = Vec::new();
    for name in &node.input {
        let is_narrow = narrow(build.context, name).is_some();
        inputs.push(if is_narrow { build.cast(name, wide) } else { name.clone() });
    }
    let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
    let wide = build.with_outputs(&node.op_type, &inputs, node.attribute.clone(), node.output.len());
    let mut outputs = Vec::new();
    for (wide, ty) in wide.into_iter().zip(types) {
        outputs.push(match ty {
            Some(ty) => build.cast(&wide, ty),
            None => wide,
        });
    }
    build.finish(&outputs.iter().map(String::as_str).collect::<Vec<_>>())
}

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
    "BitCast",
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
