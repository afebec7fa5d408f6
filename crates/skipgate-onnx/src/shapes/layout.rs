//! Operators that move elements without computing on them.

use super::TensorType;
use super::elementwise::broadcast;
use super::site::{Dim, Inferred, Site, Stop, axis, extent, int64, product, shape_problem, show, wide};
use crate::error::NodeProblem;
use crate::tensor::MAX_RANK;
use crate::tensor::element_type::FLOAT;

fn same_type(data: &TensorType, shape: Vec<Dim>) -> TensorType {
    TensorType { element_type: data.element_type, shape }
}

/// A dimension given as an integer of 0 or more.
fn dim(value: i64) -> Inferred<usize> {
    extent(value.into())
}

pub(super) fn flatten(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let rank = data.shape.len();
    let at = site.attributes.int_or("axis", 1)?;
    // Flattening may split after the last dimension, which is no axis.
    let at = if usize::try_from(at) == Ok(rank) { rank } else { axis(at, rank)? };
    let (outer, inner) = data.shape.split_at(at);
    Ok(same_type(data, vec![product(outer)?, product(inner)?]))
}

pub(super) fn reshape(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let Ok(wanted) = site.ints(1) else {
        // Even where the contents are unknown, their number is the rank.
        let [Some(rank)] = site.input(1)?.shape[..] else { return Err(Stop::Unknown) };
        return if rank <= MAX_RANK { Ok(same_type(data, vec![None; rank])) } else { Err(Stop::Unknown) };
    };
    let copies_zero = !site.attributes.flag("allowzero")?;
    let mismatch = || shape_problem(format!("the elements of {}", show(&data.shape)), format!("{wanted:?}"));
    let (mut shape, mut inferred) = (Vec::new(), None);
    let mut rest: Vec<_> = data.shape.iter().copied().map(Some).collect();
    for (i, value) in wanted.iter().enumerate() {
        shape.push(match value {
            Some(0) if copies_zero => rest.get_mut(i).and_then(Option::take).ok_or_else(mismatch)?,
            Some(-1) if inferred.replace(i).is_some() => return Err(mismatch()),
            Some(-1) | None => None,
            Some(value) => Some(dim(*value)?),
        });
    }
    let copied = |i: usize| wanted[i] == Some(0) && copies_zero;
    let others: Vec<_> =
        (0..shape.len()).filter(|i| Some(*i) != inferred && !copied(*i)).map(|i| shape[i]).collect();
    let rest: Vec<_> = rest.into_iter().flatten().collect();
    match (product(&rest)?, product(&others)?, inferred) {
        (Some(total), Some(0), Some(_)) if total != 0 => return Err(mismatch()),
        (Some(_), Some(0), Some(i)) => shape[i] = Some(0),
        (Some(total), Some(given), Some(_)) if total % given != 0 => return Err(mismatch()),
        (Some(total), Some(given), Some(i)) => shape[i] = Some(total / given),
        (Some(total), Some(given), None) if total != given => return Err(mismatch()),
        _ => (),
    }
    Ok(same_type(data, shape))
}

/// The permutation of a `Transpose`, checked.
pub(crate) fn permutation(site: &Site, rank: usize) -> Inferred<Vec<usize>> {
    let Some(perm) = site.attributes.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let perm: Vec<_> = perm.iter().map(|&p| axis(p, rank)).collect::<Inferred<_>>()?;
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(shape_problem(format!("a permutation of {rank} dimensions"), format!("{perm:?}")));
    }
    Ok(perm)
}

pub(super) fn transpose(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let perm = permutation(site, data.shape.len())?;
    Ok(same_type(data, perm.into_iter().map(|p| data.shape[p]).collect()))
}

pub(super) fn squeeze(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let rank = data.shape.len();
    let squeezed: Vec<usize> = match site.input_or_attribute(1, "axes")? {
        Some(axes) => axes.iter().map(|&a| axis(a, rank)).collect::<Inferred<_>>()?,
        None if data.static_shape().is_none() => return Err(Stop::Unknown),
        None => (0..rank).filter(|&i| data.shape[i] == Some(1)).collect(),
    };
    if squeezed.iter().any(|&i| data.shape[i].is_some_and(|dim| dim != 1)) {
        return Err(shape_problem(format!("1 along the axes {squeezed:?}"), show(&data.shape)));
    }
    Ok(same_type(data, (0..rank).filter(|i| !squeezed.contains(i)).map(|i| data.shape[i]).collect()))
}

