//! Tensors without elements.

use super::context::Context;
use super::unsupported;
use crate::error::Error;
use crate::proto::NodeProto;

/// Refuses a node with a result without elements, which ends the compiler.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let is_empty =
        |output: &String| context.tensor_type(output).is_some_and(|output| output.shape.contains(&Some(0)));
    if node.output.iter().any(is_empty) {
        return Err(unsupported(node, "its result has no elements"));
    }
    Ok(())
}
