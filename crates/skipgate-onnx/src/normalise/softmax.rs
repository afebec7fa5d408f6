//! `Softmax`, `LogSoftmax` and `Hardmax` as they were before operator set 13: over all axes from one on, as if those
//! were one.

use super::opset::Raiser;
use super::unsupported;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::site::{Dim, axis};

/// `node` in nodes that work along the last axis alone.
pub(super) fn over_one_axis(node: &NodeProto, raiser: &mut Raiser) -> Result<Vec<NodeProto>, Error> {
    let first = Attributes::of(node).int_or("axis", 1).map_err(|problem| problem.of(node))?;
    let along_last = NodeProto { attribute: vec![int_attribute("axis", -1)], ..node.clone() };
    if first == -1 {
        return Ok(vec![along_last]);
    }
    let unknown = || unsupported(node, "it works over several axes, and the shape of its input is not known");
    let input = node.input.first().and_then(|input| raiser.value(input)).ok_or_else(unknown)?;
    let shape = input.tensor_type.shape.clone();
    let first = axis(first, shape.len()).map_err(|_| unsupported(node, "its axis is none of its input"))?;
    if first + 1 == shape.len() {
        return Ok(vec![along_last]);
    }
    let (flat, back) = shapes(&shape, first).ok_or_else(unknown)?;
    let output = &node.output[0];
    let [flat, back] = [("flat", flat), ("shape", back)]
        .map(|(name, shape)| raiser.add_ints(&format!("{output}.{name}"), &shape));
    let (flattened, result) = (raiser.fresh(&format!("{output}.in")), raiser.fresh(&format!("{output}.out")));
    let reshape = |input: &str, shape: String, output: &str| NodeProto {
        op_type: "Reshape".to_owned(),
        input: vec![input.to_owned(), shape],
        output: vec![output.to_owned()],
        attribute: vec![],
        ..node.clone()
    };
    let inner = NodeProto { input: vec![flattened.clone()], output: vec![result.clone()], ..along_last };
    Ok(vec![reshape(&node.input[0], flat, &flattened), inner, reshape(&result, back, output)])
}

/// The shape with the axes from `first` on as one, and the shape back from that. A zero copies a dimension, so those in
/// front need not be known, and one behind need not either.
fn shapes(shape: &[Dim], first: usize) -> Option<(Vec<i64>, Vec<i64>)> {
    let mut flat = vec![0; first];
    let mut back = flat.clone();
    flat.push(-1);
    if shape.contains(&Some(0)) || shape[first..].iter().filter(|dim| dim.is_none()).count() > 1 {
        return None;
    }
    for dim in &shape[first..] {
        back.push(dim.map_or(Some(-1), |dim| i64::try_from(dim).ok())?);
    }
    Some((flat, back))
}
