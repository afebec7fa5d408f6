//! `Pad` in a mode that the compiler does not end on.

use super::context::Context;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Refuses `mode="wrap"`.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    let mode = Attributes::of(node).string("mode");
    if node.op_type == "Pad" && mode.map_err(|problem| problem.of(node))? == Some(b"wrap") {
        return Err(unsupported(node, "it has mode `wrap`, which the compiler does not come to an end with"));
    }
    Ok(())
}
