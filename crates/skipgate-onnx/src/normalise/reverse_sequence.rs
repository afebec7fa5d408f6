//! `ReverseSequence` (operator sets 10 and 28), which the compiler fails on.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;

/// Takes each element from where it stood: counted from the end in the part that is turned round.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, lengths] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "ReverseSequence" {
        return Ok(Step::Keep);
    }
    let attributes = Attributes::of(node);
    let axis = |name, default| attributes.int_or(name, default).map_err(|problem| problem.of(node));
    let (batch, time) = (axis("batch_axis", 1)?, axis("time_axis", 0)?);
    let Some(shape) = context.extents(input).filter(|_| (batch, time) == (0, 1) || (batch, time) == (1, 0))
    else {
        return Err(unsupported(node, "its sizes are not known, or its axes are not the first two"));
    };
    let mut build = Build::of(node, context);
    let of_axis = |along: i64| {
        let mut dims = vec![1; shape.len()];
        let place = usize::from(along == 1);
        dims[place] = shape[place];
        dims
    };
    let places: Vec<_> = (0..shape[usize::from(time == 1)]).collect();
    let places = build.int_tensor(&of_axis(time), &places);
    let lengths = build.reshape(lengths, &of_axis(batch));
    let one = build.int_tensor(&[], &[1]);
    let last = build.op("Sub", &[&lengths, &one]);
    let turned = build.op("Sub", &[&last, &places]);
    let is_turned = build.op("Less", &[&places, &lengths]);
    let source = build.op("Where", &[&is_turned, &turned, &places]);
    let shape = build.ints(&shape);
    let source = build.op("Expand", &[&source, &shape]);
    let result = build.with("GatherElements", &[input, &source], vec![int_attribute("axis", time)]);
    Ok(build.finish(&[&result]))
}
