//! `CenterCropPad`, which the compiler does not know.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::site::axis;

/// Writes it as a `Slice` and a `Pad`.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, shape] = &node.input[..] else { return Ok(Step::Keep) };
    let Some(ty) = context.tensor_type(input).cloned().filter(|_| node.op_type == "CenterCropPad") else {
        return Ok(Step::Keep);
    };
    let wanted =
        context.value(shape).and_then(|value| value.ints.clone()?.into_iter().collect::<Option<Vec<_>>>());
    let Some(wanted) = wanted else {
        return Err(unsupported(node, "the size of its result is not constant"));
    };
    let rank = ty.shape.len();
    let axes = Attributes::of(node).ints("axes").map_err(|problem| problem.of(node))?.map(<[i64]>::to_vec);
    let axes = axes.unwrap_or_else(|| (0..).take(rank).collect());
    let mut starts = Vec::new();
    let mut ends = Vec::new();
    let mut pads = vec![0; 2 * rank];
    for (&along, &wanted) in axes.iter().zip(&wanted) {
        let along = axis(along, rank).ok();
        let Some((along, extent)) =
            along.and_then(|along| Some((along, i64::try_from(ty.shape[along]?).ok()?)))
        else {
            return Err(unsupported(node, "the size of its input is not known"));
        };
        // What is odd is taken from the end and added to it.
        let less = (extent - wanted).max(0);
        starts.push(less / 2);
        ends.push(less / 2 + extent.min(wanted));
        let more = (wanted - extent).max(0);
        (pads[along], pads[rank + along]) = (more / 2, more - more / 2);
    }
    let mut build = Build::of(node, context);
    let [starts, ends, axes, pads] = [starts, ends, axes, pads].map(|list| build.ints(&list));
    let cropped = build.op("Slice", &[input, &starts, &ends, &axes]);
    let result = build.op("Pad", &[&cropped, &pads]);
    Ok(build.finish(&[&result]))
}
