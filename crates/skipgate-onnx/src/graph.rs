//! A read-only index over a model: nodes and values by number, and for each value its type, its producer and all its
//! readers.
//!
//! Names are looked up once, here. Two branches of an `If` may use one name for two values; numbers keep them apart.

use std::collections::HashMap;

use crate::check::{is_default_domain, node_name};
use crate::error::Error;
use crate::model::Model;
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::shapes::{TensorType, infer_shapes};
use crate::tensor;

/// A node of a [`Graph`]. Of two nodes of one scope, the later one in the file has the greater number; nodes of a
/// nested scope come behind the node that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// A value of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(usize);

/// The main graph, or one that a node holds in an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeId(usize);

/// A model, indexed.
#[derive(Debug)]
pub struct Graph<'m> {
    scopes: Vec<Scope>,
    nodes: Vec<Node<'m>>,
    values: Vec<Value<'m>>,
}

/// The contents of a graph, in the file's order.
#[derive(Debug, Default)]
pub struct Scope {
    /// The node that holds it; none holds the main graph.
    pub owner: Option<NodeId>,
    /// Inputs without a default value.
    pub inputs: Vec<ValueId>,
    /// Initialisers.
    pub initializers: Vec<ValueId>,
    /// Nodes.
    pub nodes: Vec<NodeId>,
    /// Outputs.
    pub outputs: Vec<ValueId>,
}

