//! `Range` of 16-bit floats (operator set 27), which the compiler does not translate.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, FLOAT16};

/// Counts in 32-bit floats, as ONNX defines it.
pub(super) fn widen(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    if node.op_type != "Range" || node.input.len() != 3 || !context.is_of(&node.input[0], FLOAT16) {
        return Step::Keep;
    }
    let mut build = Build::of(node, context);
    let bounds: Vec<_> = node.input.iter().map(|bound| build.cast(bound, FLOAT)).collect();
    let bounds: Vec<_> = bounds.iter().map(String::as_str).collect();
    let wide = build.op("Range", &bounds);
    let result = build.cast(&wide, FLOAT16);
    build.finish(&[&result])
}