pub(super) fn unsqueeze(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let name = "axes";
    let axes = site.input_or_attribute(1, name)?.ok_or(NodeProblem::MissingAttribute { name })?;
    if axes.len() > MAX_RANK {
        return Err(NodeProblem::TooLarge.into());
    }
    let rank = data.shape.len() + axes.len();
    let new: Vec<_> = axes.iter().map(|&a| axis(a, rank)).collect::<Inferred<_>>()?;
    let mut old = data.shape.iter().copied();
    // With a repeated axis there are fewer new dimensions than places.
    let shape: Option<Vec<_>> =
        (0..rank).map(|i| if new.contains(&i) { Some(Some(1)) } else { old.next() }).collect();
    let repeated = || shape_problem("distinct axes", format!("{axes:?}"));
    shape.map(|shape| same_type(data, shape)).ok_or_else(repeated)
}

pub(super) fn concat(site: &Site) -> Inferred<TensorType> {
    let first = site.input(0)?;
    let name = "axis";
    let along = site.attributes.int(name)?.ok_or(NodeProblem::MissingAttribute { name })?;
    let along = axis(along, first.shape.len())?;
    let mut shape = first.shape.clone();
    for index in 1..site.input_count() {
        let other = &site.input(index)?.shape;
        if other.len() != shape.len() {
            return Err(shape_problem(format!("tensors like {}", show(&first.shape)), show(other)));
        }
        for (i, dim) in shape.iter_mut().enumerate() {
            *dim = match (*dim, other[i]) {
                (Some(a), Some(b)) if i == along => Some(a.checked_add(b).ok_or(NodeProblem::TooLarge)?),
                _ if i == along => None,
                (Some(a), Some(b)) if a != b => {
                    return Err(shape_problem(format!("tensors like {}", show(&first.shape)), show(other)));
                }
                (a, b) => a.or(b),
            };
        }
    }
    Ok(same_type(first, shape))
}

pub(super) fn split(site: &Site) -> Inferred<Vec<TensorType>> {
    let data = site.input(0)?;
    let along = axis(site.attributes.int_or("axis", 0)?, data.shape.len())?;
    let parts = site.output_count();
    let sizes = match site.input_or_attribute(1, "split")? {
        Some(sizes) if sizes.len() != parts => {
            return Err(shape_problem(format!("{parts} sizes"), format!("{sizes:?}")));
        }
        Some(sizes) => {
            let sum = sizes.iter().try_fold(0i64, |sum, &size| sum.checked_add(size));
            if data.shape[along].is_some_and(|total| sum.is_none_or(|sum| i128::from(sum) != wide(total))) {
                let expected = format!("sizes that add up to those of axis {along} of {}", show(&data.shape));
                return Err(shape_problem(expected, format!("{sizes:?}")));
            }
            sizes.into_iter().map(|size| dim(size).map(Some)).collect::<Inferred<Vec<_>>>()?
        }
        None if site
            .attributes
            .int("num_outputs")?
            .is_some_and(|count| usize::try_from(count) != Ok(parts)) =>
        {
            return Err(
                NodeProblem::Attribute { name: "num_outputs", expected: "the number of outputs" }.into()
            );
        }
        None if parts == 0 => Vec::new(),
        None => match data.shape[along] {
            // The last part is smaller where the division leaves a remainder.
            Some(total) => {
                let largest = total.div_ceil(parts);
                (0..parts)
                    .map(|i| Some(largest.min(total.saturating_sub(i.saturating_mul(largest)))))
                    .collect()
            }
            None => vec![None; parts],
        },
    };
    let part = |size: Dim| {
        let mut shape = data.shape.clone();
        shape[along] = size;
        same_type(data, shape)
    };
    Ok(sizes.into_iter().map(part).collect())
}

/// What `Slice` takes of one dimension.
pub(crate) struct Cut {
    pub(crate) axis: usize,
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) count: usize,
}

