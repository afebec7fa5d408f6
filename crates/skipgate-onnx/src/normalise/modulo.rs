//! `Mod` of floats with the sign of the divisor, where the compiler loses the sign of zero.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, FLOAT16};

/// Takes the remainder with the sign of the dividend, and corrects it.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [dividend, divisor] = &node.input[..] else { return Ok(Step::Keep) };
    let truncates = Attributes::of(node).flag("fmod").map_err(|problem| problem.of(node))?;
    let element_type = context.tensor_type(dividend).map(|ty| ty.element_type);
    let Some(element_type @ (FLOAT | FLOAT16)) = element_type.filter(|_| node.op_type == "Mod" && !truncates)
    else {
        return Ok(Step::Keep);
    };
    let mut build = Build::of(node, context);
    let zero = build.scalar(0.0, element_type);
    let rest = build.with("Mod", &[dividend, divisor], vec![int_attribute("fmod", 1)]);
    let [is_below, divisor_is_below] = [&rest, divisor].map(|value| build.op("Less", &[value, &zero]));
    let differs = build.op("Xor", &[&is_below, &divisor_is_below]);
    let moved = build.op("Add", &[&rest, divisor]);
    let moved = build.op("Where", &[&differs, &moved, &rest]);
    // Zero has the sign of the divisor.
    let nothing = build.op("Mul", &[divisor, &zero]);
    let is_nothing = build.op("Equal", &[&rest, &zero]);
    let result = build.op("Where", &[&is_nothing, &nothing, &moved]);
    Ok(build.finish(&[&result]))
}
