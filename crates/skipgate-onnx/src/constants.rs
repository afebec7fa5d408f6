//! Evaluates small integer tensors, the ones that exporters compute shapes with.

use crate::shapes::TensorType;
use crate::shapes::layout::{cuts, listed, permutation};
use crate::shapes::site::{Site, axis};
use crate::tensor;
use crate::tensor::element_type::{BOOL, FLOAT, INT32, INT64};

/// Elements of an integer tensor in row-major order, `None` where unknown.
pub(crate) type Ints = Vec<Option<i64>>;

/// Larger tensors are data and not shapes.
pub(crate) const MAX_ELEMENTS: usize = 256;

/// The elements of the first output of a node whose type is `output`; `None` if they cannot be known.
pub(crate) fn evaluate(site: &Site, output: &TensorType) -> Option<Ints> {
    if !matches!(output.element_type, BOOL | INT32 | INT64) {
        return None;
    }
    let shape = output.static_shape()?;
    let count = output.elements().filter(|count| *count <= MAX_ELEMENTS)?;
    let ints = compute(site, &shape, count)?;
    // What wraps around is known to the engine alone.
    let fits = |value: &i64| output.element_type != INT32 || i32::try_from(*value).is_ok();
    let ints: Ints = ints.into_iter().map(|value| value.filter(fits)).collect();
    (ints.len() == count).then_some(ints)
}

fn compute(site: &Site, shape: &[usize], count: usize) -> Option<Ints> {
    match site.op_type() {
        "Constant" => constant(site),
        "Cast" if site.floats(0).is_ok() && is_bool(site) => {
            Some(site.floats(0).ok()?.iter().map(|&float| Some((float != 0.0).into())).collect())
        }
        "Cast" if site.floats(0).is_ok() => {
            Some(site.floats(0).ok()?.iter().map(|&float| whole(float)).collect())
        }
        "Shape" => dimensions(site),
        "Size" => Some(vec![Some(i64::try_from(site.input(0).ok()?.elements()?).ok()?)]),
        "ConstantOfShape" => filled(site, count),
        // Booleans become 0 and 1, which is what they are kept as.
        "Cast" if site.input(0).ok()?.element_type != BOOL && is_bool(site) => {
            unary(site, |a| Some((a != 0).into()))
        }
        "Cast" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {
            Some(operand(site, 0)?.to_vec())
        }
        "Neg" => unary(site, i64::checked_neg),
        "Abs" => unary(site, i64::checked_abs),
        "Not" => unary(site, |a| Some((a == 0).into())),
        "Clip" => {
            let bound = |index| {
                if site.has_input(index) {
                    Some(Some((*operand(site, index)?.first()?)?))
                } else {
                    Some(None)
                }
            };
            let (low, high) = (bound(1)?, bound(2)?);
            unary(site, |a| Some(clipped(a, low, high)))
        }
        "Concat" => concat(site, shape),
        "Gather" => gather(site, shape),
        "Slice" => slice(site, shape),
        "Transpose" => transpose(site, shape),
        "Expand" => Some(remap(shape, |index| broadcast_element(site, 0, shape, index))),
        "Range" => range(site, count),
        "Where" => Some(remap(shape, |index| {
            let chosen = if broadcast_element(site, 0, shape, index)? != 0 { 1 } else { 2 };
            broadcast_element(site, chosen, shape, index)
        })),
        // The sign of the remainder is that of the divisor, unless it is computed as for floats.
        "Mod" if !site.attributes.flag("fmod").ok()? => binary(site, shape, |a, b| {
            a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }),
        op => binary(site, shape, operation(op)?),
    }
}

/// The elements of the first output of a node whose type is `output`, of 32-bit floats; `None` if one cannot be known.
pub(crate) fn evaluate_floats(site: &Site, output: &TensorType) -> Option<Vec<f32>> {
    if output.element_type != FLOAT {
        return None;
    }
    let count = output.elements().filter(|count| *count <= MAX_ELEMENTS)?;
    let floats = compute_floats(site)?;
    (floats.len() == count).then_some(floats)
}

