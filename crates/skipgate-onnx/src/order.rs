//! Nodes in an order in which each one reads what is there already.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::check::subgraphs;
use crate::proto::{GraphProto, ModelProto, NodeProto};

/// Moves nodes that stand in front of what they read, in the main graph and in the graphs inside of nodes. The others
/// keep their order. Nodes in a circle stay where they are, which the check of the model finds.
pub(crate) fn sort(model: &mut ModelProto) {
    if let Some(graph) = model.graph.as_mut() {
        sort_graph(graph);
    }
}

fn sort_graph(graph: &mut GraphProto) {
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            attribute.g.as_mut().into_iter().chain(&mut attribute.graphs).for_each(sort_graph);
        }
    }
    if let Some(order) = order(graph) {
        let mut nodes: Vec<_> = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
        graph.node = order.into_iter().filter_map(|index| nodes[index].take()).collect();
    }
}

/// Calls `visit` with every name that `node` reads and that is not defined inside of it.
fn for_each_outer_read<'m>(node: &'m NodeProto, visit: &mut dyn FnMut(&'m str)) {
    node.input.iter().filter(|name| !name.is_empty()).for_each(|name| visit(name));
    for graph in subgraphs(node) {
        let inputs = graph.input.iter().map(|input| input.name.as_str());
        let initializers = graph.initializer.iter().map(|tensor| tensor.name.as_str());
        let outputs = graph.node.iter().flat_map(|inner| inner.output.iter().map(String::as_str));
        let own: HashSet<_> = inputs.chain(initializers).chain(outputs).collect();
        let mut visit_outer = |name: &'m str| {
            if !own.contains(name) {
                visit(name);
            }
        };
        graph.node.iter().for_each(|inner| for_each_outer_read(inner, &mut visit_outer));
        graph.output.iter().for_each(|output| visit_outer(&output.name));
    }
}

/// The indices of all nodes in their new order; `None` if the old one is as good.
fn order(graph: &GraphProto) -> Option<Vec<usize>> {
    let mut producers = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            // A name that is defined twice is for the check.
            producers.entry(name.as_str()).or_insert(index);
        }
    }
    let mut readers = vec![Vec::new(); graph.node.len()];
    let mut missing = vec![0usize; graph.node.len()];
    let mut is_sorted = true;
    for (index, node) in graph.node.iter().enumerate() {
        for_each_outer_read(node, &mut |name| {
            if let Some(&producer) = producers.get(name) {
                readers[producer].push(index);
                missing[index] += 1;
                is_sorted &= producer < index;
            }
        });
    }
    if is_sorted {
        return None;
    }
    let ready = |(index, missing): (usize, &usize)| (*missing == 0).then_some(Reverse(index));
    let mut ready: BinaryHeap<_> = missing.iter().enumerate().filter_map(ready).collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    (order.len() == graph.node.len()).then_some(order)
}