/// A node with its operands as numbers and its attributes with their types.
#[derive(Debug)]
pub struct Node<'m> {
    proto: &'m NodeProto,
    /// The graph that it is in.
    pub scope: ScopeId,
    /// Operands; `None` for one that is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Results; `None` for one that is left out.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes by name, in the file's order.
    pub attributes: Vec<(&'m str, Attribute<'m>)>,
    /// What graphs in its attributes read from outside of them, each value once.
    pub captures: Vec<ValueId>,
}

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Attribute<'m> {
    /// A float.
    Float(f32),
    /// An integer.
    Int(i64),
    /// A string, of no particular encoding.
    String(&'m [u8]),
    /// A tensor.
    Tensor(&'m TensorProto),
    /// Floats.
    Floats(&'m [f32]),
    /// Integers.
    Ints(&'m [i64]),
    /// Strings.
    Strings(&'m [Vec<u8>]),
    /// Graphs; one of them where the attribute is a single graph.
    Graphs(Vec<ScopeId>),
    /// Anything else.
    Other,
}

/// A value.
#[derive(Debug)]
pub struct Value<'m> {
    /// Its name in the file.
    pub name: &'m str,
    /// The graph that defines it.
    pub scope: ScopeId,
    /// Element type and shape, if they could be inferred.
    pub ty: Option<TensorType>,
    /// Where it comes from.
    pub origin: Origin<'m>,
    /// Everything that reads it, nested graphs included, in the file's order.
    pub readers: Vec<Reader>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Origin<'m> {
    /// It is an input of a graph, or a sparse initialiser.
    Input,
    /// It is an initialiser.
    Initializer(&'m TensorProto),
    /// A node computes it.
    Node {
        /// The node.
        node: NodeId,
        /// Which of its results it is.
        place: usize,
    },
}

/// A place where a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reader {
    /// A node has it as an operand.
    Operand {
        /// The node.
        node: NodeId,
        /// Which of its operands it is.
        place: usize,
    },
    /// It is an output of a graph.
    Output {
        /// The graph.
        scope: ScopeId,
    },
}

impl<'m> Graph<'m> {
    /// Indexes `model`.
    ///
    /// Errors: as [`infer_shapes`].
    pub fn new(model: &'m Model) -> Result<Self, Error> {
        let graph = Self { scopes: Vec::new(), nodes: Vec::new(), values: Vec::new() };
        let mut indexer = Indexer { graph, types: infer_shapes(model)?, visible: HashMap::new() };
        indexer.scope(model.graph(), None);
        Ok(indexer.graph)
    }

    /// The main graph.
    pub fn main(&self) -> ScopeId {
        ScopeId(0)
    }

    /// The graph `scope`.
    pub fn scope(&self, scope: ScopeId) -> &Scope {
        &self.scopes[scope.0]
    }

    /// The node `node`.
    pub fn node(&self, node: NodeId) -> &Node<'m> {
        &self.nodes[node.0]
    }

    /// The value `value`.
    pub fn value(&self, value: ValueId) -> &Value<'m> {
        &self.values[value.0]
    }

    /// All nodes, each behind the one whose attributes hold it.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len()).map(ValueId)
    }

    /// The value called `name` in the main graph.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        let main = self.main();
        self.values().find(|&id| self.value(id).scope == main && self.value(id).name == name)
    }

    /// The type of `value`, if it is known.
    pub fn ty(&self, value: ValueId) -> Option<&TensorType> {
        self.value(value).ty.as_ref()
    }

    /// The node that computes `value`.
    pub fn producer(&self, value: ValueId) -> Option<NodeId> {
        match self.value(value).origin {
            Origin::Node { node, .. } => Some(node),
            _ => None,
        }
    }

    /// The tensor that `value` always is: an initialiser.
    pub fn constant(&self, value: ValueId) -> Option<&'m TensorProto> {
        match self.value(value).origin {
            Origin::Initializer(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The floats that `value` always is; `None` if it is no constant or not of 32-bit floats.
    pub fn floats(&self, value: ValueId) -> Result<Option<Vec<f32>>, Error> {
        self.constant(value).map_or(Ok(None), tensor::floats)
    }

    /// The node that alone reads `value`, and once; `None` if a graph gives it as an output.
    pub fn only_reader(&self, value: ValueId) -> Option<NodeId> {
        match self.value(value).readers[..] {
            [Reader::Operand { node, .. }] => Some(node),
            _ => None,
        }
    }

    /// The nodes whose attributes hold `scope`, the innermost first.
    pub fn owners(&self, scope: ScopeId) -> impl Iterator<Item = NodeId> {
        let owner = |scope: ScopeId| self.scope(scope).owner;
        std::iter::successors(owner(scope), move |&node| owner(self.node(node).scope))
    }
}

impl<'m> Node<'m> {
    /// The node as it is in the file.
    pub fn proto(&self) -> &'m NodeProto {
        self.proto
    }

    /// Its operator.
    pub fn op_type(&self) -> &'m str {
        &self.proto.op_type
    }

    /// What people call it: its name, or else the name of its first result.
    pub fn name(&self) -> &'m str {
        node_name(self.proto)
    }

    /// Operator and name, as messages and locations name it.
    pub fn label(&self) -> String {
        format!("{} {}", self.op_type(), self.name())
    }

    /// Whether its operator is of ONNX's own domain.
    pub fn is_standard(&self) -> bool {
        is_default_domain(&self.proto.domain)
    }

    /// Whether its operator is ONNX's `op_type`.
    pub fn is(&self, op_type: &str) -> bool {
        self.proto.op_type == op_type && self.is_standard()
    }

    /// Operand number `place`, if it is there.
    pub fn input(&self, place: usize) -> Option<ValueId> {
        self.inputs.get(place).copied().flatten()
    }

    /// Result number `place`, if it is there.
    pub fn output(&self, place: usize) -> Option<ValueId> {
        self.outputs.get(place).copied().flatten()
    }

    /// Its only result; `None` if there is none or more.
    pub fn only_output(&self) -> Option<ValueId> {
        match self.outputs[..] {
            [output] => output,
            _ => None,
        }
    }

    /// Everything that it reads, what graphs in its attributes read from outside included.
    pub fn reads(&self) -> impl Iterator<Item = ValueId> {
        self.inputs.iter().copied().flatten().chain(self.captures.iter().copied())
    }

    /// The attribute `name`.
    pub fn attribute(&self, name: &str) -> Option<&Attribute<'m>> {
        self.attributes.iter().find(|(other, _)| *other == name).map(|(_, attribute)| attribute)
    }

    /// The attribute `name`, if it is an integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attribute(name)? {
            Attribute::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The attribute `name`, if it is integers.
    pub fn ints(&self, name: &str) -> Option<&'m [i64]> {
        match self.attribute(name)? {
            Attribute::Ints(values) => Some(values),
            _ => None,
        }
    }

    /// The attribute `name`, if it is a float.
    pub fn float(&self, name: &str) -> Option<f32> {
        match self.attribute(name)? {
            Attribute::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The attribute `name`, if it is a string.
    pub fn string(&self, name: &str) -> Option<&'m [u8]> {
        match self.attribute(name)? {
            Attribute::String(text) => Some(text),
            _ => None,
        }
    }

    /// The attribute `name`, if it is a graph.
    pub fn graph(&self, name: &str) -> Option<ScopeId> {
        match self.attribute(name)? {
            Attribute::Graphs(scopes) => scopes.first().copied(),
            _ => None,
        }
    }
}

