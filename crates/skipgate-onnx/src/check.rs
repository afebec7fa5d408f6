//! The invariants of a [`Model`](crate::Model).

use std::collections::HashSet;

use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use crate::error::Error;
use crate::model::{IR_VERSIONS, OPSET_VERSIONS};
use crate::tensor::{element_type, tensor_bytes};

/// Checks everything that [`Model`](crate::Model) promises.
pub(crate) fn model(proto: &ModelProto) -> Result<(), Error> {
    let graph = proto.graph.as_ref().ok_or(Error::NoGraph)?;
    if !IR_VERSIONS.contains(&proto.ir_version) {
        return Err(Error::IrVersion { found: proto.ir_version });
    }
    let found = opset(proto);
    if !found.is_some_and(|version| OPSET_VERSIONS.contains(&version)) {
        return Err(Error::OpsetVersion { found });
    }
    Scope::default().graph(graph)
}

/// Version of the default operator set, if the model imports it.
pub(crate) fn opset(proto: &ModelProto) -> Option<i64> {
    proto.opset_import.iter().find(|import| is_default_domain(&import.domain)).map(|import| import.version)
}

/// Whether `domain` is the one of ONNX itself, which has two spellings.
pub(crate) fn is_default_domain(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// What to call a node: its name, or else its first output.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

/// The graphs that a node holds in its attributes.
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute
        .iter()
        .flat_map(|attribute: &AttributeProto| attribute.g.as_ref().into_iter().chain(&attribute.graphs))
}

/// The names that can be read at one place of the model.
#[derive(Default)]
struct Scope<'m> {
    visible: HashSet<&'m str>,
}

impl<'m> Scope<'m> {
    fn graph(&mut self, graph: &'m GraphProto) -> Result<(), Error> {
        let mut own = Vec::new();
        // An initialiser may give an input its default value: one name, two mentions.
        let inputs: HashSet<_> = graph.input.iter().map(|input| input.name.as_str()).collect();
        graph.input.iter().try_for_each(|input| self.define(&input.name, &mut own))?;
        for tensor in &graph.initializer {
            tensor_data(tensor)?;
        }
        let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
        let initializers: HashSet<_> =
            graph.initializer.iter().chain(sparse).map(|t| t.name.as_str()).collect();
        if initializers.len() != graph.initializer.len() + graph.sparse_initializer.len() {
            return Err(duplicate_initializer(graph));
        }
        initializers.difference(&inputs).try_for_each(|name| self.define(name, &mut own))?;
        graph.node.iter().try_for_each(|node| self.node(node, &mut own))?;
        for output in &graph.output {
            self.read(&output.name, || format!("the graph output `{}`", output.name))?;
        }
        for name in own {
            self.visible.remove(name);
        }
        Ok(())
    }

    fn node(&mut self, node: &'m NodeProto, own: &mut Vec<&'m str>) -> Result<(), Error> {
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            self.read(name, || format!("node `{}` ({})", node_name(node), node.op_type))?;
        }
        for tensor in node
            .attribute
            .iter()
            .flat_map(|attribute| attribute.t.as_ref().into_iter().chain(&attribute.tensors))
        {
            tensor_data(tensor)?;
        }
        subgraphs(node).try_for_each(|graph| self.graph(graph))?;
        node.output.iter().filter(|name| !name.is_empty()).try_for_each(|name| self.define(name, own))
    }

    fn define(&mut self, name: &'m str, own: &mut Vec<&'m str>) -> Result<(), Error> {
        if !self.visible.insert(name) {
            return Err(Error::DuplicateName { name: name.to_owned() });
        }
        own.push(name);
        Ok(())
    }

    fn read(&self, name: &str, reader: impl FnOnce() -> String) -> Result<(), Error> {
        if self.visible.contains(name) {
            return Ok(());
        }
        Err(Error::UndefinedName { name: name.to_owned(), reader: reader() })
    }
}

/// Element types newer than this crate and strings pass: what is not understood is carried through.
fn tensor_data(tensor: &TensorProto) -> Result<(), Error> {
    let understood = (1..=26).contains(&tensor.data_type) && tensor.data_type != element_type::STRING;
    if understood { tensor_bytes(tensor).map(drop) } else { Ok(()) }
}

fn duplicate_initializer(graph: &GraphProto) -> Error {
    let mut seen = HashSet::new();
    let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
    let repeated = graph.initializer.iter().chain(sparse).find(|tensor| !seen.insert(tensor.name.as_str()));
    Error::DuplicateName { name: repeated.map(|tensor| tensor.name.clone()).unwrap_or_default() }
}
