//! Names that are defined once in the whole model.
//!
//! ONNX lets two branches use one name for two values, and a branch use a name that its surroundings define later. Where
//! every name stands for one value, nodes can move in and out of branches as they are.

use std::collections::{HashMap, HashSet};

use super::dead;
use crate::edit::Names;
use crate::error::Error;
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// `model` with every name defined once, and without what nothing reads.
pub(super) fn unique(model: &Model) -> Result<Model, Error> {
    let mut repeated = Repeated::of(model.graph());
    let mut names = Names::of(model.graph());
    model.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            let mut define = |name: &str| repeated.takes_new_name(name).then(|| names.fresh(name));
            graph.node.iter_mut().try_for_each(|node| Renamer::new(&mut define).subgraphs(node))?;
            dead::remove(graph, model.opset());
        }
        Ok(())
    })
}

/// `model` with every name of a node, which need not have one, used once. Nodes that came from one share its name.
pub(super) fn unique_nodes(model: Model) -> Result<Model, Error> {
    let mut seen = HashSet::new();
    if !has_repeated_nodes(model.graph(), &mut seen) {
        return Ok(model);
    }
    model.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            name_nodes(graph, &mut Names::none());
        }
        Ok(())
    })
}

fn has_repeated_nodes<'m>(graph: &'m GraphProto, seen: &mut HashSet<&'m str>) -> bool {
    graph.node.iter().any(|node| {
        !node.name.is_empty() && !seen.insert(&node.name)
            || crate::check::subgraphs(node).any(|inner| has_repeated_nodes(inner, seen))
    })
}

fn name_nodes(graph: &mut GraphProto, names: &mut Names) {
    for node in &mut graph.node {
        if !node.name.is_empty() {
            node.name = names.fresh(&node.name);
        }
        for attribute in &mut node.attribute {
            for inner in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
                name_nodes(inner, names);
            }
        }
    }
}

/// The names that more than one graph defines, and which of them are in use.
struct Repeated {
    names: HashSet<String>,
    used: HashSet<String>,
}

impl Repeated {
    fn of(graph: &GraphProto) -> Self {
        let (mut names, mut seen) = (HashSet::new(), HashSet::new());
        let mut used = HashSet::new();
        definitions(graph, &mut |name| {
            seen.insert(name.to_owned());
            used.insert(name.to_owned());
        });
        let mut inner = |name: &str| {
            if !seen.insert(name.to_owned()) {
                names.insert(name.to_owned());
            }
        };
        graph.node.iter().for_each(|node| inner_definitions(node, &mut inner));
        Self { names, used }
    }

    /// The main graph keeps its names; of branches, the first one does.
    fn takes_new_name(&mut self, name: &str) -> bool {
        self.names.contains(name) && !self.used.insert(name.to_owned())
    }
}

/// Calls `visit` with every name that `graph` itself defines.
fn definitions(graph: &GraphProto, visit: &mut dyn FnMut(&str)) {
    let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
    graph.initializer.iter().chain(sparse).for_each(|tensor| visit(&tensor.name));
    graph.input.iter().for_each(|input| visit(&input.name));
    graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .filter(|name| !name.is_empty())
        .for_each(|name| visit(name));
}

fn inner_definitions(node: &NodeProto, visit: &mut dyn FnMut(&str)) {
    for graph in crate::check::subgraphs(node) {
        // A default value has the name of its input, which is one definition.
        let mut own = HashSet::new();
        definitions(graph, &mut |name| {
            own.insert(name.to_owned());
        });
        for name in &own {
            visit(name);
        }
        graph.node.iter().for_each(|inner| inner_definitions(inner, visit));
    }
}

/// Gives values new names, scope by scope.
pub(super) struct Renamer<'d> {
    /// New names of the values in scope that have one.
    scope: HashMap<String, String>,
    /// The new name of a value of a branch; `None` lets it keep its name.
    define: &'d mut dyn FnMut(&str) -> Option<String>,
    /// Whether every name that is read must have a new one.
    closed: bool,
}

/// What a scope meant by a name before an inner one used it.
type Shadowed = Vec<(String, Option<String>)>;

impl<'d> Renamer<'d> {
    pub(super) fn new(define: &'d mut dyn FnMut(&str) -> Option<String>) -> Self {
        Self { scope: HashMap::new(), define, closed: false }
    }

    /// A renamer for the body of a function, which sees nothing but `scope`.
    pub(super) fn closed(
        scope: HashMap<String, String>,
        define: &'d mut dyn FnMut(&str) -> Option<String>,
    ) -> Self {
        Self { scope, define, closed: true }
    }

    /// A renamer for the body of a loop, which sees what is around it besides `scope`.
    pub(super) fn within(
        scope: HashMap<String, String>,
        define: &'d mut dyn FnMut(&str) -> Option<String>,
    ) -> Self {
        Self { scope, define, closed: false }
    }

    /// What `name` is called now.
    pub(super) fn now(&self, name: &str) -> String {
        self.scope.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// Renames what `node` reads, and everything in its subgraphs.
    pub(super) fn reads(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        let reader = format!("node `{}` ({})", crate::check::node_name(node), node.op_type);
        for name in node.input.iter_mut().filter(|name| !name.is_empty()) {
            self.read(name, &reader)?;
        }
        self.subgraphs(node)
    }

    /// The new name of `name`, which some node of the outermost scope defines.
    pub(super) fn define(&mut self, name: &str) -> String {
        let new = (self.define)(name).unwrap_or_else(|| name.to_owned());
        self.scope.insert(name.to_owned(), new.clone());
        new
    }

    pub(super) fn subgraphs(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        for attribute in &mut node.attribute {
            for graph in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
                self.graph(graph)?;
            }
        }
        Ok(())
    }

    fn read(&self, name: &mut String, reader: &str) -> Result<(), Error> {
        match self.scope.get(name) {
            Some(new) => name.clone_from(new),
            None if self.closed => {
                return Err(Error::UndefinedName { name: name.clone(), reader: reader.to_owned() });
            }
            None => (),
        }
        Ok(())
    }

    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), Error> {
        let mut shadowed = Shadowed::new();
        for input in &mut graph.input {
            self.enter(&mut input.name, &mut shadowed);
        }
        let sparse = graph.sparse_initializer.iter_mut().filter_map(|sparse| sparse.values.as_mut());
        let defaults: HashSet<_> = shadowed.iter().map(|(name, _)| name.clone()).collect();
        for TensorProto { name, .. } in graph.initializer.iter_mut().chain(sparse) {
            if defaults.contains(name) {
                name.clone_from(&self.scope[name.as_str()]);
            } else {
                self.enter(name, &mut shadowed);
            }
        }
        for node in &mut graph.node {
            self.reads(node)?;
            for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
                self.enter(output, &mut shadowed);
            }
        }
        for output in &mut graph.output {
            self.read(&mut output.name, "the output of a subgraph")?;
        }
        for info in &mut graph.value_info {
            if let Some(new) = self.scope.get(&info.name) {
                info.name.clone_from(new);
            }
        }
        for (name, outer) in shadowed.into_iter().rev() {
            match outer {
                Some(outer) => self.scope.insert(name, outer),
                None => self.scope.remove(&name),
            };
        }
        Ok(())
    }

    /// Defines `name` in a subgraph.
    fn enter(&mut self, name: &mut String, shadowed: &mut Shadowed) {
        let new = (self.define)(name).unwrap_or_else(|| name.clone());
        shadowed.push((name.clone(), self.scope.insert(name.clone(), new.clone())));
        *name = new;
    }
}