/// Numbers everything in one walk over the file.
struct Indexer<'m> {
    graph: Graph<'m>,
    types: HashMap<String, TensorType>,
    /// The values that can be read where the walk is.
    visible: HashMap<&'m str, ValueId>,
}

impl<'m> Indexer<'m> {
    fn scope(&mut self, proto: &'m GraphProto, owner: Option<NodeId>) -> ScopeId {
        let scope = ScopeId(self.graph.scopes.len());
        self.graph.scopes.push(Scope { owner, ..Scope::default() });
        let first = self.graph.values.len();
        // Up to IR version 3, and for inputs with a default, initialisers are listed among the inputs too.
        let is_initializer = |name: &str| proto.initializer.iter().any(|tensor| tensor.name == name);
        for input in proto.input.iter().filter(|input| !is_initializer(&input.name)) {
            let value = self.define(&input.name, scope, Origin::Input);
            self.graph.scopes[scope.0].inputs.push(value);
        }
        let sparse = proto.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
        for tensor in sparse.filter(|tensor| proto.input.iter().all(|input| input.name != tensor.name)) {
            self.define(&tensor.name, scope, Origin::Input);
        }
        for tensor in &proto.initializer {
            let value = self.define(&tensor.name, scope, Origin::Initializer(tensor));
            self.graph.values[value.0].ty = Some(type_of(tensor));
            self.graph.scopes[scope.0].initializers.push(value);
        }
        for node in &proto.node {
            let node = self.node(node, scope);
            self.graph.scopes[scope.0].nodes.push(node);
        }
        for output in &proto.output {
            let Some(&value) = self.visible.get(output.name.as_str()) else { continue };
            self.read(value, Reader::Output { scope }, scope);
            self.graph.scopes[scope.0].outputs.push(value);
        }
        for value in &self.graph.values[first..] {
            if value.scope == scope {
                self.visible.remove(value.name);
            }
        }
        scope
    }

    fn node(&mut self, proto: &'m NodeProto, scope: ScopeId) -> NodeId {
        let node = NodeId(self.graph.nodes.len());
        let inputs: Vec<_> =
            proto.input.iter().map(|name| self.visible.get(name.as_str()).copied()).collect();
        self.graph.nodes.push(Node {
            proto,
            scope,
            inputs: inputs.clone(),
            outputs: Vec::new(),
            attributes: Vec::new(),
            captures: Vec::new(),
        });
        for (place, value) in inputs.into_iter().enumerate() {
            if let Some(value) = value {
                self.read(value, Reader::Operand { node, place }, scope);
            }
        }
        for attribute in &proto.attribute {
            let read = self.attribute(attribute, node);
            self.graph.nodes[node.0].attributes.push((&attribute.name, read));
        }
        for (place, name) in proto.output.iter().enumerate() {
            let origin = Origin::Node { node, place };
            // A trailing result that is left out has an empty name.
            let output = (!name.is_empty()).then(|| self.define(name, scope, origin));
            self.graph.nodes[node.0].outputs.push(output);
        }
        node
    }

