//! What every rewrite of a graph needs: who reads what, fresh names, removal of what nothing reads any more.

use std::collections::{HashMap, HashSet};

use crate::attributes::Attributes;
use crate::check::{is_default_domain, subgraphs};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Calls `visit` with every name that `node` reads, those that its subgraphs read from outside included.
///
/// Names that a subgraph defines itself are visited too; they are no names of the outer graph, so it does no harm.
pub(crate) fn for_each_read<'m>(node: &'m NodeProto, visit: &mut dyn FnMut(&'m str)) {
    node.input.iter().filter(|name| !name.is_empty()).for_each(|name| visit(name));
    for graph in subgraphs(node) {
        graph.node.iter().for_each(|inner| for_each_read(inner, visit));
        graph.output.iter().for_each(|output| visit(&output.name));
    }
}

/// Renames what `node` and its subgraphs read.
pub(crate) fn rename_reads(node: &mut NodeProto, rename: &dyn Fn(&str) -> Option<String>) {
    for name in &mut node.input {
        if let Some(new) = rename(name) {
            *name = new;
        }
    }
    for attribute in &mut node.attribute {
        for graph in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
            graph.node.iter_mut().for_each(|inner| rename_reads(inner, rename));
            for output in &mut graph.output {
                if let Some(new) = rename(&output.name) {
                    output.name = new;
                }
            }
        }
    }
}

/// How often each value of `graph` is read, as an output of the graph included.
pub(crate) fn read_counts(graph: &GraphProto) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    let mut count = |name| *counts.entry(name).or_insert(0) += 1;
    graph.node.iter().for_each(|node| for_each_read(node, &mut count));
    graph.output.iter().for_each(|output| count(&output.name));
    counts
}

/// The names of all values of a graph and its subgraphs, to choose new ones from.
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The last number given to each wanted name, so that a name that is wanted often is not tried from one on.
    numbers: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn none() -> Self {
        Self { taken: HashSet::new(), numbers: HashMap::new() }
    }

    pub(crate) fn of(graph: &GraphProto) -> Self {
        let mut taken = HashSet::new();
        collect_names(graph, &mut taken);
        Self { taken, numbers: HashMap::new() }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// `wanted`, or `wanted` with a number if that is taken. The name is taken from then on.
    pub(crate) fn fresh(&mut self, wanted: &str) -> String {
        if self.taken.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        let number = self.numbers.entry(wanted.to_owned()).or_insert(1);
        loop {
            *number += 1;
            let name = format!("{wanted}.{number}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

fn collect_names(graph: &GraphProto, names: &mut HashSet<String>) {
    let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
    names.extend(graph.initializer.iter().chain(sparse).map(|tensor| tensor.name.clone()));
    names.extend(graph.input.iter().map(|input| input.name.clone()));
    for node in &graph.node {
        names.extend(node.output.iter().cloned());
        subgraphs(node).for_each(|inner| collect_names(inner, names));
    }
}

/// The constant tensors of a graph by name: initialisers, `Constant` nodes, and `Identity` of either.
pub(crate) fn constants(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    let mut constants: HashMap<_, _> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    for node in graph.node.iter().filter(|node| is_default_domain(&node.domain)) {
        let tensor = match (node.op_type.as_str(), node.input.first()) {
            ("Constant", _) => Attributes::of(node).tensor("value").ok().flatten(),
            ("Identity", Some(input)) => constants.get(input.as_str()).copied(),
            _ => None,
        };
        if let (Some(tensor), Some(output)) = (tensor, node.output.first()) {
            constants.insert(output, tensor);
        }
    }
    constants
}

/// Removes those of `seeds` that nothing reads, and what only they were computed from. Anything else that nothing
/// reads stays: it was like that in the file.
pub(crate) fn prune(graph: &mut GraphProto, seeds: impl IntoIterator<Item = String>) {
    let mut counts: HashMap<String, usize> =
        read_counts(graph).into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let producers: HashMap<String, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |name| (name.clone(), index)))
        .collect();
    let unread =
        |counts: &HashMap<String, usize>, name: &str| counts.get(name).is_none_or(|count| *count == 0);
    let (mut work, mut gone): (Vec<_>, HashSet<_>) = (seeds.into_iter().collect(), HashSet::new());
    let mut dead_nodes = HashSet::new();
    while let Some(name) = work.pop() {
        if name.is_empty() || !unread(&counts, &name) {
            continue;
        }
        if let Some(&index) = producers.get(&name) {
            let node = &graph.node[index];
            if node.output.iter().all(|output| unread(&counts, output)) && dead_nodes.insert(index) {
                for_each_read(node, &mut |read| {
                    if let Some(count) = counts.get_mut(read) {
                        *count -= 1;
                    }
                    work.push(read.to_owned());
                });
                gone.extend(node.output.iter().cloned());
            }
        } else {
            gone.insert(name);
        }
    }
    remove(graph, &gone, &dead_nodes);
}

fn remove(graph: &mut GraphProto, gone: &HashSet<String>, dead_nodes: &HashSet<usize>) {
    remove_nodes(graph, dead_nodes);
    // A true input stays even if nothing reads it; the default value of one goes with its input.
    let defaults: HashSet<_> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
    graph.input.retain(|input| !(gone.contains(&input.name) && defaults.contains(&input.name)));
    graph.initializer.retain(|tensor| !gone.contains(&tensor.name));
    graph.value_info.retain(|info| !gone.contains(&info.name));
}

/// An attribute that holds integers.
pub(crate) fn ints_attribute(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INTS.into(),
        ints,
        ..AttributeProto::default()
    }
}

/// An attribute that holds one integer.
pub(crate) fn text_attribute(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::STRING.into(),
        s: Some(value.as_bytes().to_vec()),
        ..AttributeProto::default()
    }
}

pub(crate) fn int_attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INT.into(),
        i: Some(value),
        ..AttributeProto::default()
    }
}

/// Removes the nodes at `places`.
pub(crate) fn remove_nodes(graph: &mut GraphProto, places: &HashSet<usize>) {
    let mut place = 0..;
    graph.node.retain(|_| place.next().is_some_and(|place| !places.contains(&place)));
}
