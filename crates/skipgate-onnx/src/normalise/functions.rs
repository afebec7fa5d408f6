//! Model-local functions: every call is written out.

use std::collections::HashMap;

use super::context::plain;
use super::names::Renamer;
use crate::check::{is_default_domain, node_name};
use crate::edit::Names;
use crate::error::{Error, FunctionProblem};
use crate::model::Model;
use crate::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};
use protobuf::Message;

/// Most levels of functions that call functions. Exporters have one for each module, which nest less deeply.
const MAX_DEPTH: usize = 64;
/// Most nodes and calls that functions may come to.
const MAX_NODES: usize = 1 << 18;

/// `model` with the body of a function in the place of each call of it, and without functions.
pub(super) fn inline(model: &Model) -> Result<Model, Error> {
    if model.proto().functions.is_empty() {
        return Ok(model.clone());
    }
    let functions = by_key(model.proto())?;
    model.edited(|proto| {
        proto.functions.clear();
        let opsets =
            proto.opset_import.iter().map(|import| (domain(&import.domain).to_owned(), import.version));
        let opsets = opsets.collect();
        if let Some(graph) = proto.graph.as_mut() {
            let names = Names::of(graph);
            let mut inliner = Inliner { functions, opsets, names, stack: Vec::new(), nodes: 0, bytes: 0 };
            inliner.graph(graph)?;
        }
        Ok(())
    })
}

/// What a node names a function by: domain, name and overload.
type Key = (String, String, String);

fn by_key(model: &ModelProto) -> Result<HashMap<Key, &FunctionProto>, Error> {
    let mut functions = HashMap::new();
    for function in &model.functions {
        let key = (domain(&function.domain).to_owned(), function.name.clone(), function.overload.clone());
        if functions.insert(key, function).is_some() {
            return Err(problem(function, FunctionProblem::Duplicate));
        }
    }
    Ok(functions)
}

/// One spelling for each domain.
fn domain(domain: &str) -> &str {
    if is_default_domain(domain) { "" } else { domain }
}

fn problem(function: &FunctionProto, problem: FunctionProblem) -> Error {
    Error::Function { function: format!("{}::{}", function.domain, function.name), problem }
}

struct Inliner<'m> {
    functions: HashMap<Key, &'m FunctionProto>,
    /// Versions of the operator sets of the model.
    opsets: HashMap<String, i64>,
    names: Names,
    /// The functions that are being written out, the outermost first.
    stack: Vec<Key>,
    /// Nodes and calls written so far, and their size.
    nodes: usize,
    bytes: u64,
}

