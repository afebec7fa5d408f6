//! Computed indices that may be outside of their axis.

use super::bounds::bounds;
use super::inputs::read_input;
use super::{Places, Producers, signed};
use crate::error::Error;
use crate::metadata::{self, LIMITED_KEY};
use crate::normalise::Step;
use crate::normalise::body::Body;
use crate::normalise::build::Build;
use crate::normalise::context::Context;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::INT64;

/// Limits indices to what they choose from, and notes so in the node, for those who compile it to be told.
pub(in crate::normalise) fn rewrite(
    node: &NodeProto,
    body: &mut Body,
    context: &mut Context,
) -> Result<Step, Error> {
    let Some(places) = Places::of(node, context)? else { return Ok(Step::Keep) };
    let Some(extents) = places.extents.iter().copied().collect::<Option<Vec<_>>>() else {
        // Known once the batch has a size, which it has when the network is compiled.
        return Ok(Step::Keep);
    };
    // What this round has made has a type in the next one.
    let is_typed = context.tensor_type(places.indices).is_some();
    if !is_typed || extents.contains(&0) || is_safe(&places, &|name| body.producer(name), context)? {
        return Ok(Step::Keep);
    }
    let indices = places.indices;
    let is_wide = context.is_of(indices, INT64);
    let mut build = Build::of(node, context);
    let dims: &[i64] = if extents.len() == 1 { &[] } else { &[signed(extents.len())] };
    let [least, most] = [|extent: i64| -extent, |extent: i64| extent - 1].map(|limit| {
        let limits: Vec<_> = extents.iter().map(|&extent| limit(signed(extent))).collect();
        build.int_tensor(dims, &limits)
    });
    let wide = if is_wide { indices.to_owned() } else { build.cast(indices, INT64) };
    let raised = build.op("Max", &[&wide, &least]);
    let limited = build.op("Min", &[&raised, &most]);
    let mut node = node.clone();
    node.input[1] = limited;
    metadata::note(&mut node, LIMITED_KEY);
    build.push(node);
    Ok(build.into_step())
}

/// Whether no index can be outside.
pub(super) fn is_safe(places: &Places, producers: &Producers, context: &Context) -> Result<bool, Error> {
    if context.weight(places.indices).is_some() || read_input(places.indices, producers, context).is_some() {
        return Ok(true);
    }
    let Some(fewest) = places.fewest() else { return Ok(false) };
    let bounds = bounds(places.indices, producers, context)?;
    let is_inside = -fewest <= *bounds.start() && *bounds.end() < fewest;
    Ok(is_inside || is_limited(places, producers, context)?)
}

/// Whether the indices are what [`rewrite`] makes of others, with limits of its own for each number in the last dimension.
fn is_limited(places: &Places, producers: &Producers, context: &Context) -> Result<bool, Error> {
    let made_by = |name: &str, op_type: &str| producers(name).filter(|node| node.op_type == op_type);
    let limits = || {
        let most = made_by(places.indices, "Min")?;
        let least = made_by(&most.input[0], "Max")?;
        Some([least.input.get(1)?, most.input.get(1)?])
    };
    let Some(limits) = limits() else { return Ok(false) };
    for limit in limits {
        let numbers = context.weight(limit).map(tensor::integers).transpose()?.flatten();
        let Some(numbers) = numbers.filter(|numbers| numbers.len() == places.extents.len()) else {
            return Ok(false);
        };
        let mut each = numbers.iter().enumerate();
        if !each.all(|(place, &number)| places.has(place, number) == Some(true)) {
            return Ok(false);
        }
    }
    Ok(true)
}
