//! Recurrent layers with parts that the compiler leaves out.

use super::context::Context;
use super::unsupported;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;

/// Input that holds the length of each sequence of the batch.
const LENGTHS: usize = 4;
/// Input of an `LSTM` that holds the weights of its peepholes.
const PEEPHOLES: usize = 7;

/// Refuses lengths of sequences, peepholes, clipping, coupled gates and other activations than the usual ones, where
/// [`recurrent_steps`](super::recurrent_steps) has not written them out.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    match left_out(node)? {
        Some(reason) => Err(unsupported(node, reason)),
        None => Ok(()),
    }
}

/// Whether the compiler computes the layer: in one direction, with all its results, and with nothing that it leaves out.
pub(super) fn is_honoured(node: &NodeProto, context: &Context) -> Result<bool, Error> {
    let attributes = Attributes::of(node);
    let direction = attributes.string("direction").map_err(|problem| problem.of(node))?;
    let batch_first = attributes.flag("layout").map_err(|problem| problem.of(node))?;
    let forward = matches!(direction, None | Some(b"forward"));
    let has_results = node.output.first().is_some_and(|output| context.reads(output) > 0);
    Ok(forward && !batch_first && has_results && left_out(node)?.is_none())
}

/// What the compiler would leave out of a recurrent layer.
fn left_out(node: &NodeProto) -> Result<Option<&'static str>, Error> {
    if !matches!(node.op_type.as_str(), "GRU" | "LSTM" | "RNN") {
        return Ok(None);
    }
    let attributes = Attributes::of(node);
    let has_input = |index: usize| node.input.get(index).is_some_and(|input| !input.is_empty());
    let left_out = [
        (has_input(LENGTHS), "it has lengths of sequences, which the compiler leaves out"),
        (has_input(PEEPHOLES), "it has peepholes, which the compiler leaves out"),
        (attributes.has("clip"), "it has the attribute `clip`, which the compiler leaves out"),
        (
            attributes.int_or("input_forget", 0).map_err(|problem| problem.of(node))? != 0,
            "it has the attribute `input_forget`, which the compiler leaves out",
        ),
        (
            !has_usual_activations(node).map_err(|problem| problem.of(node))?,
            "it has other activations than the usual ones, which the compiler leaves out",
        ),
    ];
    Ok(left_out.into_iter().find(|(is_there, _)| *is_there).map(|(_, reason)| reason))
}

fn has_usual_activations(node: &NodeProto) -> Result<bool, NodeProblem> {
    let attributes = Attributes::of(node);
    if attributes.has("activation_alpha") || attributes.has("activation_beta") {
        return Ok(false);
    }
    let Some(given) = attributes.strings("activations")? else { return Ok(true) };
    let usual: &[&[u8]] = match node.op_type.as_str() {
        "GRU" => &[b"Sigmoid", b"Tanh"],
        "LSTM" => &[b"Sigmoid", b"Tanh", b"Tanh"],
        // The compiler honours this one.
        _ if given.iter().all(|name| name == b"Relu") => return Ok(true),
        _ => &[b"Tanh"],
    };
    Ok(given.chunks(usual.len()).all(|direction| direction == usual))
}
