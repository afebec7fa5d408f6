//! `If` whose condition is known.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;

/// Puts the nodes of the branch that runs in the place of the `If`. Names are defined once in the whole model, so they
/// need no change.
pub(super) fn inline(node: &NodeProto, body: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let condition = node.input.first().and_then(|condition| context.value(condition));
    let (true, Some([Some(value)])) =
        (node.op_type == "If", condition.and_then(|condition| condition.ints.as_deref()))
    else {
        return Ok(Step::Keep);
    };
    let name = if *value == 0 { "else_branch" } else { "then_branch" };
    let branch = Attributes::of(node).graph(name).map_err(|problem| problem.of(node))?;
    let branch = branch.ok_or_else(|| NodeProblem::MissingAttribute { name }.of(node))?;
    if !branch.input.is_empty()
        || branch.output.len() < node.output.len()
        || !branch.sparse_initializer.is_empty()
    {
        return Ok(Step::Keep);
    }
    body.declare(&branch.value_info);
    body.declare(&branch.output);
    let outputs = node.output.iter().zip(&branch.output).filter(|(output, _)| !output.is_empty());
    let aliases = outputs.map(|(output, inner)| (output.clone(), inner.name.clone())).collect();
    Ok(Step::Replace { nodes: branch.node.clone(), aliases })
}