/// The cuts of a `Slice`; for a dimension of unknown extent there is no cut but its axis in the second list.
pub(crate) fn cuts(site: &Site, shape: &[Dim]) -> Inferred<(Vec<Cut>, Vec<usize>)> {
    let (starts, ends) = (required(site, 1, "starts")?, required(site, 2, "ends")?);
    let default_axes = || (0i64..).take(starts.len()).collect();
    let axes = site.input_or_attribute(3, "axes")?.unwrap_or_else(default_axes);
    let steps = if site.has_input(4) { site.known_ints(4)? } else { vec![1; starts.len()] };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(shape_problem("as many starts as ends, axes and steps", format!("{}", starts.len())));
    }
    let (mut cuts, mut unknown) = (Vec::new(), Vec::new());
    for i in 0..starts.len() {
        let along = axis(axes[i], shape.len())?;
        match shape[along] {
            Some(extent) => cuts.push(cut(along, extent, starts[i], ends[i], steps[i])?),
            None => unknown.push(along),
        }
    }
    Ok((cuts, unknown))
}

fn cut(axis: usize, extent: usize, start: i64, end: i64, step: i64) -> Inferred<Cut> {
    let length = i64::try_from(extent).map_err(|_| NodeProblem::TooLarge)?;
    if step == 0 {
        return Err(shape_problem("a step other than 0", "0"));
    }
    let from_front = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    // A backward slice may begin at the last element and end before the first one.
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let start = from_front(start).clamp(low.max(0), high.max(0));
    let end = from_front(end).clamp(low, high);
    let (span, step_wide) = (i128::from(end) - i128::from(start), i128::from(step));
    let count = if (span > 0) == (step > 0) && extent > 0 {
        (span.abs() + step_wide.abs() - 1) / step_wide.abs()
    } else {
        0
    };
    Ok(Cut { axis, start, step, count: super::site::extent(count)? })
}

pub(super) fn slice(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let mut shape = data.shape.clone();
    match cuts(site, &data.shape) {
        Ok((cuts, unknown)) => {
            for cut in cuts {
                shape[cut.axis] = Some(cut.count);
            }
            for axis in unknown {
                shape[axis] = None;
            }
        }
        Err(Stop::Unknown) => shape.fill(None),
        Err(stop) => return Err(stop),
    }
    Ok(same_type(data, shape))
}

/// Integers that are an input, or an attribute in early operator sets, and in any case there.
fn required(site: &Site, index: usize, name: &'static str) -> Inferred<Vec<i64>> {
    let given = site.input_or_attribute(index, name)?;
    given.ok_or_else(|| NodeProblem::MissingInput { index }.into())
}

/// What `Pad` adds to one dimension, or takes from it where it is negative.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Padding {
    pub(crate) axis: usize,
    /// Elements without the padding.
    pub(crate) extent: Dim,
    pub(crate) before: i64,
    pub(crate) after: i64,
}

/// The padding of each dimension that the node names, or of all.
pub(crate) fn paddings(site: &Site) -> Inferred<Vec<Padding>> {
    let shape = &site.input(0)?.shape;
    let rank = shape.len();
    let pads = required(site, 1, "pads")?;
    let axes: Vec<_> = if site.has_input(3) {
        site.known_ints(3)?.into_iter().map(|a| axis(a, rank)).collect::<Inferred<_>>()?
    } else {
        (0..rank).collect()
    };
    if pads.len() != 2 * axes.len() {
        return Err(shape_problem(format!("{} pads", 2 * axes.len()), pads.len().to_string()));
    }
    let of = |(i, &axis): (usize, &usize)| Padding {
        axis,
        extent: shape[axis],
        before: pads[i],
        after: pads[i + axes.len()],
    };
    Ok(axes.iter().enumerate().map(of).collect())
}

pub(super) fn pad(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let Some(paddings) = known(paddings(site))? else {
        return Ok(same_type(data, vec![None; data.shape.len()]));
    };
    let mut shape = data.shape.clone();
    for Padding { axis, before, after, .. } in paddings {
        if let Some(old) = shape[axis] {
            shape[axis] = Some(extent(wide(old) + i128::from(before) + i128::from(after))?);
        }
    }
    Ok(same_type(data, shape))
}

/// Turns "not known" into `None` and passes problems on.
fn known<T>(result: Inferred<T>) -> Inferred<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Unknown) => Ok(None),
        Err(stop) => Err(stop),
    }
}

pub(super) fn gather(site: &Site) -> Inferred<TensorType> {
    let (data, indices) = (site.input(0)?, site.input(1)?);
    let along = axis(site.attributes.int_or("axis", 0)?, data.shape.len())?;
    let shape = [&data.shape[..along], &indices.shape, &data.shape[along + 1..]].concat();
    Ok(same_type(data, shape))
}

pub(super) fn gather_elements(site: &Site) -> Inferred<TensorType> {
    Ok(same_type(site.input(0)?, site.input(1)?.shape.clone()))
}

