//! Operators that sum or search along dimensions.

use super::TensorType;
use super::elementwise::broadcast;
use super::site::{Dim, Inferred, Site, Stop, axis, extent, int64, shape_problem, show};

pub(super) fn reduce(site: &Site) -> Inferred<TensorType> {
    let data = site.input(0)?;
    let axes = site.input_or_attribute(1, "axes")?.unwrap_or_default();
    if axes.is_empty() && site.attributes.flag("noop_with_empty_axes")? {
        return Ok(data.clone());
    }
    let shape = reduced(site, &data.shape, &axes)?;
    Ok(TensorType { element_type: data.element_type, shape })
}

/// `ArgMax` and `ArgMin`.
pub(super) fn arg(site: &Site) -> Inferred<TensorType> {
    let axes = [site.attributes.int_or("axis", 0)?];
    Ok(int64(reduced(site, &site.input(0)?.shape, &axes)?))
}

/// `TopK`: the elements, and their places.
pub(super) fn top(site: &Site) -> Inferred<Vec<TensorType>> {
    let data = site.input(0)?;
    let along = axis(site.attributes.int_or("axis", -1)?, data.shape.len())?;
    let count = match site.attributes.int("k")? {
        Some(count) => vec![count],
        None => site.known_ints(1)?,
    };
    let [count] = count[..] else { return Err(shape_problem("one number", format!("{count:?}"))) };
    let count = extent(count.into())?;
    if data.shape[along].is_some_and(|total| count > total) {
        return Err(shape_problem(
            format!("as many as axis {along} of {} has", show(&data.shape)),
            count.to_string(),
        ));
    }
    let mut shape = data.shape.clone();
    shape[along] = Some(count);
    Ok(vec![TensorType { element_type: data.element_type, shape: shape.clone() }, int64(shape)])
}

/// Recurrent layers: the results of all steps, of the last one, and of an `LSTM` its last cell.
pub(super) fn recurrent(site: &Site) -> Inferred<Vec<TensorType>> {
    let (sequence, weights) = (site.input(0)?, site.input(2)?);
    let (&[steps, batch, _], &[directions, _, hidden]) = (&sequence.shape[..], &weights.shape[..]) else {
        return Err(shape_problem("a sequence and weights of 3 dimensions", show(&sequence.shape)));
    };
    if site.attributes.flag("layout")? {
        return Err(Stop::Unknown);
    }
    let of_shape = |shape: &[Dim]| TensorType { element_type: sequence.element_type, shape: shape.to_vec() };
    let last = of_shape(&[directions, batch, hidden]);
    Ok(vec![of_shape(&[steps, directions, batch, hidden]), last.clone(), last])
}

/// `shape` without, or with 1 for, the reduced `axes`; no axes means all.
fn reduced(site: &Site, shape: &[Dim], axes: &[i64]) -> Inferred<Vec<Dim>> {
    let axes: Vec<_> = axes.iter().map(|&a| axis(a, shape.len())).collect::<Inferred<_>>()?;
    let is_reduced = |index: &usize| axes.is_empty() || axes.contains(index);
    let keep = site.attributes.int_or("keepdims", 1)? != 0;
    let kept = |index: usize| if is_reduced(&index) { Some(1) } else { shape[index] };
    Ok((0..shape.len()).filter(|index| keep || !is_reduced(index)).map(kept).collect())
}

pub(super) fn gemm(site: &Site) -> Inferred<TensorType> {
    let (left, right) = (site.input(0)?, site.input(1)?);
    let dims = |shape: &[Dim], transposed: bool| match *shape {
        [rows, columns] if transposed => Ok((columns, rows)),
        [rows, columns] => Ok((rows, columns)),
        _ => Err(shape_problem("a matrix", show(shape))),
    };
    let (rows, inner) = dims(&left.shape, site.attributes.flag("transA")?)?;
    let (right_inner, columns) = dims(&right.shape, site.attributes.flag("transB")?)?;
    check_inner(inner, right_inner, left, right)?;
    Ok(TensorType { element_type: left.element_type, shape: vec![rows, columns] })
}

/// Matrix product with the rules of `numpy.matmul`.
pub(super) fn matmul(site: &Site) -> Inferred<TensorType> {
    let (left, right) = (site.input(0)?, site.input(1)?);
    let (Some((&inner, rows)), false) = (left.shape.split_last(), right.shape.is_empty()) else {
        return Err(shape_problem("two tensors of one dimension or more", show(&left.shape)));
    };
    let mut right_batch = right.shape.clone();
    let right_inner = right_batch.remove(right_batch.len().saturating_sub(2));
    check_inner(inner, right_inner, left, right)?;
    let columns = right_batch.pop();
    let (left_batch, rows) = rows.split_last().map_or((rows, None), |(last, batch)| (batch, Some(*last)));
    let mut shape = broadcast(left_batch, &right_batch)?;
    shape.extend(rows.into_iter().chain(columns));
    Ok(TensorType { element_type: left.element_type, shape })
}

/// `Attention`: the shape of the queries, with as many elements for each head as the values have.
pub(super) fn attention(site: &Site) -> Inferred<TensorType> {
    let (queries, values) = (site.input(0)?, site.input(2)?);
    let mut shape = queries.shape.clone();
    match (&mut shape[..], &values.shape[..]) {
        ([_, _, _, size], &[_, _, _, of_values]) => *size = of_values,
        ([_, _, elements], &[_, _, of_values]) => {
            let heads = |name| site.attributes.int(name);
            *elements = of_values.filter(
                |_| matches!((heads("q_num_heads"), heads("kv_num_heads")), (Ok(a), Ok(b)) if a == b),
            );
        }
        _ => {
            let found = format!("{} and {}", show(&queries.shape), show(&values.shape));
            return Err(shape_problem("queries and values of 3 or of 4 dimensions", found));
        }
    }
    Ok(TensorType { element_type: queries.element_type, shape })
}

fn check_inner(inner: Dim, right_inner: Dim, left: &TensorType, right: &TensorType) -> Inferred<()> {
    if inner.zip(right_inner).is_none_or(|(a, b)| a == b) {
        return Ok(());
    }
    let found = format!("{} and {}", show(&left.shape), show(&right.shape));
    Err(shape_problem("matrices whose inner dimensions agree", found))
}
