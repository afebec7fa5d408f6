//! ONNX to MLIR text.
//!
//! The output has the form that torch-mlir's ONNX lowering reads: one `torch.operator "onnx.<Op>"` for each node, with
//! attributes named `torch.onnx.<attribute>`, values of type `!torch.vtensor<[shape],element>`, and initialisers as
//! `onnx.Constant` operations over `dense_resource` blobs. An `If` has two regions, the **else** region first. For
//! speed, some things are written in other words: convolutions ([`convolution`]), gates of residual blocks ([`gate`]),
//! values that are read with padding ([`frame`]), padded parts of others ([`excerpt`]) and quantised values
//! ([`quantization`]).
//!
//! Writing it here instead of calling the Python importer keeps Python out of compilation, attaches the ONNX node's
//! name to each operation as its location, and gives later passes a place to emit MLIR of their own.

mod attribute;
mod branch;
mod constant;
mod convolution;
mod excerpt;
mod frame;
mod gate;
mod quantization;
mod types;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use skipgate_onnx::{Excerpt, Model, TensorType, find_excerpts, infer_shapes};

use skipgate_core::{CompileOptions, Target};

use crate::ImportError;
use crate::kernels::{Kernels, Simd};
use constant::Blobs;
use convolution::Readers;
use frame::{Frame, Framed};
use gate::Gate;

/// Name of the MLIR module and of its one function.
pub(crate) const MODULE: &str = "skipgate";
pub(crate) const FUNCTION: &str = "run";

/// Writes `model` as MLIR text: a module `@skipgate` with one function `@run` that takes the graph's inputs and
/// returns its outputs, both in the graph's order.
///
/// Convolutions become calls of kernels for `target`, where there are kernels for such ones.
///
/// Fails on operators of other domains than ONNX's own, on model-local functions, on subgraphs other than the branches
/// of `If`, and on values whose type the shape inference does not know.
pub fn import_onnx(model: &Model, target: &Target, options: &CompileOptions) -> Result<String, ImportError> {
    let types = infer_shapes(model)?;
    let kernels = Kernels::new(Simd::of(target), options);
    let mut importer = Importer::new(&types, &model.proto().graph, kernels);
    importer.excerpts = find_excerpts(model)?;
    importer.module(model.proto())?;
    Ok(importer.finish())
}

/// State of one import. Text is appended as nodes are visited in their (topological) order.
struct Importer<'a> {
    types: &'a HashMap<String, TensorType>,
    /// All initialisers, those of branches included, by name.
    initializers: HashMap<&'a str, &'a TensorProto>,
    text: String,
    blobs: Blobs,
    /// SSA name of every ONNX value in scope. ONNX names are unique over a graph and its subgraphs.
    values: HashMap<String, String>,
    /// The frame of each value that is to stand in one.
    frames: HashMap<String, Frame>,
    /// The values that stand in one.
    framed: HashMap<String, Framed>,
    kernels: Kernels,
    readers: Readers<'a>,
    /// The values that are padded parts of others.
    excerpts: HashMap<String, Excerpt>,
    /// Nodes, by the name of their first result, that are written already: as part of a kernel or for one.
    written: HashSet<&'a str>,
    /// The node that computes each value of the graph at hand.
    producers: HashMap<&'a str, &'a NodeProto>,
    /// How many nodes, each for the one before, are being written before their turn.
    early: usize,
    /// Frames, by SSA name, that may be written over: those that gated blocks begin with.
    overwritable: HashSet<String>,
    /// The element of the mask that each value is.
    mask: HashMap<String, usize>,
    /// Number of SSA names given out.
    names: usize,
}

impl<'a> Importer<'a> {
    fn new(types: &'a HashMap<String, TensorType>, graph: &'a GraphProto, kernels: Kernels) -> Self {
        Self {
            types,
            initializers: initializers(graph)
                .into_iter()
                .map(|tensor| (tensor.name.as_str(), tensor))
                .collect(),
            text: String::new(),
            blobs: Blobs::default(),
            values: HashMap::new(),
            frames: HashMap::new(),
            framed: HashMap::new(),
            kernels,
            readers: Readers::of(graph),
            excerpts: HashMap::new(),
            written: HashSet::new(),
            producers: HashMap::new(),
            early: 0,
            overwritable: HashSet::new(),
            mask: HashMap::new(),
            names: 0,
        }
    }

