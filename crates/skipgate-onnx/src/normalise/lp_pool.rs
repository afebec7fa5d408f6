//! `LpPool`, of which the compiler knows some forms only.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

/// Writes it as the root of a mean of powers, times the root of how many they are. Padding counts as zeros.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(input) = node.input.first().filter(|_| node.op_type == "LpPool") else { return Ok(Step::Keep) };
    let attributes = Attributes::of(node);
    let order = attributes.int_or("p", 2).map_err(|problem| problem.of(node))?;
    let kernel = attributes.ints("kernel_shape").map_err(|problem| problem.of(node))?.unwrap_or_default();
    let is_float = context.tensor_type(input).is_some_and(|ty| ty.element_type == FLOAT);
    if !is_float || order < 1 {
        return Ok(Step::Keep);
    }
    let count: i64 = kernel.iter().product();
    let mut attributes: Vec<_> =
        node.attribute.iter().filter(|attribute| attribute.name != "p").cloned().collect();
    attributes.push(int_attribute("count_include_pad", 1));
    let mut build = Build::of(node, context);
    let size = build.op("Abs", &[input]);
    let exponent = order as f32;
    let powers = raised(&mut build, &size, exponent);
    let mean = build.with("AveragePool", &[&powers], attributes);
    let count = build.scalar(count as f32, FLOAT);
    let sum = build.op("Mul", &[&mean, &count]);
    let result = raised(&mut build, &sum, 1.0 / exponent);
    Ok(build.finish(&[&result]))
}

/// A power of numbers that are not negative.
fn raised(build: &mut Build, value: &str, exponent: f32) -> String {
    let exponent = build.scalar(exponent, FLOAT);
    build.op("Pow", &[value, &exponent])
}
