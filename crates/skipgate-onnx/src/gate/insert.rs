//! Puts gates in front of residual blocks.
//!
//! A gate is an `If` on one element of the input `skip_mask`. Its then-branch holds the nodes of the block, its
//! else-branch hands on the block's input. Weights stay in the main graph, where the branches read them.

use std::collections::{HashMap, HashSet};

use skipgate_core::Gate;

use crate::blocks::{Region, ResidualBlock, find, ungated_and_folded};
use crate::edit::Names;
use crate::error::Error;
use crate::metadata::set_gates;
use crate::model::Model;
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    AttributeProto, GraphProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::select::GateSelection;
use crate::shapes::{Batch, TensorType, infer};
use crate::tensor;
use crate::tensor::element_type::BOOL;

/// Name of the input that says which blocks run: `bool[gates]`, `true` = run, in the order of [`Model::gates`].
pub const MASK_INPUT: &str = "skip_mask";

/// Normalises the model, folds batch normalisation, puts a gate in front of the selected blocks and records the gate
/// table.
///
/// The gated model has the inputs and outputs of the original, plus [`MASK_INPUT`] as its last input. With an all-true
/// mask it equals the original up to the rounding of these steps; with any mask it equals [`remove_blocks`] of the
/// blocks whose element is `false`.
///
/// Errors: the model is gated already or uses the name of the mask, and those of [`find_blocks`] and
/// [`GateSelection::select`].
///
/// [`remove_blocks`]: crate::remove_blocks
/// [`find_blocks`]: crate::find_blocks
pub fn gate(model: &Model, selection: &GateSelection) -> Result<Model, Error> {
    let folded = ungated_and_folded(model)?;
    let mut names = Names::of(folded.graph());
    if Names::of(model.graph()).contains(MASK_INPUT) || names.contains(MASK_INPUT) {
        return Err(Error::NameTaken { name: MASK_INPUT });
    }
    let (folded, blocks) = find(&folded, selection.unit)?;
    let selected: Vec<_> = selection.select(&blocks)?.into_iter().map(|index| &blocks[index]).collect();
    let types = infer(&folded, Batch::Symbolic)?;
    let table: Vec<_> = selected.iter().map(|block| table_row(block)).collect();
    names.fresh(MASK_INPUT);
    folded.edited(|proto| {
        if let Some(graph) = proto.graph.as_mut() {
            Gater { graph, types: &types, names }.insert(&selected);
        }
        set_gates(proto, &table)
    })
}

fn table_row(block: &ResidualBlock) -> Gate {
    Gate { block: block.name.clone(), segment: block.segment, macs: block.macs, parameters: block.parameters }
}

struct Gater<'g> {
    graph: &'g mut GraphProto,
    types: &'g HashMap<String, TensorType>,
    names: Names,
}

impl Gater<'_> {
    fn insert(mut self, blocks: &[&ResidualBlock]) {
        let mask_shape = [Some(blocks.len())];
        let mask_type = TensorType { element_type: BOOL, shape: mask_shape.to_vec() };
        self.graph.input.push(value_info(MASK_INPUT, Some(&mask_type)));
        let mut old: Vec<_> = std::mem::take(&mut self.graph.node).into_iter().map(Some).collect();
        let mut gates: HashMap<usize, [NodeProto; 2]> = HashMap::new();
        for (number, block) in blocks.iter().enumerate() {
            let moved = block.region.nodes.iter().filter_map(|&index| old[index].take()).collect();
            // Each element is read in front of its gate: IREE merges reads in one place into one dispatch with a
            // result per gate, and a dispatch has room for 32 bindings.
            let read = self.read_mask(number, &block.name);
            let gate = self.gate(block, read.output[0].clone(), moved);
            gates.insert(block.region.exit, [read, gate]);
        }
        for (index, node) in old.into_iter().enumerate() {
            match node {
                Some(node) => self.graph.node.push(node),
                None => self.graph.node.extend(gates.remove(&index).into_iter().flatten()),
            }
        }
    }

    fn read_mask(&mut self, number: usize, block: &str) -> NodeProto {
        let index = self.names.fresh(&format!("{MASK_INPUT}.index.{number}"));
        // There are fewer gates than nodes, and fewer of those than bytes.
        let value = i64::try_from(number).unwrap_or(i64::MAX);
        self.graph.initializer.push(tensor::from_integer(index.clone(), value));
        let output = self.names.fresh(&format!("{MASK_INPUT}.{number}"));
        node("Gather", format!("{block}.mask"), vec![MASK_INPUT.to_owned(), index], output)
    }

    /// The gate of `block`, whose nodes are `moved`.
    fn gate(&mut self, block: &ResidualBlock, condition: String, moved: Vec<NodeProto>) -> NodeProto {
        let Region { input, output, .. } = &block.region;
        let then_branch = self.then_branch(&block.name, output, moved);
        let skipped = self.names.fresh(&format!("{output}.skip"));
        let identity = node("Identity", format!("{}.skip", block.name), vec![input.clone()], skipped.clone());
        let else_branch = GraphProto {
            name: format!("{}.skip", block.name),
            node: vec![identity],
            output: vec![value_info(&skipped, self.types.get(output))],
            ..GraphProto::default()
        };
        let mut gate = node("If", format!("{}.gate", block.name), vec![condition], output.clone());
        gate.attribute =
            vec![graph_attribute("then_branch", then_branch), graph_attribute("else_branch", else_branch)];
        gate
    }

    /// The nodes of a block under their own names, but for the result: `output` is what the gate gives.
    fn then_branch(&mut self, block: &str, output: &str, mut moved: Vec<NodeProto>) -> GraphProto {
        let run = self.names.fresh(&format!("{output}.run"));
        for name in moved.iter_mut().flat_map(|node| &mut node.output).filter(|name| *name == output) {
            name.clone_from(&run);
        }
        let inner: HashSet<_> = moved.iter().flat_map(|node| &node.output).cloned().collect();
        let (inner_info, outer_info) = std::mem::take(&mut self.graph.value_info)
            .into_iter()
            .partition(|info: &ValueInfoProto| inner.contains(&info.name));
        self.graph.value_info = outer_info;
        GraphProto {
            name: format!("{block}.run"),
            output: vec![value_info(&run, self.types.get(output))],
            value_info: inner_info,
            node: moved,
            ..GraphProto::default()
        }
    }
}

fn node(op_type: &str, name: String, input: Vec<String>, output: String) -> NodeProto {
    NodeProto { op_type: op_type.to_owned(), name, input, output: vec![output], ..NodeProto::default() }
}

fn graph_attribute(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::GRAPH.into(),
        g: Some(graph).into(),
        ..AttributeProto::default()
    }
}

fn value_info(name: &str, tensor_type: Option<&TensorType>) -> ValueInfoProto {
    let proto = tensor_type.map(|tensor_type| TypeProto {
        value: Some(type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: tensor_type.element_type,
            shape: Some(shape(&tensor_type.shape)).into(),
            ..type_proto::Tensor::default()
        })),
        ..TypeProto::default()
    });
    ValueInfoProto { name: name.to_owned(), type_: proto.into(), ..ValueInfoProto::default() }
}

fn shape(dims: &[Option<usize>]) -> TensorShapeProto {
    let value =
        |dim: &Option<usize>| dim.and_then(|dim| i64::try_from(dim).ok()).map(dimension::Value::DimValue);
    let dim = |dim| Dimension { value: value(dim), ..Dimension::default() };
    TensorShapeProto { dim: dims.iter().map(dim).collect(), ..TensorShapeProto::default() }
}
