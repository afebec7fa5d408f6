//! `Mod` of floats with the sign of the divisor, where the compiler loses the sign of zero, and of 16-bit floats, where it
//! divides and multiplies again in as few bits.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, FLOAT16};

/// Takes the remainder of 16-bit floats as 32-bit ones, which is exact. With the sign of the divisor, takes it with that of
/// the dividend and corrects it.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [dividend, divisor] = &node.input[..] else { return Ok(Step::Keep) };
    let truncates = Attributes::of(node).flag("fmod").map_err(|problem| problem.of(node))?;
    let element_type = context.tensor_type(dividend).map(|ty| ty.element_type);
    let Some(element_type @ (FLOAT | FLOAT16)) = element_type.filter(|_| node.op_type == "Mod") else {
        return Ok(Step::Keep);
    };
    let mut build = Build::of(node, context);
    if element_type == FLOAT16 {
        let [dividend, divisor] = [dividend, divisor].map(|value| build.cast(value, FLOAT));
        let truncates = int_attribute("fmod", i64::from(truncates));
        let rest = build.with("Mod", &[&dividend, &divisor], vec![truncates]);
        let result = build.cast(&rest, FLOAT16);
        return Ok(build.finish(&[&result]));
    }
    if truncates {
        return Ok(Step::Keep);
    }
    let zero = build.scalar(0.0, element_type);
    let rest = build.with("Mod", &[dividend, divisor], vec![int_attribute("fmod", 1)]);
    // A number is its own rest by an infinite divisor; the compiler divides and multiplies, which gives no number.
    let [dividend_is_infinite, divisor_is_infinite] =
        [dividend, divisor].map(|value| build.op("IsInf", &[value]));
    let dividend_is_finite = build.op("Not", &[&dividend_is_infinite]);
    let is_own_rest = build.op("And", &[&divisor_is_infinite, &dividend_is_finite]);
    let rest = build.op("Where", &[&is_own_rest, dividend, &rest]);
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
