//! `Constant` nodes become initialisers.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::{NodeProto, TensorProto};
use crate::tensor;
use crate::tensor::element_type::{FLOAT, INT64};

/// Sparse constants and texts stay nodes: no operator that can be compiled reads one.
pub(super) fn initializer(node: &NodeProto, body: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "Constant" {
        return Ok(Step::Keep);
    }
    match value(node).map_err(|problem| problem.of(node))? {
        Some(tensor) => Ok(replace(node, tensor, body, context)),
        None => Ok(Step::Keep),
    }
}

/// Lets the first output of `node` be the constant `tensor`.
pub(super) fn replace(node: &NodeProto, tensor: TensorProto, body: &Body, context: &mut Context) -> Step {
    let output = &node.output[0];
    if !body.is_output(output) {
        context.add(TensorProto { name: output.clone(), ..tensor });
        return Step::nodes(Vec::new());
    }
    // An output of a graph has to be computed by one of its nodes.
    let name = context.fresh(&format!("{output}.constant"));
    context.add(TensorProto { name: name.clone(), ..tensor });
    Step::alias(node, &name)
}

/// The tensor of a `Constant` node, under no particular name; `None` for kinds of constants that are no plain tensors.
fn value(node: &NodeProto) -> Result<Option<TensorProto>, NodeProblem> {
    let attributes = Attributes::of(node);
    if let Some(tensor) = attributes.tensor("value")? {
        return Ok((tensor.data_type != tensor::element_type::STRING).then(|| tensor.clone()));
    }
    let plain = |data_type, dims: Vec<i64>, raw_data: Vec<u8>| TensorProto {
        data_type,
        dims,
        raw_data,
        ..TensorProto::default()
    };
    if let Some(value) = attributes.float("value_float")? {
        return Ok(Some(plain(FLOAT, vec![], value.to_le_bytes().into())));
    }
    if let Some(value) = attributes.int("value_int")? {
        return Ok(Some(plain(INT64, vec![], value.to_le_bytes().into())));
    }
    let length = |len: usize| i64::try_from(len).map(|len| vec![len]).map_err(|_| NodeProblem::TooLarge);
    if let Some(values) = attributes.floats("value_floats")? {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        return Ok(Some(plain(FLOAT, length(values.len())?, bytes)));
    }
    if let Some(values) = attributes.ints("value_ints")? {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        return Ok(Some(plain(INT64, length(values.len())?, bytes)));
    }
    Ok(None)
}