/// The elements of the results of a `Split` of a list, whose types are `parts`; none if they cannot be known.
pub(crate) fn parts(site: &Site, parts: &[TensorType]) -> Vec<Ints> {
    let Ok(mut rest) = site.ints(0) else { return Vec::new() };
    let mut found = Vec::new();
    for part in parts {
        let [Some(length)] = part.shape[..] else { return Vec::new() };
        let Some((first, behind)) = rest.split_at_checked(length) else { return Vec::new() };
        found.push(first.to_vec());
        rest = behind;
    }
    found
}

fn compute_floats(site: &Site) -> Option<Vec<f32>> {
    let operand = |index| site.floats(index).ok();
    let unary = |operation: fn(f32) -> f32| Some(operand(0)?.iter().map(|&a| operation(a)).collect());
    match site.op_type() {
        "Constant" => constant_floats(site),
        "Cast" | "CastLike" if operand(0).is_none() => {
            site.known_ints(0).ok()?.into_iter().map(exactly).collect()
        }
        "Cast" | "CastLike" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {
            operand(0).map(<[f32]>::to_vec)
        }
        "Abs" => unary(f32::abs),
        "Ceil" => unary(f32::ceil),
        "Clip" => {
            let bound = |index| {
                if site.has_input(index) { Some(operand(index)?.first().copied()) } else { Some(None) }
            };
            let (low, high) = (bound(1)?, bound(2)?);
            Some(operand(0)?.iter().map(|&a| clipped(a, low, high)).collect())
        }
        "Floor" => unary(f32::floor),
        "Neg" => unary(|a| -a),
        "Range" => range_of_floats(site),
        "Relu" => unary(|value| value.max(0.0)),
        "Round" => unary(f32::round_ties_even),
        "Sqrt" => unary(f32::sqrt),
        "Concat" if site.input(0).ok()?.shape.len() == 1 => {
            (0..site.input_count()).map(operand).collect::<Option<Vec<_>>>().map(|parts| parts.concat())
        }
        "Add" => binary_floats(site, |a, b| a + b),
        "Sub" => binary_floats(site, |a, b| a - b),
        "Mul" => binary_floats(site, |a, b| a * b),
        "Div" => binary_floats(site, |a, b| a / b),
        "Max" if site.input_count() == 2 => binary_floats(site, |a, b| if a < b { b } else { a }),
        "Min" if site.input_count() == 2 => binary_floats(site, |a, b| if a > b { b } else { a }),
        _ => None,
    }
}

/// `value` within bounds; where they cross, the upper one counts.
fn clipped<T: PartialOrd>(value: T, low: Option<T>, high: Option<T>) -> T {
    let raised = match low {
        Some(low) if value < low => low,
        _ => value,
    };
    match high {
        Some(high) if raised > high => high,
        _ => raised,
    }
}

fn range_of_floats(site: &Site) -> Option<Vec<f32>> {
    let scalar = |index| match site.floats(index) {
        Ok(&[value]) => Some(value),
        _ => None,
    };
    let (start, limit, step) = (scalar(0)?, scalar(1)?, scalar(2)?);
    let places = (0..MAX_ELEMENTS).map(|place| exactly(i64::try_from(place).ok()?));
    let values = places.map(|place| Some(start + place? * step)).collect::<Option<Vec<_>>>()?;
    Some(
        values
            .into_iter()
            .take_while(|value| if step > 0.0 { *value < limit } else { *value > limit })
            .collect(),
    )
}

fn constant_floats(site: &Site) -> Option<Vec<f32>> {
    let attributes = site.attributes;
    if let Some(value) = attributes.tensor("value").ok()? {
        return tensor::floats(value).ok()?;
    }
    if let Some(values) = attributes.floats("value_floats").ok()? {
        return Some(values.to_vec());
    }
    attributes.float("value_float").ok()?.map(|value| vec![value])
}

