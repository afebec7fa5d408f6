//! `QLinearMatMul` of stacks of matrices, which the compiler gets wrong.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, INT32};

/// Writes it as a product of what the integers stand for.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let [a, a_scale, a_zero, b, b_scale, b_zero, scale, zero] = &node.input[..] else { return Step::Keep };
    if node.op_type != "QLinearMatMul" {
        return Step::Keep;
    }
    let types = [a, b, a_scale, b_scale, scale].map(|name| context.tensor_type(name).cloned());
    let [Some(a_type), Some(b_type), Some(a_scales), Some(b_scales), Some(scales)] = types else {
        return Step::Keep;
    };
    let is_single = [a_scales, b_scales, scales].iter().all(|ty| ty.elements() == Some(1));
    // Sums of more products than these are not exact in 32-bit floats.
    let is_short = a_type.shape.last().copied().flatten().is_some_and(|length| length <= 256);
    if a_type.shape.len().max(b_type.shape.len()) <= 2 || !is_single || !is_short {
        return Step::Keep;
    }
    let Some(result_type) = context.tensor_type(zero).map(|ty| ty.element_type) else { return Step::Keep };
    let bounds =
        if result_type == crate::tensor::element_type::INT8 { [-128.0, 127.0] } else { [0.0, 255.0] };
    let mut build = Build::of(node, context);
    let [a, b] = [(a, a_zero), (b, b_zero)].map(|(value, zero)| {
        let [value, zero] = [value, zero].map(|name| build.cast(name, FLOAT));
        build.op("Sub", &[&value, &zero])
    });
    let sum = build.op("MatMul", &[&a, &b]);
    let [a_scale, b_scale, scale, zero] = [a_scale, b_scale, scale, zero].map(|name| build.cast(name, FLOAT));
    let scaled = build.op("Mul", &[&a_scale, &b_scale]);
    let scaled = build.op("Div", &[&scaled, &scale]);
    let scaled = build.op("Mul", &[&sum, &scaled]);
    let rounded = build.op("Round", &[&scaled]);
    let moved = build.op("Add", &[&rounded, &zero]);
    let [least, most] = bounds.map(|bound| build.scalar(bound, FLOAT));
    let held = build.op("Clip", &[&moved, &least, &most]);
    let whole = build.cast(&held, INT32);
    let result = build.cast(&whole, result_type);
    build.finish(&[&result])
}
