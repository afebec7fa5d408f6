//! Operators on quantised values in forms that the compiler gets wrong. A network that dequantises in front of its
//! operators and quantises behind them has none.

use super::context::Context;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;

/// Operands of `QLinearMatMul`; behind each one come its scale and its zero point.
const FACTORS: [usize; 2] = [0, 3];
/// The zero point of the image and the scale of the weights of a `QLinearConv`.
const IMAGE_ZERO_POINT: usize = 2;
const WEIGHT_SCALE: usize = 4;

/// Refuses products of stacks of matrices, and convolutions with a scale for each channel or whose padding is not zero.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    match node.op_type.as_str() {
        "QLinearMatMul" => product(node, context),
        "QLinearConv" => convolution(node, context),
        _ => Ok(()),
    }
}

fn product(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let is_matrix = |index: &usize| {
        let operand = node.input.get(*index).and_then(|name| context.tensor_type(name));
        operand.is_some_and(|operand| operand.shape.len() <= 2)
    };
    if FACTORS.iter().all(is_matrix) {
        return Ok(());
    }
    Err(unsupported(node, "the compiler gets it wrong for more than two dimensions"))
}

fn convolution(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let value = |index: usize| node.input.get(index).and_then(|name| context.value(name));
    if value(WEIGHT_SCALE).and_then(|scale| scale.tensor_type.elements()) != Some(1) {
        return Err(unsupported(node, "the compiler gets it wrong with a scale for each channel"));
    }
    // The compiler pads with zeros, where the zero point stands for that.
    let zero_point = value(IMAGE_ZERO_POINT).and_then(|point| point.ints.as_deref());
    let is_zero = zero_point.is_some_and(|points| points.iter().all(|point| *point == Some(0)));
    if is_zero || !is_padded(node).map_err(|problem| problem.of(node))? {
        return Ok(());
    }
    Err(unsupported(node, "the compiler gets it wrong with padding and a zero point other than 0"))
}

fn is_padded(node: &NodeProto) -> Result<bool, NodeProblem> {
    let attributes = Attributes::of(node);
    let explicit = attributes.ints("pads")?.unwrap_or_default().iter().any(|pad| *pad != 0);
    Ok(match attributes.string("auto_pad")?.unwrap_or(b"NOTSET") {
        b"NOTSET" => explicit,
        mode => mode != b"VALID",
    })
}