/// Two lists of one length, or a list and a number.
fn binary_floats(site: &Site, operation: fn(f32, f32) -> f32) -> Option<Vec<f32>> {
    let (a, b) = (site.floats(0).ok()?, site.floats(1).ok()?);
    let count = a.len().max(b.len());
    let fits = |list: &[f32]| list.len() == 1 || list.len() == count;
    let element = |list: &[f32], index: usize| list[if list.len() == 1 { 0 } else { index }];
    (fits(a) && fits(b))
        .then(|| (0..count).map(|index| operation(element(a, index), element(b, index))).collect())
}

/// `value` as a float, if that is exact.
#[expect(clippy::cast_precision_loss, reason = "such numbers are left out")]
fn exactly(value: i64) -> Option<f32> {
    (value.unsigned_abs() < 1 << f32::MANTISSA_DIGITS).then_some(value as f32)
}

/// What a cast makes of `value`; `None` where that depends on the machine.
#[expect(clippy::cast_possible_truncation, reason = "such numbers are left out")]
fn whole(value: f32) -> Option<i64> {
    (value.abs() < 2f32.powi(62)).then_some(value as i64)
}

fn is_bool(site: &Site) -> bool {
    matches!(site.attributes.int("to"), Ok(Some(to)) if to == i64::from(BOOL))
}

fn operand<'v>(site: &Site<'v>, index: usize) -> Option<&'v [Option<i64>]> {
    site.ints(index).ok()
}

fn constant(site: &Site) -> Option<Ints> {
    let attributes = site.attributes;
    if let Some(value) = attributes.tensor("value").ok()? {
        return Some(tensor::integers(value).ok()??.into_iter().map(Some).collect());
    }
    if let Some(values) = attributes.ints("value_ints").ok()? {
        return Some(values.iter().copied().map(Some).collect());
    }
    attributes.int("value_int").ok()?.map(|value| vec![Some(value)])
}

fn dimensions(site: &Site) -> Option<Ints> {
    let shape = &site.input(0).ok()?.shape;
    let range = listed(site, shape.len()).ok()?;
    Some(shape[range].iter().map(|dim| i64::try_from((*dim)?).ok()).collect())
}

fn filled(site: &Site, count: usize) -> Option<Ints> {
    let value = site.attributes.tensor("value").ok()??;
    let value = *tensor::integers(value).ok()??.first()?;
    Some(vec![Some(value); count])
}

fn unary(site: &Site, operation: impl Fn(i64) -> Option<i64>) -> Option<Ints> {
    Some(operand(site, 0)?.iter().map(|value| value.and_then(&operation)).collect())
}

fn operation(op: &str) -> Option<fn(i64, i64) -> Option<i64>> {
    Some(match op {
        "Add" => i64::checked_add,
        "Sub" => i64::checked_sub,
        "Mul" => i64::checked_mul,
        "Div" => i64::checked_div,
        "Max" => |a, b| Some(a.max(b)),
        "Min" => |a, b| Some(a.min(b)),
        "And" => |a, b| Some(a & b),
        "Or" => |a, b| Some(a | b),
        "Equal" => |a, b| Some((a == b).into()),
        "Greater" => |a, b| Some((a > b).into()),
        "GreaterOrEqual" => |a, b| Some((a >= b).into()),
        "Less" => |a, b| Some((a < b).into()),
        "LessOrEqual" => |a, b| Some((a <= b).into()),
        _ => return None,
    })
}

fn binary(site: &Site, shape: &[usize], operation: fn(i64, i64) -> Option<i64>) -> Option<Ints> {
    if site.input_count() != 2 {
        return None;
    }
    Some(remap(shape, |index| {
        operation(broadcast_element(site, 0, shape, index)?, broadcast_element(site, 1, shape, index)?)
    }))
}