    fn finish(mut self) -> String {
        self.blobs.write(&mut self.text);
        self.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("%v{}", self.names)
    }

    /// A fresh SSA name for the ONNX value `name`.
    fn define(&mut self, name: &str) -> String {
        let ssa = self.fresh();
        self.values.insert(name.to_owned(), ssa.clone());
        ssa
    }

    /// The SSA name of `name`, which the model's own check has proven to be in scope.
    fn value(&self, name: &str) -> String {
        // An omitted optional input has an empty name.
        self.values.get(name).cloned().unwrap_or_else(|| "%none".to_owned())
    }

    /// The MLIR type of the value `name`.
    fn type_of(&self, name: &str) -> Result<String, ImportError> {
        if name.is_empty() {
            return Ok("!torch.none".to_owned());
        }
        types::vtensor(name, self.tensor_type(name)?)
    }

    fn tensor_type(&self, name: &str) -> Result<&'a TensorType, ImportError> {
        self.types.get(name).ok_or_else(|| ImportError::UnknownShape { value: name.to_owned() })
    }

    fn types_of<'n>(&self, names: impl Iterator<Item = &'n String>) -> Result<String, ImportError> {
        let types: Result<Vec<_>, _> = names.map(|name| self.type_of(name)).collect();
        Ok(types?.join(", "))
    }

    fn module(&mut self, model: &'a ModelProto) -> Result<(), ImportError> {
        let graph = &model.graph;
        let is_initializer = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
        // Up to IR version 3 every initialiser is listed among the inputs too.
        let inputs: Vec<_> =
            graph.input.iter().map(|input| input.name.clone()).filter(|name| !is_initializer(name)).collect();
        let outputs: Vec<_> = graph.output.iter().map(|output| output.name.clone()).collect();
        let mut arguments = Vec::new();
        for input in &inputs {
            let ssa = self.define(input);
            arguments.push(format!("{ssa}: {}", self.type_of(input)?));
        }
        let results = self.types_of(outputs.iter())?;
        let opset = model
            .opset_import
            .iter()
            .find(|import| types::is_onnx_domain(&import.domain))
            .map_or(0, |import| import.version);
        self.line(&format!("module @{MODULE} {{"));
        self.line(&format!(
            "func.func @{FUNCTION}({}) -> ({results}) attributes {{\
             torch.onnx_meta.ir_version = {} : si64, torch.onnx_meta.opset_version = {opset} : si64}} {{",
            arguments.join(", "),
            model.ir_version,
        ));
        self.line("%none = torch.constant.none");
        self.mask = gate::mask_elements(graph);
        self.frames = frame::wanted(graph, self.types);
        self.graph_body(graph)?;
        let values: Vec<_> = outputs.iter().map(|name| self.value(name)).collect();
        self.line(&format!("return {} : {results}", values.join(", ")));
        self.line("}");
        self.kernels.write(&mut self.text);
        self.line("}");
        Ok(())
    }

    /// Initialisers and nodes of a graph.
    fn graph_body(&mut self, graph: &'a GraphProto) -> Result<(), ImportError> {
        graph.initializer.iter().try_for_each(|tensor| self.initializer(tensor))?;
        self.nodes(graph)
    }

    /// The nodes of a graph, in their order as far as none is wanted earlier.
    fn nodes(&mut self, graph: &'a GraphProto) -> Result<(), ImportError> {
        let outputs = |node: &'a NodeProto| node.output.iter().map(move |output| (output.as_str(), node));
        let outside = std::mem::replace(&mut self.producers, graph.node.iter().flat_map(outputs).collect());
        graph.node.iter().try_for_each(|node| self.node(node))?;
        self.producers = outside;
        Ok(())
    }

    fn initializer(&mut self, tensor: &TensorProto) -> Result<(), ImportError> {
        let ssa = self.define(&tensor.name);
        self.constant(&ssa, tensor)
    }

    /// `tensor` as the SSA name `ssa`.
    fn constant(&mut self, ssa: &str, tensor: &TensorProto) -> Result<(), ImportError> {
        let literal = self.blobs.literal(tensor)?;
        let ty = types::vtensor(&tensor.name, &types::of_tensor(tensor))?;
        self.line(&constant_operation(ssa, &literal, &ty, &tensor.name));
        Ok(())
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), ImportError> {
        if !types::is_onnx_domain(&node.domain) {
            return Err(unsupported(node, format!("an operator of the domain `{}`", node.domain)));
        }
        if node.op_type == "Constant" {
            let literal = constant::of_node(&mut self.blobs, node)?;
            let output = output_name(node)?;
            let ty = self.type_of(output)?;
            let ssa = self.define(output);
            self.line(&constant_operation(&ssa, &literal, &ty, output));
            return Ok(());
        }
        if !self.written.insert(node.output.first().map_or("", String::as_str)) {
            return Ok(());
        }
        if self.convolution(node)? || self.excerpt(node)? || self.dequantize(node)? {
            return Ok(());
        }
        if let Some(gate) = Gate::recognise(node, &self.mask) {
            if self.gate(&gate).map_err(|error| of_node(error, node))? {
                return Ok(());
            }
        }
        if node.op_type == "If" {
            self.conditional(node)?;
        } else {
            match self.of_whole_frame(node)? {
                Some((node, input)) => self.operation(&node, Some(&input))?,
                None => self.operation(node, None)?,
            }
        }
        for output in &node.output {
            if let Some(frame) = self.frames.get(output).cloned() {
                self.put_in_frame(output, frame)?;
            }
        }
        Ok(())
    }

    /// `node` itself; `first` is the type of its first operand if that is no ONNX value.
    fn operation(&mut self, node: &NodeProto, first: Option<&TensorType>) -> Result<(), ImportError> {
        let is_graph = |kind| matches!(kind, AttributeType::GRAPH | AttributeType::GRAPHS);
        let subgraph = node.attribute.iter().find(|a| is_graph(a.type_.enum_value_or_default()));
        if let Some(attribute) = subgraph {
            return Err(unsupported(node, format!("a subgraph `{}`", attribute.name)));
        }
        let operands: Vec<_> = node.input.iter().map(|name| self.value(name)).collect();
        let rest = &node.input[usize::from(first.is_some())..];
        let first = first.map(|ty| types::vtensor(&node.input[0], ty)).transpose()?;
        let rest = rest.iter().map(|name| self.type_of(name));
        let operand_types = first.map(Ok).into_iter().chain(rest).collect::<Result<Vec<_>, _>>()?.join(", ");
        let attributes = attribute::dictionary(&mut self.blobs, node)?;
        // Trailing optional outputs may be unnamed: they do not exist.
        let outputs: Vec<_> = node.output.iter().filter(|name| !name.is_empty()).collect();
        let result_types = self.types_of(outputs.iter().copied()).map_err(|error| of_node(error, node))?;
        let results: Vec<_> = outputs.into_iter().map(|name| self.define(name)).collect();
        let _ = write!(
            self.text,
            "{} = torch.operator \"onnx.{}\"({}) {attributes} : ({operand_types}) -> ({result_types})",
            results.join(", "),
            node.op_type,
            operands.join(", "),
        );
        let location = types::quoted(&format!("{} {}", node.op_type, node_name(node)));
        self.line(&format!(" loc({location})"));
        Ok(())
    }
}

