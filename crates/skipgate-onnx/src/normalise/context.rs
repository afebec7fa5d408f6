//! What passes know about a model, and the constants that they add to it.

use std::collections::{HashMap, HashSet};

use crate::check::{opset, subgraphs};
use crate::edit::{Names, read_counts};
use crate::error::Error;
use crate::fold;
use crate::model::Model;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::shapes::site::Site;
use crate::shapes::{TensorType, Value};
use crate::tensor;

/// The model as a round finds it. Values that the round makes have no type before the next one.
pub(super) struct Context<'m> {
    /// Version of the default operator set.
    pub(super) opset: i64,
    values: &'m HashMap<&'m str, Value>,
    constants: HashMap<&'m str, &'m TensorProto>,
    model: &'m Model,
    /// How often each value is read.
    reads: HashMap<&'m str, usize>,
    /// First outputs of the batch normalisations that are folded into convolutions later, once asked for.
    folded: Option<HashSet<String>>,
    names: Names,
    added: Vec<TensorProto>,
    /// Where each of those is.
    added_places: HashMap<String, usize>,
}

impl<'m> Context<'m> {
    pub(super) fn new(model: &'m Model, values: &'m HashMap<&'m str, Value>) -> Self {
        let mut constants = HashMap::new();
        collect_constants(model.graph(), &mut constants);
        Self {
            opset: opset(model.proto()).unwrap_or_default(),
            values,
            constants,
            model,
            reads: read_counts(model.graph()),
            folded: None,
            names: Names::of(model.graph()),
            added: Vec::new(),
            added_places: HashMap::new(),
        }
    }

    pub(super) fn site<'s>(&'s self, node: &'s NodeProto) -> Site<'s> {
        Site::new(node, |name| self.values.get(name))
    }

    pub(super) fn value(&self, name: &str) -> Option<&'m Value> {
        self.values.get(name)
    }

    pub(super) fn tensor_type(&self, name: &str) -> Option<&'m TensorType> {
        self.value(name).map(|value| &value.tensor_type)
    }

    /// The dimensions of `name`, if all of them are known and none is 0.
    pub(super) fn extents(&self, name: &str) -> Option<Vec<i64>> {
        let extent = |dim: &Option<usize>| i64::try_from((*dim)?).ok().filter(|extent| *extent > 0);
        self.tensor_type(name)?.shape.iter().map(extent).collect()
    }

    /// Whether the elements of `name` are known to be of this type.
    pub(super) fn is_of(&self, name: &str, element_type: i32) -> bool {
        self.tensor_type(name).is_some_and(|value| value.element_type == element_type)
    }

    /// Whether `name` is an input of the model, which the caller gives.
    pub(super) fn is_input(&self, name: &str) -> bool {
        self.constant(name).is_none() && self.model.graph().input.iter().any(|input| input.name == name)
    }

    /// The initialiser called `name`.
    pub(super) fn constant(&self, name: &str) -> Option<&'m TensorProto> {
        self.constants.get(name).copied()
    }

    /// The initialiser called `name`, one that this round has made included.
    pub(super) fn weight(&self, name: &str) -> Option<&TensorProto> {
        let added = || self.added_places.get(name).map(|&place| &self.added[place]);
        self.constant(name).or_else(added)
    }

    /// How often the value `name` is read; 0 for one that this round has made.
    pub(super) fn reads(&self, name: &str) -> usize {
        self.reads.get(name).copied().unwrap_or(0)
    }

    /// Whether the batch normalisation `node` is folded into a convolution later.
    pub(super) fn is_folded(&mut self, node: &NodeProto) -> Result<bool, Error> {
        if self.folded.is_none() {
            self.folded = Some(fold::folded(self.model.graph())?);
        }
        Ok(self.folded.as_ref().is_some_and(|folded| folded.contains(&node.output[0])))
    }

    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        self.names.fresh(wanted)
    }

    /// Adds `tensor` to the main graph, whose values every branch sees. Its name must be new or given up.
    pub(super) fn add(&mut self, tensor: TensorProto) {
        self.added_places.insert(tensor.name.clone(), self.added.len());
        self.added.push(tensor);
    }

    /// Adds a constant of floats and gives its name.
    pub(super) fn add_floats(&mut self, wanted: &str, dims: Vec<i64>, values: &[f32]) -> String {
        let name = self.fresh(wanted);
        self.add(tensor::from_floats(name.clone(), dims, values));
        name
    }

    /// Adds a list of 64-bit integers and gives its name.
    pub(super) fn add_ints(&mut self, wanted: &str, values: &[i64]) -> String {
        let name = self.fresh(wanted);
        self.add(tensor::from_integers(name.clone(), values));
        name
    }

    /// Takes the initialisers of a branch into the main graph; returns whether there were any. An output of the
    /// branch has to be computed in it, so that a constant one is handed on by an `Identity`.
    pub(super) fn take_initializers(&mut self, graph: &mut GraphProto) -> bool {
        let inputs: HashSet<_> = graph.input.iter().map(|input| input.name.clone()).collect();
        let (kept, mut taken): (Vec<_>, Vec<_>) =
            std::mem::take(&mut graph.initializer).into_iter().partition(|t| inputs.contains(&t.name));
        graph.initializer = kept;
        for tensor in &mut taken {
            if graph.output.iter().any(|output| output.name == tensor.name) {
                let name = self.fresh(&format!("{}.constant", tensor.name));
                let output = std::mem::replace(&mut tensor.name, name.clone());
                graph.node.push(plain("Identity", &output, vec![name], output.clone()));
            }
        }
        let any = !taken.is_empty();
        self.added.append(&mut taken);
        any
    }

    /// Puts what was added into the main graph.
    pub(super) fn finish(&mut self, graph: &mut GraphProto) {
        graph.initializer.append(&mut self.added);
    }
}

