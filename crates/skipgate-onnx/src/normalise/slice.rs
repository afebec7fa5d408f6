//! `Slice` that goes backwards, which the compiler takes from in front of the first element.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::edit::int_attribute;
use crate::proto::NodeProto;
use crate::shapes::layout::{Cut, cuts};

/// Most elements of an axis, whose places become a constant.
const MAX_EXTENT: usize = 1 << 16;

/// Takes the elements of each axis that is turned round by their places, and cuts the others.
pub(super) fn backwards(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let Some(shape) =
        node.input.first().and_then(|input| context.tensor_type(input)).map(|ty| ty.shape.clone())
    else {
        return Step::Keep;
    };
    if node.op_type != "Slice" {
        return Step::Keep;
    }
    let Ok((cuts, unknown)) = cuts(&context.site(node), &shape) else { return Step::Keep };
    let is_written = |cut: &Cut| cut.step < 0 && (1..=MAX_EXTENT).contains(&cut.count);
    let (turned, others): (Vec<_>, Vec<_>) = cuts.into_iter().partition(is_written);
    if turned.is_empty() || !unknown.is_empty() {
        return Step::Keep;
    }
    let mut build = Build::of(node, context);
    let mut value = node.input[0].clone();
    for cut in turned {
        let places: Vec<_> = (0..signed(cut.count)).map(|number| cut.start + number * cut.step).collect();
        let places = build.ints(&places);
        value = build.with("Gather", &[&value, &places], vec![int_attribute("axis", signed(cut.axis))]);
    }
    if !others.is_empty() {
        let end = |cut: &Cut| cut.start + (signed(cut.count) - 1) * cut.step + 1;
        let lists: [Vec<i64>; 4] = [
            others.iter().map(|cut| cut.start).collect(),
            others.iter().map(end).collect(),
            others.iter().map(|cut| signed(cut.axis)).collect(),
            others.iter().map(|cut| cut.step).collect(),
        ];
        let [starts, ends, axes, steps] = lists.map(|values| build.ints(&values));
        value = build.op("Slice", &[&value, &starts, &ends, &axes, &steps]);
    }
    build.finish(&[&value])
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
