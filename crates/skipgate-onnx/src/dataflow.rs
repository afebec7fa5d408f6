//! How data flows through the main graph: who computes and reads each value, and through which value all data of
//! another one has to pass (dominators).

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::check::is_default_domain;
use crate::edit::for_each_read;
use crate::proto::{GraphProto, NodeProto};

/// The main graph, indexed. Nodes are known by their place in the graph, which is a topological order.
///
/// Only data that depends on the contents of the graph's inputs counts as flow: initialisers, what is computed from
/// constants alone, and what depends on nothing but the shape of a value do not.
pub(crate) struct Dataflow<'m> {
    graph: &'m GraphProto,
    producers: HashMap<&'m str, usize>,
    readers: HashMap<&'m str, Vec<usize>>,
    outputs: HashSet<&'m str>,
    vertices: Vec<Vertex<'m>>,
    values: HashMap<&'m str, usize>,
    nodes: HashMap<usize, usize>,
}

/// A node of the dominator tree: a value, or a graph node (which matters where that has several outputs).
struct Vertex<'m> {
    value: Option<&'m str>,
    dominator: usize,
    depth: usize,
}

/// Where all flow starts, in front of every graph input.
const ROOT: usize = 0;

impl<'m> Dataflow<'m> {
    pub(crate) fn new(graph: &'m GraphProto) -> Self {
        let mut flow = Self {
            graph,
            producers: HashMap::new(),
            readers: HashMap::new(),
            outputs: graph.output.iter().map(|output| output.name.as_str()).collect(),
            vertices: vec![Vertex { value: None, dominator: ROOT, depth: 0 }],
            values: HashMap::new(),
            nodes: HashMap::new(),
        };
        let defaults: HashSet<_> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        for input in graph.input.iter().filter(|input| !defaults.contains(input.name.as_str())) {
            flow.add_value(&input.name, ROOT);
        }
        graph.node.iter().enumerate().for_each(|(index, node)| flow.add_node(index, node));
        flow
    }

    fn add_node(&mut self, index: usize, node: &'m NodeProto) {
        let mut reads = Vec::new();
        for_each_read(node, &mut |name| reads.push(name));
        for name in &reads {
            let readers = self.readers.entry(name).or_default();
            if readers.last() != Some(&index) {
                readers.push(index);
            }
        }
        self.producers.extend(node.output.iter().map(|output| (output.as_str(), index)));
        let read_for_data = reads.iter().take(data_inputs(node));
        let flowing = read_for_data.filter_map(|name| self.values.get(name).copied());
        let dominator = flowing.reduce(|a, b| self.common(a, b));
        let Some(dominator) = dominator else { return };
        let vertex = self.add_vertex(None, dominator);
        self.nodes.insert(index, vertex);
        node.output.iter().filter(|name| !name.is_empty()).for_each(|name| self.add_value(name, vertex));
    }

    fn add_value(&mut self, name: &'m str, dominator: usize) {
        let vertex = self.add_vertex(Some(name), dominator);
        self.values.insert(name, vertex);
    }

    fn add_vertex(&mut self, value: Option<&'m str>, dominator: usize) -> usize {
        let depth = self.vertices[dominator].depth + 1;
        self.vertices.push(Vertex { value, dominator, depth });
        self.vertices.len() - 1
    }

    /// The nearest vertex that dominates both.
    fn common(&self, mut a: usize, mut b: usize) -> usize {
        while a != b {
            let deeper = if self.vertices[a].depth >= self.vertices[b].depth { &mut a } else { &mut b };
            *deeper = self.vertices[*deeper].dominator;
        }
        a
    }

