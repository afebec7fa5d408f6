//! Places that are constant and not in the tensor, which the compiled network would read all the same.

use super::context::Context;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::site::axis;
use crate::tensor;

/// Refuses a `Gather` or `GatherElements` with a constant index that its axis does not have.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    if !matches!(node.op_type.as_str(), "Gather" | "GatherElements") {
        return Ok(());
    }
    let [data, indices] = &node.input[..] else { return Ok(()) };
    let along = Attributes::of(node).int_or("axis", 0).map_err(|problem| problem.of(node))?;
    let Some(shape) = context.tensor_type(data).map(|data| &data.shape) else { return Ok(()) };
    let Some(extent) = axis(along, shape.len()).ok().and_then(|along| shape[along]) else { return Ok(()) };
    let Some(indices) = context.constant(indices).map(tensor::integers).transpose()?.flatten() else {
        return Ok(());
    };
    let signed = i64::try_from(extent).unwrap_or(i64::MAX);
    match indices.into_iter().find(|index| !(-signed..signed).contains(index)) {
        None => Ok(()),
        Some(index) => {
            let expected = format!("indices into an axis of {extent} elements");
            Err(NodeProblem::Shape { expected, found: index.to_string() }.of(node))
        }
    }
}
