//! Recurrent layers with parts that the compiler leaves out.

use super::context::Context;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Input of an `LSTM` that holds the weights of its peepholes.
const PEEPHOLES: usize = 7;

/// Refuses peepholes, clipping and coupled gates.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    if !matches!(node.op_type.as_str(), "GRU" | "LSTM" | "RNN") {
        return Ok(());
    }
    let attributes = Attributes::of(node);
    if node.op_type == "LSTM" && node.input.get(PEEPHOLES).is_some_and(|input| !input.is_empty()) {
        return Err(unsupported(node, "it has peepholes, which the compiler leaves out"));
    }
    if attributes.has("clip") {
        return Err(unsupported(node, "it has the attribute `clip`, which the compiler leaves out"));
    }
    if attributes.flag("input_forget").map_err(|problem| problem.of(node))? {
        return Err(unsupported(node, "it has the attribute `input_forget`, which the compiler leaves out"));
    }
    Ok(())
}
