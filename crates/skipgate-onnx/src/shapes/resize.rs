//! `Resize`, and `Upsample` before it: how many elements each dimension has afterwards, and by what it grows.

use super::TensorType;
use super::site::{Dim, Inferred, Site, Stop, axis, extent, shape_problem, show};
use crate::error::NodeProblem;

/// The input of `Upsample` and of the operator before set 11; it is an attribute before set 9.
const EARLY_SCALES: usize = 1;
/// Inputs of the operator from operator set 11 on.
const SCALES: usize = 2;
pub(crate) const SIZES: usize = 3;

/// What happens to one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) axis: usize,
    pub(crate) input: usize,
    pub(crate) output: usize,
    /// Elements of the result for each of the input.
    pub(crate) scale: f32,
    /// Where the part of the input begins and ends that is taken, from 0 for the first element to 1 for the last one.
    pub(crate) region: [f32; 2],
}

/// The whole input.
pub(crate) const WHOLE: [f32; 2] = [0.0, 1.0];

/// The type of the result.
pub(super) fn output(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let mut shape = data.shape.clone();
    if let Some(sizes) = plain_sizes(site)? {
        // Each size is known on its own, whether the input's are or not.
        if sizes.len() != shape.len() {
            return Err(shape_problem(format!("{} sizes", shape.len()), sizes.len().to_string()));
        }
        shape = sizes
            .iter()
            .map(|size| size.map(|size| extent(size.into())).transpose())
            .collect::<Inferred<_>>()?;
    } else {
        for Stretch { axis, output, .. } in stretches(site)? {
            shape[axis] = Some(output);
        }
    }
    Ok(TensorType { element_type: data.element_type, shape })
}

/// Sizes for all dimensions that are taken as they are.
fn plain_sizes<'v>(site: &Site<'v>) -> Inferred<Option<&'v [Option<i64>]>> {
    let stretches = keeps_aspect(site)?.is_none() && !site.attributes.has("axes");
    if stretches && site.has_input(SIZES) { site.ints(SIZES).map(Some) } else { Ok(None) }
}

/// Which of two scales decides on the other.
type Decide = fn(f32, f32) -> f32;

/// How the scale of all axes follows from those of each, if they keep their ratio.
fn keeps_aspect(site: &Site) -> Inferred<Option<Decide>> {
    Ok(match site.attributes.string("keep_aspect_ratio_policy")? {
        None | Some(b"stretch") => None,
        Some(b"not_larger") => Some(f32::min),
        Some(b"not_smaller") => Some(f32::max),
        Some(_) => {
            let expected = "`stretch`, `not_larger` or `not_smaller`";
            return Err(NodeProblem::Attribute { name: "keep_aspect_ratio_policy", expected }.into());
        }
    })
}

/// What happens to the dimensions that are named, or to all. Those of which nothing changes are among them.
pub(crate) fn stretches(site: &Site) -> Inferred<Vec<Stretch>> {
    let shape = &site.input(0)?.shape;
    let axes: Vec<_> = match site.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&index| axis(index, shape.len())).collect::<Inferred<_>>()?,
        None => (0..shape.len()).collect(),
    };
    let given = |found: usize| {
        let expected = format!("a number for each of {} dimensions of {}", axes.len(), show(shape));
        if found == axes.len() { Ok(()) } else { Err(shape_problem(expected, found.to_string())) }
    };
    if site.has_input(SIZES) {
        let sizes = site.known_ints(SIZES)?;
        given(sizes.len())?;
        return by_sizes(site, shape, &axes, &sizes);
    }
    let scales = scales(site)?;
    given(scales.len())?;
    axes.iter().zip(scales).filter_map(|(&axis, &scale)| by_scale(shape, axis, scale).transpose()).collect()
}

fn scales<'v>(site: &Site<'v>) -> Inferred<&'v [f32]> {
    if let Some(scales) = site.attributes.floats("scales")? {
        return Ok(scales);
    }
    site.floats(if site.input_count() <= SCALES { EARLY_SCALES } else { SCALES })
}

/// `None` for a dimension that is not known and does not change.
#[expect(clippy::float_cmp, reason = "a scale of 1 is exact")]
fn by_scale(shape: &[Dim], axis: usize, scale: f32) -> Inferred<Option<Stretch>> {
    let Some(input) = shape[axis] else {
        return if scale == 1.0 { Ok(None) } else { Err(Stop::Unknown) };
    };
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(shape_problem("scales above 0", scale.to_string()));
    }
    let output = rounded((as_float(input) * scale).floor())?;
    Ok(Some(Stretch { axis, input, output, scale, region: WHOLE }))
}

fn by_sizes(site: &Site, shape: &[Dim], axes: &[usize], sizes: &[i64]) -> Inferred<Vec<Stretch>> {
    let known = |axis: usize| shape[axis].filter(|&input| input > 0).ok_or(Stop::Unknown);
    let mut stretches = Vec::new();
    for (&axis, &size) in axes.iter().zip(sizes) {
        let (input, output) = (known(axis)?, extent(size.into())?);
        stretches.push(Stretch { axis, input, output, scale: ratio(output, input), region: WHOLE });
    }
    if let Some(decide) = keeps_aspect(site)? {
        let scale = stretches.iter().map(|stretch| stretch.scale).reduce(decide).unwrap_or(1.0);
        for stretch in &mut stretches {
            stretch.scale = scale;
            stretch.output = rounded((scale * as_float(stretch.input)).round())?;
        }
    }
    Ok(stretches)
}

/// A scale from sizes.
fn ratio(output: usize, input: usize) -> f32 {
    as_float(output) / as_float(input)
}

#[expect(clippy::cast_precision_loss, reason = "engines compute sizes and scales in single precision")]
fn as_float(size: usize) -> f32 {
    size as f32
}

#[expect(clippy::cast_possible_truncation, reason = "it is checked")]
fn rounded(size: f32) -> Inferred<usize> {
    if size.abs() < 2f32.powi(53) { extent(size as i128) } else { Err(NodeProblem::TooLarge.into()) }
}