/// A node without attributes.
pub(super) fn plain(op_type: &str, name: &str, input: Vec<String>, output: String) -> NodeProto {
    NodeProto {
        op_type: op_type.to_owned(),
        name: name.to_owned(),
        input,
        output: vec![output],
        ..NodeProto::default()
    }
}

/// A node that does a part of what `origin` did: it says that it comes from the same place of the network.
fn part(origin: &NodeProto, op_type: &str, input: Vec<String>, output: String) -> NodeProto {
    let name = if origin.name.is_empty() {
        String::new()
    } else {
        format!("{}.{}", origin.name, op_type.to_lowercase())
    };
    NodeProto { metadata_props: origin.metadata_props.clone(), ..plain(op_type, &name, input, output) }
}

/// Nodes that together do what one node did.
pub(super) struct Parts<'n> {
    origin: &'n NodeProto,
    nodes: Vec<NodeProto>,
}

impl<'n> Parts<'n> {
    pub(super) fn of(origin: &'n NodeProto) -> Self {
        Self { origin, nodes: Vec::new() }
    }

    /// Adds a node on the way and gives the name of its result.
    pub(super) fn add(
        &mut self,
        context: &mut Context,
        op_type: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = context.fresh(&format!("{}.{}", self.origin.output[0], op_type.to_lowercase()));
        self.push(op_type, inputs, attributes, output.clone());
        output
    }

    /// Adds a node with `count` results on the way and gives their names.
    pub(super) fn add_several(
        &mut self,
        context: &mut Context,
        op_type: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        count: usize,
    ) -> Vec<String> {
        let first = self.add(context, op_type, inputs, attributes);
        let others = (1..count).map(|_| context.fresh(&first));
        let outputs: Vec<_> = std::iter::once(first.clone()).chain(others).collect();
        if let Some(node) = self.nodes.last_mut() {
            node.output.clone_from(&outputs);
        }
        outputs
    }

    /// Adds a node that is complete.
    pub(super) fn push_node(&mut self, node: NodeProto) {
        self.nodes.push(node);
    }

    /// What was added, complete as it is.
    pub(super) fn into_nodes(self) -> Vec<NodeProto> {
        self.nodes
    }

    /// Adds the node that computes what the one node computed.
    pub(super) fn finish(
        mut self,
        op_type: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> Vec<NodeProto> {
        let output = self.origin.output[0].clone();
        self.push(op_type, inputs, attributes, output);
        self.nodes
    }

    fn push(&mut self, op_type: &str, inputs: &[&str], attribute: Vec<AttributeProto>, output: String) {
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.nodes.push(NodeProto { attribute, ..part(self.origin, op_type, inputs, output) });
    }
}

fn collect_constants<'m>(graph: &'m GraphProto, constants: &mut HashMap<&'m str, &'m TensorProto>) {
    constants.extend(graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)));
    for node in &graph.node {
        subgraphs(node).for_each(|inner| collect_constants(inner, constants));
    }
}