impl<'m> Inliner<'m> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), Error> {
        let nodes = std::mem::take(&mut graph.node);
        self.nodes(nodes, &mut graph.node)
    }

    /// Appends `nodes` to `written`, with calls written out.
    fn nodes(&mut self, nodes: Vec<NodeProto>, written: &mut Vec<NodeProto>) -> Result<(), Error> {
        for mut node in nodes {
            for attribute in &mut node.attribute {
                for graph in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
                    self.graph(graph)?;
                }
            }
            let key = (domain(&node.domain).to_owned(), node.op_type.clone(), node.overload.clone());
            match self.functions.get(&key).copied() {
                Some(function) => self.call(&node, key, function, written)?,
                None => written.push(node),
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: &NodeProto,
        key: Key,
        function: &'m FunctionProto,
        written: &mut Vec<NodeProto>,
    ) -> Result<(), Error> {
        self.check(call, &key, function)?;
        let body = self.body(call, function)?;
        self.stack.push(key);
        self.nodes(body, written)?;
        self.stack.pop();
        Ok(())
    }

    fn check(&mut self, call: &NodeProto, key: &Key, function: &FunctionProto) -> Result<(), Error> {
        self.nodes += 1 + function.node.len();
        let size = |node: &NodeProto| node.compute_size();
        self.bytes += function.node.iter().chain([call]).map(size).sum::<u64>();
        if self.stack.contains(key) {
            return Err(problem(function, FunctionProblem::Recursive));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(problem(function, FunctionProblem::TooDeep { limit: MAX_DEPTH }));
        }
        if self.nodes > MAX_NODES {
            return Err(problem(function, FunctionProblem::TooManyNodes { limit: MAX_NODES }));
        }
        if i32::try_from(self.bytes).is_err() {
            return Err(Error::TooLarge { bytes: self.bytes });
        }
        if call.input.len() > function.input.len() || call.output.len() > function.output.len() {
            let signature = FunctionProblem::Signature {
                node: node_name(call).to_owned(),
                inputs: call.input.len(),
                outputs: call.output.len(),
                expected_inputs: function.input.len(),
                expected_outputs: function.output.len(),
            };
            return Err(problem(function, signature));
        }
        self.check_opsets(function)
    }

    /// A node means what its operator set says, so that the body must be written for those of the model.
    fn check_opsets(&self, function: &FunctionProto) -> Result<(), Error> {
        let used = |domain_: &str| function.node.iter().any(|node| domain(&node.domain) == domain_);
        for import in &function.opset_import {
            let (domain, found) = (domain(&import.domain), import.version);
            let expected = self.opsets.get(domain).copied();
            // Domains of functions have versions that nothing depends on.
            let of_functions = self.functions.keys().any(|(of_function, ..)| of_function == domain);
            if used(domain) && expected != Some(found) && (domain.is_empty() || !of_functions) {
                let domain = if domain.is_empty() { "ai.onnx" } else { domain }.to_owned();
                return Err(problem(function, FunctionProblem::OpsetVersion { domain, found, expected }));
            }
        }
        Ok(())
    }

    /// The nodes of `function` with the names and attributes of `call`.
    fn body(&mut self, call: &NodeProto, function: &FunctionProto) -> Result<Vec<NodeProto>, Error> {
        let given = call.input.iter().cloned().chain(std::iter::repeat(String::new()));
        let mut scope: HashMap<_, _> = function.input.iter().cloned().zip(given).collect();
        // An output that the call leaves out is an inner value like others.
        let results: HashMap<_, _> =
            function.output.iter().cloned().zip(call.output.iter().cloned()).collect();
        let prefix = node_name(call);
        let names = &mut self.names;
        let mut define = |name: &str| match results.get(name).filter(|result| !result.is_empty()) {
            Some(result) => Some(result.clone()),
            None => Some(names.fresh(&format!("{prefix}/{name}"))),
        };
        let inputs = std::mem::take(&mut scope);
        let mut renamer = Renamer::closed(inputs.clone(), &mut define);
        let mut nodes = Vec::with_capacity(function.node.len());
        let mut defined: HashMap<String, String> = HashMap::new();
        for node in &function.node {
            let mut node = node.clone();
            resolve_attributes(&mut node, call, function);
            renamer.reads(&mut node)?;
            for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
                if inputs.contains_key(output) || defined.contains_key(output) {
                    return Err(Error::DuplicateName { name: output.clone() });
                }
                let new = renamer.define(output);
                defined.insert(std::mem::replace(output, new.clone()), new);
            }
            node.name = if node.name.is_empty() { String::new() } else { format!("{prefix}/{}", node.name) };
            if node.metadata_props.is_empty() {
                node.metadata_props.clone_from(&call.metadata_props);
            }
            nodes.push(node);
        }
        nodes.extend(handed_on(call, function, &inputs, &defined)?);
        Ok(nodes)
    }
}

/// An `Identity` for each output of `function` that is an input of it, or another output.
fn handed_on(
    call: &NodeProto,
    function: &FunctionProto,
    inputs: &HashMap<String, String>,
    defined: &HashMap<String, String>,
) -> Result<Vec<NodeProto>, Error> {
    let mut nodes = Vec::new();
    for (name, result) in function.output.iter().zip(&call.output).filter(|(_, result)| !result.is_empty()) {
        let Some(source) = defined.get(name).or_else(|| inputs.get(name)) else {
            let reader = format!("the output of function `{}`", function.name);
            return Err(Error::UndefinedName { name: name.clone(), reader });
        };
        if source != result {
            nodes.push(plain("Identity", &call.name, vec![source.clone()], result.clone()));
        }
    }
    Ok(nodes)
}

/// Puts the attributes of `call`, or else the defaults of `function`, where `node` refers to them. A reference to neither
/// is an attribute that is left out.
fn resolve_attributes(node: &mut NodeProto, call: &NodeProto, function: &FunctionProto) {
    let value = |name: &str| {
        let of = |attributes: &[AttributeProto]| attributes.iter().find(|a| a.name == name).cloned();
        of(&call.attribute).or_else(|| of(&function.attribute_proto))
    };
    let attributes = std::mem::take(&mut node.attribute);
    node.attribute = attributes
        .into_iter()
        .filter_map(|attribute| {
            if attribute.ref_attr_name.is_empty() {
                return Some(attribute);
            }
            Some(AttributeProto { name: attribute.name, ..value(&attribute.ref_attr_name)? })
        })
        .collect();
    for attribute in &mut node.attribute {
        for graph in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
            graph.node.iter_mut().for_each(|inner| resolve_attributes(inner, call, function));
        }
    }
}