    fn attribute(&mut self, proto: &'m AttributeProto, node: NodeId) -> Attribute<'m> {
        match proto.type_.enum_value_or_default() {
            AttributeType::FLOAT => Attribute::Float(proto.f.unwrap_or_default()),
            AttributeType::INT => Attribute::Int(proto.i.unwrap_or_default()),
            AttributeType::STRING => Attribute::String(proto.s.as_deref().unwrap_or_default()),
            AttributeType::TENSOR => Attribute::Tensor(proto.t.get_or_default()),
            AttributeType::FLOATS => Attribute::Floats(&proto.floats),
            AttributeType::INTS => Attribute::Ints(&proto.ints),
            AttributeType::STRINGS => Attribute::Strings(&proto.strings),
            AttributeType::GRAPH | AttributeType::GRAPHS => {
                let graphs = proto.g.as_ref().into_iter().chain(&proto.graphs);
                Attribute::Graphs(graphs.map(|graph| self.scope(graph, Some(node))).collect())
            }
            _ => Attribute::Other,
        }
    }

    fn define(&mut self, name: &'m str, scope: ScopeId, origin: Origin<'m>) -> ValueId {
        let value = ValueId(self.graph.values.len());
        let ty = self.types.get(name).cloned();
        self.graph.values.push(Value { name, scope, ty, origin, readers: Vec::new() });
        self.visible.insert(name, value);
        value
    }

    /// Notes that something in `scope` reads `value`, for every node whose attributes it is read in too.
    fn read(&mut self, value: ValueId, reader: Reader, mut scope: ScopeId) {
        self.graph.values[value.0].readers.push(reader);
        while scope != self.graph.values[value.0].scope {
            let Some(owner) = self.graph.scopes[scope.0].owner else { return };
            let owner = &mut self.graph.nodes[owner.0];
            if !owner.captures.contains(&value) {
                owner.captures.push(value);
            }
            scope = owner.scope;
        }
    }
}

fn type_of(tensor: &TensorProto) -> TensorType {
    let shape = tensor.dims.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    TensorType { element_type: tensor.data_type, shape }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ModelProto, OperatorSetIdProto, ValueInfoProto};
    use crate::tensor::element_type::FLOAT;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn infos(names: &[&str]) -> Vec<ValueInfoProto> {
        names.iter().map(|&name| ValueInfoProto { name: name.to_owned(), ..Default::default() }).collect()
    }

    fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
        NodeProto {
            op_type: op_type.to_owned(),
            input: named(inputs),
            output: named(outputs),
            ..Default::default()
        }
    }

    fn branch(name: &str, nodes: Vec<NodeProto>, output: &str) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            type_: AttributeType::GRAPH.into(),
            g: Some(GraphProto { node: nodes, output: infos(&[output]), ..Default::default() }).into(),
            ..Default::default()
        }
    }

    /// `w` is constant; both branches of the `If` call their result `b`.
    fn model() -> Model {
        let mut choice = node("If", &["c"], &["y"]);
        choice.attribute = vec![
            branch("then_branch", vec![node("Add", &["x", "w"], &["b"])], "b"),
            branch("else_branch", vec![node("Relu", &["x"], &["b"])], "b"),
        ];
        let graph = GraphProto {
            input: infos(&["x", "c"]),
            initializer: vec![TensorProto {
                name: "w".to_owned(),
                data_type: FLOAT,
                float_data: vec![1.5],
                dims: vec![1],
                ..Default::default()
            }],
            node: vec![choice, node("Neg", &["y", ""], &["z"])],
            output: infos(&["z"]),
            ..Default::default()
        };
        Model::from_proto(ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { version: 17, ..Default::default() }],
            graph: Some(graph).into(),
            ..Default::default()
        })
        .unwrap()
    }

    #[test]
    fn a_value_knows_all_its_readers_those_in_branches_included() {
        let model = model();
        let graph = Graph::new(&model).unwrap();
        let readers = |name| graph.value(graph.find(name).unwrap()).readers.len();
        assert_eq!([readers("x"), readers("c"), readers("w"), readers("y"), readers("z")], [2, 1, 1, 1, 1]);
        let choice = graph.scope(graph.main()).nodes[0];
        let captured = [graph.find("x").unwrap(), graph.find("w").unwrap()];
        assert_eq!(graph.node(choice).captures, captured);
        assert_eq!(graph.only_reader(graph.find("x").unwrap()), None);
        assert_eq!(graph.floats(captured[1]).unwrap(), Some(vec![1.5]));
    }

    #[test]
    fn one_name_in_two_branches_is_two_values() {
        let model = model();
        let graph = Graph::new(&model).unwrap();
        let called: Vec<_> = graph.values().filter(|&id| graph.value(id).name == "b").collect();
        assert_eq!(called.len(), 2);
        for value in called {
            let owners: Vec<_> = graph.owners(graph.value(value).scope).collect();
            assert_eq!(owners, [graph.scope(graph.main()).nodes[0]]);
            assert_eq!(graph.value(value).readers, [Reader::Output { scope: graph.value(value).scope }]);
        }
    }

    #[test]
    fn an_operand_that_is_left_out_is_none() {
        let model = model();
        let graph = Graph::new(&model).unwrap();
        let neg = graph.node(graph.scope(graph.main()).nodes[1]);
        assert_eq!((neg.input(0), neg.input(1)), (graph.find("y"), None));
        assert_eq!(neg.label(), "Neg z");
    }
}
