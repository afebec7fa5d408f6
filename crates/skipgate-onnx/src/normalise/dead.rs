//! Removes what nothing reads.

use std::collections::HashSet;

use super::weights::MODE_IS_AN_ATTRIBUTE;
use crate::check::is_default_domain;
use crate::edit::for_each_read;
use crate::proto::{AttributeProto, GraphProto, NodeProto};

/// Removes nodes, optional outputs and initialisers that nothing reads, those of branches included; returns whether
/// there were any. Inputs of the graph stay, with their default values.
pub(super) fn remove(graph: &mut GraphProto, opset: i64) -> bool {
    let mut live = HashSet::new();
    remove_from(graph, opset, &mut live)
}

/// `live` is what is read outside of `graph` and behind it; what `graph` reads is added.
fn remove_from(graph: &mut GraphProto, opset: i64, live: &mut HashSet<String>) -> bool {
    live.extend(graph.output.iter().map(|output| output.name.clone()));
    let mut changed = false;
    let mut kept = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node).into_iter().rev() {
        if !node.output.iter().any(|output| live.contains(output)) {
            changed = true;
            continue;
        }
        changed |= forget_outputs(&mut node, opset, live);
        for attribute in &mut node.attribute {
            for inner in graphs(attribute) {
                changed |= remove_from(inner, opset, live);
            }
        }
        for_each_read(&node, &mut |name| {
            if !live.contains(name) {
                live.insert(name.to_owned());
            }
        });
        kept.push(node);
    }
    kept.reverse();
    graph.node = kept;
    changed |= remove_tensors(graph, live);
    changed
}

fn graphs(attribute: &mut AttributeProto) -> impl Iterator<Item = &mut GraphProto> {
    attribute.g.as_mut().into_iter().chain(&mut attribute.graphs)
}

/// Takes trailing outputs that nothing reads from operators that need not have them: the compiler refuses some that are
/// there. Before operator set 14 a `BatchNormalization` has more than one in training mode only, and is another one without.
fn forget_outputs(node: &mut NodeProto, opset: i64, live: &HashSet<String>) -> bool {
    let optional = match node.op_type.as_str() {
        "BatchNormalization" => opset >= MODE_IS_AN_ATTRIBUTE,
        "Dropout" | "LayerNormalization" | "MaxPool" => true,
        _ => false,
    };
    let optional = optional && is_default_domain(&node.domain);
    let before = node.output.len();
    while optional && node.output.len() > 1 && node.output.last().is_some_and(|output| !live.contains(output))
    {
        node.output.pop();
    }
    node.output.len() != before
}

fn remove_tensors(graph: &mut GraphProto, live: &HashSet<String>) -> bool {
    let inputs: HashSet<_> = graph.input.iter().map(|input| input.name.as_str()).collect();
    let before = (graph.initializer.len(), graph.sparse_initializer.len(), graph.value_info.len());
    graph.initializer.retain(|tensor| live.contains(&tensor.name) || inputs.contains(tensor.name.as_str()));
    graph.sparse_initializer.retain(|sparse| sparse.values.as_ref().is_none_or(|t| live.contains(&t.name)));
    // What a node computes besides is declared still: its type may be all that is known of it.
    let computed: HashSet<_> = graph.node.iter().flat_map(|node| &node.output).collect();
    graph.value_info.retain(|info| live.contains(&info.name) || computed.contains(&info.name));
    before != (graph.initializer.len(), graph.sparse_initializer.len(), graph.value_info.len())
}
