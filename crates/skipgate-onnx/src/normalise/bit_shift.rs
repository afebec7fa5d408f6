//! `BitShift` by as many bits as there are, more, or a negative number. ONNX's reference shifts all bits out then; what the
//! compiler's instructions do depends on the processor.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::{INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64};

/// Limits the shift to numbers that every processor agrees about. To the right, all bits are copies of the sign once all others
/// are out; to the left they are zero.
pub(super) fn rewrite(node: &NodeProto, body: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [value, amount] = &node.input[..] else { return Ok(Step::Keep) };
    let element_type = context.tensor_type(value).map(|ty| ty.element_type);
    let Some((element_type, bits)) =
        element_type.filter(|_| node.op_type == "BitShift").and_then(|ty| Some((ty, width(ty)?)))
    else {
        return Ok(Step::Keep);
    };
    if is_constant_in_range(context, amount, bits)? || is_limited(body, context, amount, bits)? {
        return Ok(Step::Keep);
    }
    let direction = Attributes::of(node).string("direction").map_err(|problem| problem.of(node))?;
    let goes_left = direction == Some(b"LEFT");
    let mut build = Build::of(node, context);
    let wide = build.cast(amount, INT64);
    let [zero, most] = [0, bits - 1].map(|number| build.int_tensor(&[], &[number]));
    let is_below = build.op("Less", &[&wide, &zero]);
    let is_above = build.op("Greater", &[&wide, &most]);
    let is_outside = build.op("Or", &[&is_below, &is_above]);
    let wide = build.op("Where", &[&is_outside, &most, &wide]);
    let wide = build.op("Max", &[&wide, &zero]);
    let wide = build.op("Min", &[&wide, &most]);
    let limited = build.cast(&wide, element_type);
    let shifted = build.with("BitShift", &[value, &limited], node.attribute.clone());
    if !goes_left {
        return Ok(build.finish(&[&shifted]));
    }
    let nothing = build.cast(&zero, element_type);
    let result = build.op("Where", &[&is_outside, &nothing, &shifted]);
    Ok(build.finish(&[&result]))
}

/// The bits of an element type of integers.
fn width(element_type: i32) -> Option<i64> {
    match element_type {
        INT8 | UINT8 => Some(8),
        INT16 | UINT16 => Some(16),
        INT32 | UINT32 => Some(32),
        INT64 | UINT64 => Some(64),
        _ => None,
    }
}

fn is_constant_in_range(context: &Context, name: &str, bits: i64) -> Result<bool, Error> {
    let numbers = context.weight(name).map(tensor::integers).transpose()?.flatten();
    Ok(numbers.is_some_and(|numbers| numbers.iter().all(|number| (0..bits).contains(number))))
}

/// Whether `amount` is what [`rewrite`] made of another one.
fn is_limited(body: &Body, context: &Context, amount: &str, bits: i64) -> Result<bool, Error> {
    let made_by = |name: &str, op_type: &str| body.producer(name).filter(|node| node.op_type == op_type);
    let limits = || {
        let most = made_by(&made_by(amount, "Cast")?.input[0], "Min")?;
        let least = made_by(&most.input[0], "Max")?;
        Some([least.input.get(1)?.clone(), most.input.get(1)?.clone()])
    };
    let Some([least, most]) = limits() else { return Ok(false) };
    Ok(is_constant_in_range(context, &least, bits)? && is_constant_in_range(context, &most, bits)?)
}
