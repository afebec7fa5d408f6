//! `Swish` and `SwiGLU`, which the compiler does not know.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Writes them as a sigmoid and products.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(gate) = node.input.first().filter(|_| matches!(node.op_type.as_str(), "SwiGLU" | "Swish"))
    else {
        return Ok(Step::Keep);
    };
    let Some(element_type) = context.tensor_type(gate).map(|ty| ty.element_type) else {
        return Ok(Step::Keep);
    };
    let alpha = Attributes::of(node).float("alpha").map_err(|problem| problem.of(node))?.unwrap_or(1.0);
    let mut build = Build::of(node, context);
    let alpha = build.scalar(alpha, element_type);
    let scaled = build.op("Mul", &[gate, &alpha]);
    let share = build.op("Sigmoid", &[&scaled]);
    let mut result = build.op("Mul", &[gate, &share]);
    if let Some(input) = node.input.get(1) {
        result = build.op("Mul", &[&result, input]);
    }
    Ok(build.finish(&[&result]))
}