/// The initialisers of a graph and of its subgraphs.
fn initializers(graph: &GraphProto) -> Vec<&TensorProto> {
    let subgraphs =
        graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.g.as_ref());
    graph.initializer.iter().chain(subgraphs.flat_map(initializers)).collect()
}

/// Names the node in an error about one of its results.
fn of_node(error: ImportError, node: &NodeProto) -> ImportError {
    match error {
        ImportError::UnknownShape { value } => {
            ImportError::UnknownResult { node: node_name(node), op_type: node.op_type.clone(), value }
        }
        other => other,
    }
}

fn constant_operation(ssa: &str, literal: &str, ty: &str, name: &str) -> String {
    let location = types::quoted(&format!("Constant {name}"));
    format!(
        "{ssa} = torch.operator \"onnx.Constant\"() {{torch.onnx.value = {literal}}} : () -> {ty} loc({location})"
    )
}

/// The name people know the node by.
fn node_name(node: &NodeProto) -> String {
    if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() }
}

fn output_name(node: &NodeProto) -> Result<&str, ImportError> {
    node.output
        .first()
        .map(String::as_str)
        .ok_or_else(|| unsupported(node, "a node without output".to_owned()))
}

pub(crate) fn unsupported(node: &NodeProto, what: String) -> ImportError {
    ImportError::Unsupported { node: node_name(node), op_type: node.op_type.clone(), what }
}
