//! `Pow` of integers (operator set 12), which are multiplied: logarithms are not exact.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::proto::NodeProto;
use crate::shapes::TensorType;
use crate::tensor::element_type::{INT32, INT64};

/// Writes powers with whole exponents, which may be floats if they are constant.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let [base, exponent] = &node.input[..] else { return Step::Keep };
    let base_type = context.tensor_type(base).map(|ty| ty.element_type);
    let Some(base_type @ (INT32 | INT64)) = base_type.filter(|_| node.op_type == "Pow") else {
        return Step::Keep;
    };
    let constant = context.value(exponent).and_then(|value| value.floats.as_deref().and_then(whole));
    let shape = context.tensor_type(exponent).and_then(TensorType::static_shape);
    let is_whole = context.is_of(exponent, INT32) || context.is_of(exponent, INT64);
    let mut build = Build::of(node, context);
    let exponent = match constant.zip(shape) {
        _ if is_whole => exponent.clone(),
        Some((whole, shape)) => {
            let dims: Vec<_> = shape.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
            build.int_tensor(&dims, &whole)
        }
        None => return Step::Keep,
    };
    of_integers([base, &exponent], base_type, build)
}

/// Floats as integers, if all of them are whole.
#[expect(clippy::cast_possible_truncation, reason = "they are whole and small")]
fn whole(floats: &[f32]) -> Option<Vec<i64>> {
    let exact = |&value: &f32| (value.fract() == 0.0 && value.abs() < MAX_WHOLE).then_some(value as i64);
    floats.iter().map(exact).collect()
}

/// Floats below this one are whole numbers if they have no fraction.
const MAX_WHOLE: f32 = 16_777_216.0;

/// Exponents from here on take every integer out of its range but those that stay as they are or change their sign.
const LARGE_EXPONENT: i64 = 64;

/// Squares the base and multiplies what belongs to the ones of the exponent, which is exact.
fn of_integers([base, exponent]: [&String; 2], element_type: i32, mut build: Build) -> Step {
    let [zero, one, two] = [0.0, 1.0, 2.0].map(|value| build.scalar(value, element_type));
    let exponent = build.cast(exponent, INT64);
    let size = build.op("Abs", &[&exponent]);
    let [wide_zero, wide_two, large] = [0, 2, LARGE_EXPONENT].map(|value| build.int_tensor(&[], &[value]));
    let parity = build.op("Mod", &[&size, &wide_two]);
    let is_small = build.op("Less", &[&size, &large]);
    let bounded = build.op("Add", &[&large, &parity]);
    let bounded = build.op("Where", &[&is_small, &size, &bounded]);
    let mut rest = build.cast(&bounded, element_type);
    let (mut power, mut square) = (one.clone(), base.clone());
    for _ in 0..=LARGE_EXPONENT.ilog2() {
        let digit = build.op("Mod", &[&rest, &two]);
        let counts = build.op("Equal", &[&digit, &one]);
        let product = build.op("Mul", &[&power, &square]);
        power = build.op("Where", &[&counts, &product, &power]);
        square = build.op("Mul", &[&square, &square]);
        rest = build.op("Div", &[&rest, &two]);
    }
    // What is divided by itself again and again is cut off to nothing, but for ones.
    let falls = build.op("Less", &[&exponent, &wide_zero]);
    let magnitude = build.op("Abs", &[base]);
    let is_one = build.op("Equal", &[&magnitude, &one]);
    let inverse = build.op("Where", &[&is_one, &power, &zero]);
    let result = build.op("Where", &[&falls, &inverse, &power]);
    build.finish(&[&result])
}
