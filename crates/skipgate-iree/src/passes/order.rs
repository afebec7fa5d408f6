//! What is computed when: as in the file, but for what a kernel adds, which is computed before the kernel.

use std::collections::HashSet;

use skipgate_onnx::{Graph, NodeId, ScopeId, ValueId};

use super::layers::Layers;

/// Most nodes that are computed before their turn for one kernel: shortcuts are short.
const MOST_EARLY: usize = 64;

/// Whether `value` can be computed before the kernel that does `group`, whose first node is its layer.
///
/// It cannot where it depends on the group, also by way of what other kernels add, or where an `If` would have to be
/// moved: its branches read more than its operands.
pub(super) fn can_come_first(graph: &Graph, layers: &Layers, group: &[NodeId], value: ValueId) -> bool {
    let scope = graph.node(group[0]).scope;
    let (mut work, mut seen, mut early) = (vec![value], HashSet::new(), 0);
    while let Some(value) = work.pop() {
        let Some(node) = graph.producer(value).filter(|&node| graph.node(node).scope == scope) else {
            continue;
        };
        let members = layers.group(node);
        let first = members.first().copied().unwrap_or(node);
        if group.contains(&node) || group.contains(&first) {
            return false;
        }
        if !seen.insert(first) {
            continue;
        }
        if first > group[0] {
            early += 1;
            if graph.node(first).is("If") || early > MOST_EARLY {
                return false;
            }
        }
        let members = if members.is_empty() { &[node][..] } else { members };
        work.extend(members.iter().flat_map(|&member| graph.node(member).reads()));
    }
    true
}

/// The nodes of `scope` in the order in which they are computed, but for those that kernels of others do too.
pub(super) fn of_scope(graph: &Graph, layers: &Layers, scope: ScopeId) -> Vec<NodeId> {
    let mut order = Order { graph, layers, scope, started: HashSet::new(), nodes: Vec::new() };
    for &node in &graph.scope(scope).nodes {
        order.place(node);
    }
    order.nodes
}

struct Order<'p, 'm> {
    graph: &'p Graph<'m>,
    layers: &'p Layers<'m>,
    scope: ScopeId,
    started: HashSet<NodeId>,
    /// Those that are placed.
    nodes: Vec<NodeId>,
}

impl Order<'_, '_> {
    /// Places the kernel that does `node`, or `node` itself, behind everything that it reads. Recursion is as deep as a
    /// chain of nodes that are early, at most.
    fn place(&mut self, node: NodeId) {
        let members = self.layers.group(node);
        let members = if members.is_empty() { &[node][..] } else { members };
        if !self.started.insert(members[0]) {
            return;
        }
        for value in members.iter().flat_map(|&member| self.graph.node(member).reads()) {
            if let Some(producer) = self.graph.producer(value) {
                if self.graph.node(producer).scope == self.scope {
                    self.place(producer);
                }
            }
        }
        self.nodes.push(members[0]);
    }
}