    pub(crate) fn node(&self, index: usize) -> &'m NodeProto {
        &self.graph.node[index]
    }

    /// The node that computes `value`, with its place.
    pub(crate) fn producer(&self, value: &str) -> Option<(usize, &'m NodeProto)> {
        self.producers.get(value).map(|&index| (index, self.node(index)))
    }

    /// Places of the nodes that read `value`, ascending.
    pub(crate) fn readers(&self, value: &str) -> &[usize] {
        self.readers.get(value).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_output(&self, value: &str) -> bool {
        self.outputs.contains(value)
    }

    /// Whether `value` depends on the contents of the graph's inputs.
    pub(crate) fn flows(&self, value: &str) -> bool {
        self.values.contains_key(value)
    }

    /// The value that all data of node `index` has passed last; `None` where it comes from several inputs of the
    /// graph or from several outputs of one node.
    pub(crate) fn dominator_of_node(&self, index: usize) -> Option<&'m str> {
        let vertex = *self.nodes.get(&index)?;
        self.vertices[self.vertices[vertex].dominator].value
    }

    /// The values that all data of `value` has passed, the last one first.
    pub(crate) fn dominators(&self, value: &str) -> impl Iterator<Item = &'m str> {
        let start = self.values.get(value).map(|&vertex| self.vertices[vertex].dominator);
        let up = |vertex: &usize| (*vertex != ROOT).then(|| self.vertices[*vertex].dominator);
        std::iter::successors(start, up).filter_map(|vertex| self.vertices[vertex].value)
    }

    /// The nodes that data passes on its way from `entry` to `value`, ascending. `entry` must dominate `value`.
    /// `None` if there are more than `limit`.
    pub(crate) fn between(&self, entry: &str, value: &str, limit: usize) -> Option<Vec<usize>> {
        let (mut found, mut work) = (HashSet::new(), vec![value]);
        while let Some(value) = work.pop() {
            if value == entry || !self.flows(value) {
                continue;
            }
            if let Some((index, node)) = self.producer(value) {
                if found.insert(index) {
                    for_each_read(node, &mut |name| work.push(name));
                }
            }
            if found.len() > limit {
                return None;
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        Some(found)
    }

    /// The nodes that data of `entry` passes on its way to `value`, ascending, whatever else they read.
    pub(crate) fn through(&self, entry: &str, value: &str) -> Vec<usize> {
        // What computes `entry`, and all in front of it in the graph, does not depend on it.
        let first = self.producer(entry).map_or(0, |(index, _)| index + 1);
        let (mut behind, mut work) = (BTreeSet::new(), vec![value]);
        while let Some(value) = work.pop() {
            let producer = self.producer(value).filter(|(index, _)| *index >= first && self.flows(value));
            if let Some((index, node)) = producer {
                if value != entry && behind.insert(index) {
                    for_each_read(node, &mut |name| work.push(name));
                }
            }
        }
        let mut depending = HashSet::from([entry]);
        behind.retain(|&index| {
            let mut depends = false;
            for_each_read(self.node(index), &mut |name| depends |= depending.contains(name));
            if depends {
                depending.extend(self.node(index).output.iter().map(String::as_str));
            }
            depends
        });
        behind.into_iter().collect()
    }

    /// `nodes` (ascending), plus the nodes that `exit` or `nodes` need and that read something `nodes` compute: those
    /// that compute shapes of values inside.
    pub(crate) fn with_helpers(&self, nodes: &[usize], exit: usize) -> Vec<usize> {
        let Some(&first) = nodes.first() else { return Vec::new() };
        let mut needed: HashSet<_> = nodes.iter().copied().collect();
        let mut work: Vec<_> = nodes.iter().copied().chain([exit]).collect();
        while let Some(index) = work.pop() {
            for_each_read(self.node(index), &mut |name| {
                if let Some(producer) = self.producers.get(name).filter(|producer| **producer > first) {
                    if needed.insert(*producer) {
                        work.push(*producer);
                    }
                }
            });
        }
        let mut inside: HashSet<_> = nodes.iter().copied().collect();
        let mut candidates: Vec<_> = needed.into_iter().filter(|index| !inside.contains(index)).collect();
        candidates.sort_unstable();
        for index in candidates {
            let mut depends = false;
            for_each_read(self.node(index), &mut |name| {
                depends |= self.producers.get(name).is_some_and(|producer| inside.contains(producer));
            });
            if depends {
                inside.insert(index);
            }
        }
        let mut inside: Vec<_> = inside.into_iter().collect();
        inside.sort_unstable();
        inside
    }
}

/// How many of the inputs of `node`, from the first on, are read for their elements and not only for shape or type.
fn data_inputs(node: &NodeProto) -> usize {
    match node.op_type.as_str() {
        "Shape" | "Size" if is_default_domain(&node.domain) => 0,
        "CastLike" if is_default_domain(&node.domain) => 1,
        _ => usize::MAX,
    }
}
