//! `Dropout` as inference has it: nothing. In training mode (operator set 12) it is nothing if it drops none.

use super::body::Body;
use super::context::Context;
use super::{Step, unsupported};
use crate::error::Error;
use crate::proto::{NodeProto, TensorProto};
use crate::tensor;
use crate::tensor::element_type::BOOL;

/// Removes a `Dropout` that is not training. Its mask, where something reads it, is constant then.
pub(super) fn remove(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "Dropout" || node.input.first().is_none_or(String::is_empty) {
        return Ok(Step::Keep);
    }
    check_mode(node, context)?;
    let mut aliases = vec![(node.output[0].clone(), node.input[0].clone())];
    if let Some(mask) = node.output.get(1).filter(|mask| !mask.is_empty()) {
        let name = context.fresh(&format!("{mask}.constant"));
        context.add(TensorProto { name: name.clone(), ..all_true(node, context)? });
        aliases.push((mask.clone(), name));
    }
    Ok(Step::Replace { nodes: Vec::new(), aliases })
}

/// Before version 12 there is no training mode in a model; from then on it is an input.
fn check_mode(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let Some(mode) = node.input.get(2).filter(|mode| !mode.is_empty()) else { return Ok(()) };
    let ratio = node.input.get(1).and_then(|ratio| context.value(ratio)?.floats.as_deref());
    if ratio == Some(&[0.0]) {
        return Ok(());
    }
    let elements = context.value(mode).and_then(|value| value.ints.as_deref());
    match elements {
        Some([Some(0)]) => Ok(()),
        Some([Some(_)]) => Err(unsupported(node, "it is in training mode, which drops elements at random")),
        _ => Err(unsupported(node, "whether it is in training mode is not constant")),
    }
}

fn all_true(node: &NodeProto, context: &Context) -> Result<TensorProto, Error> {
    let shape = context.tensor_type(&node.input[0]).and_then(crate::shapes::TensorType::static_shape);
    let unknown = || unsupported(node, "its mask is read, and the shape of that is not known");
    let shape = shape.ok_or_else(unknown)?;
    let dims: Vec<_> = shape.iter().filter_map(|&dim| i64::try_from(dim).ok()).collect();
    let empty = TensorProto { data_type: BOOL, dims, ..TensorProto::default() };
    let count = tensor::element_count(&empty)?;
    if count > MAX_MASK {
        return Err(unsupported(node, "its mask is read, and too large for a constant"));
    }
    Ok(TensorProto { raw_data: vec![1; count], ..empty })
}

/// Most elements of a mask that becomes a constant, which a file can claim without having them.
const MAX_MASK: usize = 1 << 24;
