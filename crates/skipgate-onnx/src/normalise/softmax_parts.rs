//! `Softmax` in the operators that it is made of, for machines where the compiler's own form of it does not link.

use super::Step;
use super::body::Body;
use super::context::{Context, Parts};
use crate::attributes::Attributes;
use crate::edit::ints_attribute;
use crate::error::Error;
use crate::proto::NodeProto;

/// Operator set from which on `Softmax` works along one axis.
const ALONG_ONE_AXIS: i64 = 13;
/// Operator set from which on `ReduceMax` takes its axes as an input.
const AXES_ARE_INPUTS: i64 = 18;

/// Writes `exp(x - max(x)) / sum(exp(x - max(x)))` along the axis.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(input) = node.input.first().filter(|_| node.op_type == "Softmax") else { return Ok(Step::Keep) };
    if context.opset < ALONG_ONE_AXIS {
        return Ok(Step::Keep);
    }
    let axis = Attributes::of(node).int_or("axis", -1).map_err(|problem| problem.of(node))?;
    let axes = context.add_ints(&format!("{}.axes", node.output[0]), &[axis]);
    let mut parts = Parts::of(node);
    let largest = if context.opset < AXES_ARE_INPUTS {
        parts.add(context, "ReduceMax", &[input], vec![ints_attribute("axes", vec![axis])])
    } else {
        parts.add(context, "ReduceMax", &[input, &axes], vec![])
    };
    // A difference would be recognised as part of a softmax, and brought back into the form that does not link.
    let shift = parts.add(context, "Neg", &[&largest], vec![]);
    let below = parts.add(context, "Add", &[input, &shift], vec![]);
    let powers = parts.add(context, "Exp", &[&below], vec![]);
    let sum = parts.add(context, "ReduceSum", &[&powers, &axes], vec![]);
    Ok(Step::nodes(parts.finish("Div", &[&powers, &sum], vec![])))
}
