//! `Pow` with several exponents.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::unsupported;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::{FLOAT, INT32, INT64};

/// Writes a power of floats whose exponent is not one constant as one of a base without a sign, since the compiler takes
/// the logarithm of the base: the sign comes from whether the exponent is odd.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [base, exponent] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "Pow" || is_honoured(node, context)? {
        return Ok(Step::Keep);
    }
    let types = [base, exponent].map(|name| context.tensor_type(name).map(|ty| ty.element_type));
    let (Some(FLOAT), Some(FLOAT | INT32 | INT64)) = (types[0], types[1]) else { return Ok(Step::Keep) };
    let mut build = Build::of(node, context);
    let exponent = build.cast(exponent, FLOAT);
    let [zero, one, two, none] = [0.0, 1.0, 2.0, f32::NAN].map(|value| build.scalar(value, FLOAT));
    let size = build.op("Abs", &[base]);
    // The logarithm of zero times zero would be no number.
    let is_nothing = build.op("Equal", &[&size, &zero]);
    let positive = build.op("Where", &[&is_nothing, &one, &size]);
    let logarithm = build.op("Log", &[&positive]);
    let logarithm = build.op("Mul", &[&logarithm, &exponent]);
    let power = build.op("Exp", &[&logarithm]);
    let is_zero_exponent = build.op("Equal", &[&exponent, &zero]);
    let falls = build.op("Less", &[&exponent, &zero]);
    let infinity = build.scalar(f32::INFINITY, FLOAT);
    let of_nothing = build.op("Where", &[&falls, &infinity, &zero]);
    let power = build.op("Where", &[&is_nothing, &of_nothing, &power]);
    let is_one = build.op("Equal", &[&size, &one]);
    let is_one = build.op("Or", &[&is_one, &is_zero_exponent]);
    let power = build.op("Where", &[&is_one, &one, &power]);
    let half = build.op("Div", &[&exponent, &two]);
    let [whole, whole_half] = [&exponent, &half].map(|value| build.op("Floor", &[value]));
    let is_whole = build.op("Equal", &[&exponent, &whole]);
    let is_even = build.op("Equal", &[&half, &whole_half]);
    let negative = build.op("Neg", &[&power]);
    let signed = build.op("Where", &[&is_even, &power, &negative]);
    let signed = build.op("Where", &[&is_whole, &signed, &none]);
    let is_negative = build.op("Less", &[base, &zero]);
    let result = build.op("Where", &[&is_negative, &signed, &power]);
    Ok(build.finish(&[&result]))
}

/// Refuses the powers that are left: of other element types.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    if node.op_type != "Pow" {
        return Ok(());
    }
    if node.input.first().is_some_and(|base| context.is_of(base, INT32) || context.is_of(base, INT64)) {
        return Err(unsupported(
            node,
            "its base is of integers, and its exponents are not known to be whole",
        ));
    }
    if is_honoured(node, context)? {
        return Ok(());
    }
    Err(unsupported(
        node,
        "its exponent is not one constant, with which the compiler gets negative bases wrong",
    ))
}

/// Whether the exponent is one constant, or the base is constant and positive.
fn is_honoured(node: &NodeProto, context: &Context) -> Result<bool, Error> {
    let [base, exponent] = &node.input[..] else { return Ok(true) };
    let exponent = context.constant(exponent).map(tensor::element_count).transpose()?;
    let base = context.constant(base).map(tensor::floats).transpose()?.flatten();
    let is_positive = base.is_some_and(|base| base.iter().all(|value| *value > 0.0));
    Ok(exponent == Some(1) || is_positive)
}
