//! Axes that the input does not have, with which the compiler does not come to an end.

use super::context::Context;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;

/// Refuses a normalisation along an axis that its input does not have.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let along = matches!(
        node.op_type.as_str(),
        "Hardmax" | "LayerNormalization" | "LogSoftmax" | "LpNormalization" | "RMSNormalization" | "Softmax"
    );
    let input = node.input.first().and_then(|input| context.tensor_type(input));
    let Some(rank) = input.filter(|_| along).and_then(|input| i64::try_from(input.shape.len()).ok()) else {
        return Ok(());
    };
    let axis = Attributes::of(node).int_or("axis", -1).map_err(|problem| problem.of(node))?;
    if (-rank..rank).contains(&axis) {
        return Ok(());
    }
    let expected = format!("an axis of {rank} dimensions");
    Err(NodeProblem::Shape { expected, found: axis.to_string() }.of(node))
}
