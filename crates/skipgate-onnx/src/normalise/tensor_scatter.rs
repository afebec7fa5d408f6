//! `TensorScatter` (operator set 24), which the compiler does not know: it writes new elements into a cache, for each batch at
//! a place of its own.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::site::axis;

/// Takes for each place of the cache the new element that goes there, if there is one.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [cache, update, places @ ..] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "TensorScatter" {
        return Ok(Step::Keep);
    }
    let layout = Layout::of(node, [cache, update], context).map_err(|problem| problem.of(node))?;
    let Some(Layout { shape, axis, length, is_circular }) = layout else {
        return Err(unsupported(node, "its sizes or its mode are not known"));
    };
    let (batch, extent) = (shape[0], shape[axis]);
    let mut build = Build::of(node, context);
    let mut along = vec![1; shape.len()];
    along[axis] = extent;
    let all = build.int_tensor(&along, &(0..extent).collect::<Vec<_>>());
    let mut of_each = vec![1; shape.len()];
    of_each[0] = batch;
    let starts = match places.first().filter(|name| !name.is_empty()) {
        Some(starts) => build.reshape(starts, &of_each),
        None => build.int_tensor(&of_each, &vec![0; usize::try_from(batch).unwrap_or_default()]),
    };
    let [zero, extent, count, last] =
        [0, extent, length, length - 1].map(|value| build.int_tensor(&[], &[value]));
    let mut number = build.op("Sub", &[&all, &starts]);
    if is_circular {
        number = build.op("Mod", &[&number, &extent]);
    }
    let has_begun = build.op("GreaterOrEqual", &[&number, &zero]);
    let goes_on = build.op("Less", &[&number, &count]);
    let is_new = build.op("And", &[&has_begun, &goes_on]);
    let new = if length == 1 {
        update.clone()
    } else {
        let number = build.op("Clip", &[&number, &zero, &last]);
        let shape = build.ints(&shape);
        let number = build.op("Expand", &[&number, &shape]);
        let axis = i64::try_from(axis).unwrap_or(i64::MAX);
        build.with("GatherElements", &[update, &number], vec![int_attribute("axis", axis)])
    };
    let result = build.op("Where", &[&is_new, &new, cache]);
    Ok(build.finish(&[&result]))
}

struct Layout {
    /// Dimensions of the cache.
    shape: Vec<i64>,
    axis: usize,
    /// New elements along it.
    length: i64,
    /// Whether what does not fit behind goes to the front.
    is_circular: bool,
}

impl Layout {
    /// `None` for what is not computed.
    fn of(node: &NodeProto, inputs: [&String; 2], context: &Context) -> Result<Option<Self>, NodeProblem> {
        let attributes = Attributes::of(node);
        let is_circular = match attributes.string("mode")?.unwrap_or(b"linear") {
            b"linear" => false,
            b"circular" => true,
            _ => return Ok(None),
        };
        let [Some(shape), Some(update)] = inputs.map(|name| context.extents(name)) else { return Ok(None) };
        let Ok(axis) = axis(attributes.int_or("axis", -2)?, shape.len()) else { return Ok(None) };
        let others_agree = shape.len() == update.len()
            && (0..shape.len()).all(|place| place == axis || shape[place] == update[place]);
        let fits = axis > 0 && others_agree && update[axis] <= shape[axis];
        Ok(fits.then(|| Self { length: update[axis], shape, axis, is_circular }))
    }
}