/// Which dimensions a `Shape` node lists.
pub(crate) fn listed(site: &Site, rank: usize) -> Inferred<std::ops::Range<usize>> {
    let signed = i64::try_from(rank).map_err(|_| NodeProblem::TooLarge)?;
    let place = |value: i64| {
        let value = if value < 0 { value.saturating_add(signed) } else { value };
        usize::try_from(value.clamp(0, signed)).map_err(|_| Stop::Problem(NodeProblem::TooLarge))
    };
    let start = place(site.attributes.int_or("start", 0)?)?;
    let end = place(site.attributes.int_or("end", signed)?)?;
    Ok(start..end.max(start))
}

pub(super) fn shape_of(site: &Site) -> Inferred<TensorType> {
    let range = listed(site, site.input(0)?.shape.len())?;
    Ok(int64(vec![Some(range.len())]))
}

pub(super) fn constant_of_shape(site: &Site) -> Inferred<TensorType> {
    let element_type = site.attributes.tensor("value")?.map_or(FLOAT, |value| value.data_type);
    let dims = site.ints(0)?.iter().map(|value| value.map(dim).transpose());
    Ok(TensorType { element_type, shape: dims.collect::<Inferred<_>>()? })
}

pub(super) fn expand(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let wanted: Vec<_> =
        site.ints(1)?.iter().map(|value| value.map(dim).transpose()).collect::<Inferred<_>>()?;
    Ok(same_type(data, broadcast(&data.shape, &wanted)?))
}

pub(super) fn tile(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let repeats = site.known_ints(1)?;
    if repeats.len() != data.shape.len() {
        return Err(shape_problem(format!("{} repeats", data.shape.len()), repeats.len().to_string()));
    }
    let repeated = |(old, &times): (&Dim, &i64)| {
        let times = wide(dim(times)?);
        old.map(|old| wide(old).checked_mul(times).ok_or(NodeProblem::TooLarge.into()).and_then(extent))
            .transpose()
    };
    Ok(same_type(data, data.shape.iter().zip(&repeats).map(repeated).collect::<Inferred<_>>()?))
}

/// Most elements of a range of floats: they count exactly up to there.
const MAX_COUNT: f32 = 16_777_216.0;

pub(super) fn range(site: &Site) -> Inferred<TensorType> {
    let element_type = site.input(0)?.element_type;
    if let (Ok(&[start]), Ok(&[limit]), Ok(&[step])) = (site.floats(0), site.floats(1), site.floats(2)) {
        let count = ((limit - start) / step).ceil().max(0.0);
        if !count.is_finite() || count > MAX_COUNT {
            return Err(Stop::Unknown);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is small and not negative"
        )]
        return Ok(TensorType { element_type, shape: vec![Some(count as usize)] });
    }
    let count = match (&site.known_ints(0)?[..], &site.known_ints(1)?[..], &site.known_ints(2)?[..]) {
        (&[start], &[limit], &[step]) if step != 0 => {
            let (span, step) = (i128::from(limit) - i128::from(start), i128::from(step));
            if (span > 0) == (step > 0) { (span.abs() + step.abs() - 1) / step.abs() } else { 0 }
        }
        _ => return Err(shape_problem("scalars and a step other than 0", "something else")),
    };
    Ok(TensorType { element_type, shape: vec![Some(extent(count)?)] })
}

pub(super) fn depth_space(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let name = "blocksize";
    let block = site.attributes.int(name)?.ok_or(NodeProblem::MissingAttribute { name })?;
    let block = usize::try_from(block).ok().filter(|block| (1..1 << 16).contains(block));
    let block = block.ok_or(NodeProblem::Attribute { name, expected: "1 or more" })?;
    let [batch, channels, height, width] = data.shape[..] else {
        return Err(shape_problem("an image of 4 dimensions", show(&data.shape)));
    };
    let grow = |dim: Dim, factor: usize| {
        dim.map(|dim| dim.checked_mul(factor).ok_or(Stop::Problem(NodeProblem::TooLarge))).transpose()
    };
    let shrink = |dim: Dim, factor: usize| dim.map(|dim| dim / factor);
    let shape = if site.op_type() == "DepthToSpace" {
        vec![batch, shrink(channels, block * block), grow(height, block)?, grow(width, block)?]
    } else {
        vec![batch, grow(channels, block * block)?, shrink(height, block), shrink(width, block)]
    };
    Ok(same_type(data, shape))
}
