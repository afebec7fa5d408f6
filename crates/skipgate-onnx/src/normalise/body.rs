//! The nodes of one graph as they are written anew.

use std::collections::{HashMap, HashSet};

use crate::edit::rename_reads;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};

/// What is written of a graph so far.
pub(super) struct Body {
    nodes: Vec<NodeProto>,
    /// The node that computes each value.
    producers: HashMap<String, usize>,
    outputs: HashSet<String>,
    /// What to read instead of values that are gone.
    aliases: HashMap<String, String>,
    /// Values that take the name of an output of the graph.
    renamed: HashMap<String, String>,
    /// Quantisation by what it computes, with its result.
    pub(super) quantized: HashMap<Vec<u8>, String>,
    infos: Vec<ValueInfoProto>,
}

impl Body {
    pub(super) fn new(graph: &GraphProto) -> Self {
        Self {
            nodes: Vec::new(),
            producers: HashMap::new(),
            outputs: graph.output.iter().map(|output| output.name.clone()).collect(),
            aliases: HashMap::new(),
            renamed: HashMap::new(),
            quantized: HashMap::new(),
            infos: Vec::new(),
        }
    }

    /// What to read instead of `name`, if that is gone.
    pub(super) fn source(&self, name: &str) -> Option<String> {
        self.aliases.get(name).cloned()
    }

    pub(super) fn is_output(&self, name: &str) -> bool {
        self.outputs.contains(name)
    }

    /// The node of this graph that computes `name`.
    pub(super) fn producer(&self, name: &str) -> Option<&NodeProto> {
        self.producers.get(name).map(|&index| &self.nodes[index])
    }

    /// Types that the file declares for values that move here.
    pub(super) fn declare(&mut self, infos: &[ValueInfoProto]) {
        self.infos.extend_from_slice(infos);
    }

    pub(super) fn push(&mut self, node: NodeProto) {
        let index = self.nodes.len();
        self.producers.extend(node.output.iter().map(|output| (output.clone(), index)));
        self.nodes.push(node);
    }

    /// Lets `output` of `node` be `source`. An output of the graph keeps its name: `source` takes it if it can, and
    /// else an `Identity` gives it. Returns whether that is a change.
    pub(super) fn alias(&mut self, node: &NodeProto, output: &str, source: &str) -> bool {
        if !self.is_output(output) {
            self.aliases.insert(output.to_owned(), source.to_owned());
            return true;
        }
        let computed_here = self.producers.contains_key(source);
        if computed_here && !self.is_output(source) && !self.renamed.contains_key(source) {
            self.renamed.insert(source.to_owned(), output.to_owned());
            self.aliases.insert(output.to_owned(), source.to_owned());
            return true;
        }
        let identity = NodeProto {
            op_type: "Identity".to_owned(),
            name: node.name.clone(),
            input: vec![source.to_owned()],
            output: vec![output.to_owned()],
            metadata_props: node.metadata_props.clone(),
            ..NodeProto::default()
        };
        let changed = node.op_type != "Identity" || node.input != identity.input;
        self.push(identity);
        changed
    }

    /// Puts the nodes into `graph`.
    pub(super) fn finish(mut self, graph: &mut GraphProto) {
        if !self.renamed.is_empty() {
            self.rename();
        }
        let declared: HashSet<_> = graph.value_info.iter().map(|info| info.name.clone()).collect();
        for info in &mut graph.value_info {
            // The type that the file declares for a value is all that is known of what it is now.
            if let Some(source) = self.aliases.get(&info.name) {
                if !declared.contains(source) && self.producers.contains_key(source) {
                    info.name.clone_from(source);
                }
            }
        }
        graph.value_info.append(&mut self.infos);
        let mut seen = self.outputs;
        graph.value_info.retain(|info| {
            self.producers.contains_key(&info.name)
                && !self.renamed.contains_key(&info.name)
                && seen.insert(info.name.clone())
        });
        graph.node = self.nodes;
    }

    fn rename(&mut self) {
        let renamed = &self.renamed;
        for node in &mut self.nodes {
            rename_reads(node, &|name| renamed.get(name).cloned());
            for output in &mut node.output {
                if let Some(new) = renamed.get(output) {
                    output.clone_from(new);
                }
            }
        }
    }
}
