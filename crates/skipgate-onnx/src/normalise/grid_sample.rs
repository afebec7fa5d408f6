//! `GridSample` in the modes that the compiler gets wrong.

use super::context::Context;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Refuses the nearest element: the compiler rounds halves to another one.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    let mode = Attributes::of(node).string("mode");
    if node.op_type == "GridSample" && mode.map_err(|problem| problem.of(node))? == Some(b"nearest") {
        return Err(unsupported(node, "the compiler takes another element than the nearest one"));
    }
    Ok(())
}
