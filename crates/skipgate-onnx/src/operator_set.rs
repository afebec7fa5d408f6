//! The operator set of ONNX itself, where a file need not name one or names one from before all that can be read.

use crate::check::{is_default_domain, opset, subgraphs};
use crate::model::OPSET_VERSIONS;
use crate::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

/// The operator set of a model that uses no operator of ONNX itself: what takes the place of its nodes is of this one.
const LATER: i64 = 21;

/// Operators of the first operator set that mean the same in the first one that can be read.
const UNCHANGED: &[&str] = &[
    "AveragePool",
    "Constant",
    "Conv",
    "ConvTranspose",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "LRN",
    "MatMul",
    "MaxPool",
    "Not",
    "Shape",
    "Size",
    "Softmax",
    "Softplus",
    "Softsign",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Lets `proto` be in an operator set that can be read, if its nodes mean the same there.
pub(crate) fn complete(proto: &mut ModelProto) {
    let (found, first) = (opset(proto), *OPSET_VERSIONS.start());
    let means_the_same = |node: &NodeProto| match found {
        None => !is_default_domain(&node.domain),
        Some(_) => !is_default_domain(&node.domain) || UNCHANGED.contains(&node.op_type.as_str()),
    };
    let is_known = found.is_some_and(|version| !(1..first).contains(&version));
    if is_known || !proto.functions.is_empty() || !all_nodes(&proto.graph, &means_the_same) {
        return;
    }
    match proto.opset_import.iter_mut().find(|import| is_default_domain(&import.domain)) {
        Some(import) => import.version = first,
        None => {
            proto.opset_import.push(OperatorSetIdProto { version: LATER, ..OperatorSetIdProto::default() });
        }
    }
}

fn all_nodes(graph: &GraphProto, holds: &dyn Fn(&NodeProto) -> bool) -> bool {
    graph.node.iter().all(|node| holds(node) && subgraphs(node).all(|inner| all_nodes(inner, holds)))
}
