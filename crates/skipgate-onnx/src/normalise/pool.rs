//! Pools where implementations differ.

use super::context::Context;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Refuses pools whose windows have distances while their padding follows from their size: ONNX Runtime leaves the
/// distances out of that.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    if !matches!(node.op_type.as_str(), "AveragePool" | "LpPool" | "MaxPool") {
        return Ok(());
    }
    let attributes = Attributes::of(node);
    let same = attributes.string("auto_pad").map_err(|problem| problem.of(node))?;
    let dilations = attributes.ints("dilations").map_err(|problem| problem.of(node))?.unwrap_or_default();
    if same.is_some_and(|mode| mode.starts_with(b"SAME")) && dilations.iter().any(|&distance| distance != 1) {
        return Err(unsupported(
            node,
            "it has `dilations` and `auto_pad`, which engines compute in two ways",
        ));
    }
    Ok(())
}
