//! `RMSNormalization`, which the compiler does not know.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::site::axis;
use crate::tensor::element_type::{FLOAT, FLOAT16};

/// Writes it as a division by the root of the mean of squares.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, scale] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "RMSNormalization" {
        return Ok(Step::Keep);
    }
    let Some(ty) = context.tensor_type(input).cloned() else { return Ok(Step::Keep) };
    let attributes = Attributes::of(node);
    let first = attributes.int_or("axis", -1).map_err(|problem| problem.of(node))?;
    let epsilon = attributes.float("epsilon").map_err(|problem| problem.of(node))?.unwrap_or(1e-5);
    let Ok(first) = axis(first, ty.shape.len()) else { return Ok(Step::Keep) };
    if !matches!(ty.element_type, FLOAT | FLOAT16) {
        return Ok(Step::Keep);
    }
    let signed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let axes: Vec<_> = (first..ty.shape.len()).map(signed).collect();
    let mut build = Build::of(node, context);
    let wide = if ty.element_type == FLOAT { input.clone() } else { build.cast(input, FLOAT) };
    let squares = build.op("Mul", &[&wide, &wide]);
    let axes = build.ints(&axes);
    let mean = build.with("ReduceMean", &[&squares, &axes], vec![int_attribute("keepdims", 1)]);
    let epsilon = build.scalar(epsilon, FLOAT);
    let sum = build.op("Add", &[&mean, &epsilon]);
    let root = build.op("Sqrt", &[&sum]);
    let mut normal = build.op("Div", &[&wide, &root]);
    if ty.element_type != FLOAT {
        normal = build.cast(&normal, ty.element_type);
    }
    let result = build.op("Mul", &[&normal, scale]);
    Ok(build.finish(&[&result]))
}
