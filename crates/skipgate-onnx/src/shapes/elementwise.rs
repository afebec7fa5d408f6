//! Operators that work element by element.

use super::TensorType;
use super::site::{Dim, Inferred, Site, shape_problem, show};
use crate::error::NodeProblem;
use crate::tensor::element_type::BOOL;

/// The shape that `a` and `b` broadcast to (ONNX multidirectional broadcasting).
pub(super) fn broadcast(a: &[Dim], b: &[Dim]) -> Inferred<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let aligned = |shape: &[Dim], i: usize| (i + shape.len()).checked_sub(rank).map_or(Some(1), |i| shape[i]);
    (0..rank)
        .map(|i| match (aligned(a, i), aligned(b, i)) {
            (Some(1), dim) | (dim, Some(1)) => Ok(dim),
            (Some(x), Some(y)) if x != y => {
                Err(shape_problem("shapes that broadcast", format!("{} and {}", show(a), show(b))))
            }
            (x, y) => Ok(x.or(y)),
        })
        .collect()
}

/// All inputs from `first` on, broadcast; of their element type or of `element_type`.
pub(super) fn broadcast_inputs(site: &Site, first: usize, element_type: Option<i32>) -> Inferred<TensorType> {
    let start = site.input(first)?;
    let mut shape = start.shape.clone();
    // Before operator set 7, the second operand stands inside of the first one.
    let given = site.attributes.flag("broadcast")?;
    for index in first + 1..site.input_count() {
        let other = &site.input(index)?.shape;
        shape = if given { shape } else { broadcast(&shape, other)? };
    }
    Ok(TensorType { element_type: element_type.unwrap_or(start.element_type), shape })
}

pub(super) fn select(site: &Site) -> Inferred<TensorType> {
    let values = broadcast_inputs(site, 1, None)?;
    let shape = broadcast(&values.shape, &site.input(0)?.shape)?;
    Ok(TensorType { shape, ..values })
}

pub(super) fn dropout(site: &Site) -> Inferred<Vec<TensorType>> {
    let data = site.input(0)?;
    Ok(vec![data.clone(), TensorType { element_type: BOOL, shape: data.shape.clone() }])
}

/// Operators that change nothing but the element type.
pub(super) fn retyped(site: &Site) -> Inferred<TensorType> {
    let shape = site.input(0)?.shape.clone();
    let element_type = match site.op_type() {
        "IsInf" | "IsNaN" => BOOL,
        "CastLike" | "DequantizeLinear" => site.input(1)?.element_type,
        "QuantizeLinear" if site.has_input(2) => site.input(2)?.element_type,
        // Without a zero point the result is unsigned, eight bits.
        "QuantizeLinear" => {
            i32::try_from(site.attributes.int_or("output_dtype", 0)?).ok().filter(|t| *t != 0).unwrap_or(2)
        }
        _ => {
            let name = "to";
            let to = site.attributes.int(name)?.ok_or(NodeProblem::MissingAttribute { name })?;
            i32::try_from(to).map_err(|_| NodeProblem::Attribute { name, expected: "an element type" })?
        }
    };
    Ok(TensorType { element_type, shape })
}
