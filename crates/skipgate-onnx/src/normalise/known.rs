//! Integers that are known without running the model become initialisers: shapes, and what is computed from them.

use super::body::Body;
use super::context::Context;
use super::{Step, constant};
use crate::proto::NodeProto;
use crate::shapes::Value;
use crate::tensor;

/// A size that depends on a symbolic dimension is not known, so the model stays as general as it was.
pub(super) fn initializer(node: &NodeProto, body: &mut Body, context: &mut Context) -> Step {
    // These have steps of their own, which keep the constant that there is.
    if matches!(node.op_type.as_str(), "Constant" | "Identity") || node.output.len() != 1 {
        return Step::Keep;
    }
    let value = context.value(&node.output[0]);
    if let Some(Value { floats: Some(floats), .. }) = value.filter(|_| node.op_type == "Range") {
        let dims = vec![i64::try_from(floats.len()).unwrap_or(i64::MAX)];
        let tensor = tensor::from_floats(String::new(), dims, floats);
        return constant::replace(node, tensor, body, context);
    }
    let Some(Value { tensor_type, ints: Some(ints), .. }) = context.value(&node.output[0]) else {
        return Step::Keep;
    };
    let (Some(shape), Some(values)) =
        (tensor_type.static_shape(), ints.iter().copied().collect::<Option<Vec<_>>>())
    else {
        return Step::Keep;
    };
    match tensor::of_integers(tensor_type.element_type, &shape, &values) {
        Some(tensor) => constant::replace(node, tensor, body, context),
        None => Step::Keep,
    }
}