fn range(site: &Site, count: usize) -> Option<Ints> {
    let (start, step) = ((*operand(site, 0)?.first()?)?, (*operand(site, 2)?.first()?)?);
    let at = |i: usize| start.checked_add(step.checked_mul(i64::try_from(i).ok()?)?);
    Some((0..count).map(at).collect())
}

/// Builds a tensor of `shape` by asking `element` for every index.
fn remap(shape: &[usize], element: impl Fn(&[usize]) -> Option<i64>) -> Ints {
    let count: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        elements.push(element(&index));
        for (place, &extent) in index.iter_mut().zip(shape).rev() {
            *place += 1;
            if *place < extent {
                break;
            }
            *place = 0;
        }
    }
    elements
}

/// Where `index` of a row-major tensor of `shape` lies; `None` if outside.
fn flat(shape: &[usize], index: impl IntoIterator<Item = usize>) -> Option<usize> {
    let mut places = index.into_iter();
    shape.iter().try_fold(0usize, |flat, &extent| {
        let place = places.next().filter(|place| *place < extent)?;
        flat.checked_mul(extent)?.checked_add(place)
    })
}

fn element(site: &Site, input: usize, index: impl IntoIterator<Item = usize>) -> Option<i64> {
    let shape = site.input(input).ok()?.static_shape()?;
    *operand(site, input)?.get(flat(&shape, index)?)?
}

/// The element of `input` that broadcasting puts at `index` of `shape`.
fn broadcast_element(site: &Site, input: usize, shape: &[usize], index: &[usize]) -> Option<i64> {
    let own = site.input(input).ok()?.static_shape()?;
    let skipped = shape.len().checked_sub(own.len())?;
    element(
        site,
        input,
        own.iter().zip(&index[skipped..]).map(|(&extent, &i)| if extent == 1 { 0 } else { i }),
    )
}

fn concat(site: &Site, shape: &[usize]) -> Option<Ints> {
    let along = axis(site.attributes.int("axis").ok()??, shape.len()).ok()?;
    Some(remap(shape, |index| {
        let mut place = index[along];
        for input in 0..site.input_count() {
            let extent = site.input(input).ok()?.shape[along]?;
            if place < extent {
                let own = index.iter().enumerate().map(|(i, &old)| if i == along { place } else { old });
                return element(site, input, own);
            }
            place -= extent;
        }
        None
    }))
}

fn gather(site: &Site, shape: &[usize]) -> Option<Ints> {
    let data = site.input(0).ok()?.static_shape()?;
    let rank = site.input(1).ok()?.shape.len();
    let along = axis(site.attributes.int_or("axis", 0).ok()?, data.len()).ok()?;
    Some(remap(shape, |index| {
        let (before, rest) = index.split_at(along);
        let (chosen, after) = rest.split_at(rank);
        let place = axis(element(site, 1, chosen.iter().copied())?, data[along]).ok()?;
        element(site, 0, before.iter().copied().chain([place]).chain(after.iter().copied()))
    }))
}

fn slice(site: &Site, shape: &[usize]) -> Option<Ints> {
    let (cuts, _) = cuts(site, &site.input(0).ok()?.shape).ok()?;
    Some(remap(shape, |index| {
        let mut source = index.to_vec();
        for cut in &cuts {
            let moved = i64::try_from(index[cut.axis]).ok()?.checked_mul(cut.step)?.checked_add(cut.start)?;
            source[cut.axis] = usize::try_from(moved).ok()?;
        }
        element(site, 0, source)
    }))
}

fn transpose(site: &Site, shape: &[usize]) -> Option<Ints> {
    let perm = permutation(site, shape.len()).ok()?;
    Some(remap(shape, |index| {
        let mut source = vec![0; index.len()];
        perm.iter().zip(index).for_each(|(&from, &place)| source[from] = place);
        element(site, 0, source)
    }))
}
