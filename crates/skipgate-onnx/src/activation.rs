//! Activations, and when one more of them changes nothing.

use std::collections::HashMap;

use crate::check::is_default_domain;
use crate::dataflow::Dataflow;
use crate::proto::{NodeProto, TensorProto};
use crate::tensor;

/// Whether `node` applies a function of one variable to every element.
pub fn is_activation(node: &NodeProto) -> bool {
    let known = matches!(
        node.op_type.as_str(),
        "Celu"
            | "Clip"
            | "Elu"
            | "Erf"
            | "Gelu"
            | "HardSigmoid"
            | "HardSwish"
            | "Identity"
            | "LeakyRelu"
            | "Mish"
            | "PRelu"
            | "Relu"
            | "Selu"
            | "Sigmoid"
            | "Softplus"
            | "Softsign"
            | "Swish"
            | "Tanh"
            | "ThresholdedRelu"
    );
    known && is_default_domain(&node.domain)
}

/// Whether the activation `node` maps every element of `value` to itself, whatever the input of the model.
///
/// That is so for `Relu` and `Clip` where `value` was last changed by something whose results lie in their range.
pub(crate) fn leaves_unchanged<'m>(
    node: &NodeProto,
    value: &'m str,
    flow: &Dataflow<'m>,
    constants: &HashMap<&str, &TensorProto>,
) -> bool {
    if !matches!(node.op_type.as_str(), "Relu" | "Clip") {
        return false;
    }
    let Some((low, high)) = range(node, constants) else { return false };
    let Some((from, to)) = range_of_value(value, flow, constants) else { return false };
    low <= from && from <= to && to <= high
}

/// The smallest and largest result of `node`; `None` if it is no function with a known range.
fn range(node: &NodeProto, constants: &HashMap<&str, &TensorProto>) -> Option<(f32, f32)> {
    if !is_default_domain(&node.domain) {
        return None;
    }
    let bound = |index: usize, default: f32| match node.input.get(index).filter(|name| !name.is_empty()) {
        None => Some(default),
        Some(name) => tensor::floats(constants.get(name.as_str())?).ok()??.first().copied(),
    };
    match node.op_type.as_str() {
        "Relu" => Some((0.0, f32::INFINITY)),
        "Clip" => Some((bound(1, f32::MIN)?, bound(2, f32::MAX)?)),
        "Sigmoid" | "HardSigmoid" | "Softmax" => Some((0.0, 1.0)),
        _ => None,
    }
}

fn range_of_value<'m>(
    mut value: &'m str,
    flow: &Dataflow<'m>,
    constants: &HashMap<&str, &TensorProto>,
) -> Option<(f32, f32)> {
    loop {
        let (_, node) = flow.producer(value)?;
        if let Some(range) = range(node, constants) {
            return Some(range);
        }
        let selects = matches!(
            node.op_type.as_str(),
            "Flatten"
                | "GlobalMaxPool"
                | "Identity"
                | "MaxPool"
                | "Reshape"
                | "Slice"
                | "Squeeze"
                | "Transpose"
                | "Unsqueeze"
        );
        if !selects
            || !is_default_domain(&node.domain)
            || node.output.first().map(String::as_str) != Some(value)
        {
            return None;
        }
        value = node.input.first()?;
    }
}
