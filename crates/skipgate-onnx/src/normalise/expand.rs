//! `Expand` to a shape that leaves dimensions to its input.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::proto::NodeProto;

/// Writes the shape of the result where another one is asked for that comes to the same: the compiler refuses one with
/// fewer dimensions than the input.
pub(super) fn complete(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    if node.op_type != "Expand" {
        return Step::Keep;
    }
    let wanted = context.site(node).known_ints(1).ok();
    let shape = context.tensor_type(&node.output[0]).and_then(|output| {
        output.static_shape()?.into_iter().map(|dim| i64::try_from(dim).ok()).collect::<Option<Vec<_>>>()
    });
    let Some((wanted, shape)) = wanted.zip(shape).filter(|(wanted, shape)| wanted != shape) else {
        return Step::Keep;
    };
    debug_assert!(wanted.len() <= shape.len());
    let shape = context.add_ints(&format!("{}.shape", node.output[0]), &shape);
    Step::nodes(vec![NodeProto { input: vec![node.input[0].clone(), shape], ..node.clone() }])
}
