//! `AffineGrid`, which the compiler does not know.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

/// Most places of a grid, which become a constant.
const MAX_PLACES: i64 = 1 << 22;

/// Writes it as a product of the places of the grid with the matrices.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [theta, size] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "AffineGrid" {
        return Ok(Step::Keep);
    }
    if context.tensor_type(theta).is_none_or(|theta| theta.element_type != FLOAT) {
        return Err(unsupported(node, "its input is not known to be of 32-bit floats"));
    }
    let size =
        context.value(size).and_then(|value| value.ints.clone()?.into_iter().collect::<Option<Vec<_>>>());
    let Some(&[batch, _, ref extents @ ..]) = size.as_deref() else {
        return Err(unsupported(node, "the size of its grid is not constant"));
    };
    let places = extents.iter().try_fold(1i64, |product, extent| product.checked_mul(*extent));
    let Some(places) = places.filter(|places| (1..=MAX_PLACES).contains(places)) else {
        return Err(unsupported(node, "its grid is too large"));
    };
    let corners = Attributes::of(node).flag("align_corners").map_err(|problem| problem.of(node))?;
    let grid = places_of(extents, corners);
    let dimensions = i64::try_from(extents.len()).unwrap_or(i64::MAX);
    let mut build = Build::of(node, context);
    let grid = build.floats(&[1, places, dimensions + 1], &grid, FLOAT);
    let matrices = build.transpose(theta, &[0, 2, 1]);
    let moved = build.op("MatMul", &[&grid, &matrices]);
    let shape: Vec<_> = [batch].into_iter().chain(extents.iter().copied()).chain([dimensions]).collect();
    let result = build.reshape(&moved, &shape);
    Ok(build.finish(&[&result]))
}

/// The places of a grid of `extents` from -1 to 1, the last dimension first, with a one behind each.
fn places_of(extents: &[i64], corners: bool) -> Vec<f32> {
    let at = |place: i64, extent: i64| {
        let (place, extent) = (place as f32, extent as f32);
        if !corners {
            return (2.0 * place + 1.0) / extent - 1.0;
        }
        if extent > 1.0 { 2.0 * place / (extent - 1.0) - 1.0 } else { -1.0 }
    };
    let mut all: Vec<Vec<f32>> = vec![vec![1.0]];
    for &extent in extents {
        let places = |rest: &Vec<f32>| {
            let rest = rest.clone();
            (0..extent).map(move |place| [vec![at(place, extent)], rest.clone()].concat())
        };
        all = all.iter().flat_map(places).collect();
    }
    all.concat()
}
