//! `Cast` of floats to unsigned integers.

use super::Step;
use super::body::Body;
use super::context::{Context, Parts};
use crate::edit::int_attribute;
use crate::proto::NodeProto;
use crate::tensor::element_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16, INT64, UINT8, UINT16, UINT32};

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
    let mut parts = Parts::of(node);
    let to = vec![int_attribute("to", INT64.into())];
    let whole = parts.add(context, "Cast", &[&node.input[0]], to);
    Step::nodes(parts.finish("Cast", &[&whole], node.attribute.clone()))
}
