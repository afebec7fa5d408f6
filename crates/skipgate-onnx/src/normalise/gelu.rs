//! `Gelu` with the approximation by a hyperbolic tangent, of which the compiler makes another one.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Writes the approximation as its definition has it.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(input) = node.input.first().filter(|_| node.op_type == "Gelu") else { return Ok(Step::Keep) };
    let approximate = Attributes::of(node).string("approximate").map_err(|problem| problem.of(node))?;
    let element_type = context.tensor_type(input).map(|ty| ty.element_type);
    let (Some(element_type), Some(b"tanh")) = (element_type, approximate) else { return Ok(Step::Keep) };
    let mut build = Build::of(node, context);
    let factors = [0.5, 1.0, 0.044_715, std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2];
    let [half, one, cubic, scale] = factors.map(|value| build.scalar(value, element_type));
    let square = build.op("Mul", &[input, input]);
    let cube = build.op("Mul", &[&square, input]);
    let cube = build.op("Mul", &[&cube, &cubic]);
    let sum = build.op("Add", &[input, &cube]);
    let sum = build.op("Mul", &[&sum, &scale]);
    let share = build.op("Tanh", &[&sum]);
    let share = build.op("Add", &[&share, &one]);
    let result = build.op("Mul", &[input, &share]);
    let result = build.op("Mul", &[&result, &half]);
    Ok(build.finish(&[&result]))
}
