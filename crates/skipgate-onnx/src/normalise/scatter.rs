//! `ScatterElements` that keeps the largest or the smallest (operator set 18), which the compiler does not translate.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::site::axis;

/// Most updates along the axis, which are made one by one.
const MAX_UPDATES: i64 = 64;

/// Makes one update of each row at a time: among those, no two are of one element.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [data, indices, updates] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "ScatterElements" {
        return Ok(Step::Keep);
    }
    let attributes = Attributes::of(node);
    let combine = match attributes.string("reduction").map_err(|problem| problem.of(node))? {
        Some(b"max") => "Max",
        Some(b"min") => "Min",
        _ => return Ok(Step::Keep),
    };
    let along = attributes.int_or("axis", 0).map_err(|problem| problem.of(node))?;
    let shape = context.extents(indices);
    let along = shape.as_ref().and_then(|shape| axis(along, shape.len()).ok());
    let Some((shape, along)) = shape.zip(along).filter(|(shape, along)| shape[*along] <= MAX_UPDATES) else {
        return Err(unsupported(
            node,
            "it keeps the largest or smallest of too many, or of a shape that is not known",
        ));
    };
    let axis = i64::try_from(along).unwrap_or(i64::MAX);
    let mut build = Build::of(node, context);
    let mut value = data.clone();
    for number in 0..shape[along] {
        let [indices, updates] = [indices, updates].map(|each| build.slice(each, axis, number, number + 1));
        let before = build.with("GatherElements", &[&value, &indices], vec![int_attribute("axis", axis)]);
        let after = build.op(combine, &[&before, &updates]);
        value = build.with("ScatterElements", &[&value, &indices, &after], vec![int_attribute("axis", axis)]);
    }
    Ok(build.finish(&[&value]))
}
