//! `Cast` of floats to unsigned integers and to booleans, and `CastLike` (operator set 15), which says otherwise to what.

use super::Step;
use super::body::Body;
use super::context::{Context, Parts};
use crate::edit::int_attribute;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::{
    BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64, UINT8, UINT16, UINT32,
};

/// Casts to a signed integer that holds all of them on the way: the compiler casts to the signed integer of the same
/// size, which ends at half of them.
pub(super) fn through_signed(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    if node.op_type != "Cast" || node.input.is_empty() {
        return Step::Keep;
    }
    let element = |name: &str| context.tensor_type(name).map(|value| value.element_type);
    let from_float = matches!(element(&node.input[0]), Some(FLOAT | FLOAT16 | BFLOAT16 | DOUBLE));
    if !from_float || !matches!(element(&node.output[0]), Some(UINT8 | UINT16 | UINT32)) {
        return Step::Keep;
    }
    // Not a wider one than needed: 32-bit machines have no instruction for the widest.
    let signed = if element(&node.output[0]) == Some(UINT32) { INT64 } else { INT32 };
    let mut parts = Parts::of(node);
    let to = vec![int_attribute("to", signed.into())];
    let whole = parts.add(context, "Cast", &[&node.input[0]], to);
    Step::nodes(parts.finish("Cast", &[&whole], node.attribute.clone()))
}

/// Writes a `CastLike` as a `Cast`: the elements of what it is like do not matter.
pub(super) fn like(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let [input, like] = &node.input[..] else { return Step::Keep };
    let Some(like) = context.tensor_type(like).filter(|_| node.op_type == "CastLike") else {
        return Step::Keep;
    };
    let to = int_attribute("to", like.element_type.into());
    let attributes = node.attribute.iter().cloned().chain([to]).collect();
    Step::nodes(Parts::of(node).finish("Cast", &[input], attributes))
}

/// Compares with zero: the compiler rounds a constant towards zero first, and the numbers below 1 are not false.
pub(super) fn to_bool(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    if node.op_type != "Cast" || node.input.is_empty() {
        return Step::Keep;
    }
    let element = |name: &str| context.tensor_type(name).map(|value| value.element_type);
    if element(&node.input[0]) != Some(FLOAT) || element(&node.output[0]) != Some(BOOL) {
        return Step::Keep;
    }
    let zero = context.fresh(&format!("{}.zero", node.output[0]));
    context.add(tensor::from_floats(zero.clone(), vec![], &[0.0]));
    let mut parts = Parts::of(node);
    let is_zero = parts.add(context, "Equal", &[&node.input[0], &zero], vec![]);
    Step::nodes(parts.finish("Not", &[&is_zero], vec![]))
}
