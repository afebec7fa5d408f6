//! What a node costs: multiply-accumulate operations and parameters.

use std::collections::{HashMap, HashSet};

use crate::check::is_default_domain;
use crate::dataflow::Dataflow;
use crate::edit::{constants, for_each_read};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shapes::TensorType;
use crate::tensor::{self, element_type};

/// Counts operations and parameters of the nodes of one graph.
pub(crate) struct Costs<'m> {
    types: &'m HashMap<String, TensorType>,
    constants: HashMap<&'m str, &'m TensorProto>,
    /// Images per run of the graph.
    batch: usize,
}

impl<'m> Costs<'m> {
    pub(crate) fn new(graph: &'m GraphProto, types: &'m HashMap<String, TensorType>) -> Self {
        let constants = constants(graph);
        let image = graph.input.iter().find(|input| !constants.contains_key(input.name.as_str()));
        let first_dim = image.and_then(|image| *types.get(&image.name)?.shape.first()?);
        Self { types, constants, batch: first_dim.unwrap_or(1).max(1) }
    }

    /// Multiply-accumulate operations of the convolutions and matrix products among `nodes`, per image.
    pub(crate) fn macs<'n>(&self, nodes: impl Iterator<Item = &'n NodeProto>) -> u64 {
        let total = nodes.filter_map(|node| self.node_macs(node)).fold(0u64, u64::saturating_add);
        total / self.batch as u64
    }

    fn node_macs(&self, node: &NodeProto) -> Option<u64> {
        if !is_default_domain(&node.domain) {
            return None;
        }
        let input = |index: usize| self.types.get(node.input.get(index)?);
        let (outputs, per_output) = match node.op_type.as_str() {
            "Conv" => {
                let weight = input(1)?;
                (self.types.get(node.output.first()?)?.elements()?, product(weight.shape.get(1..)?)?)
            }
            // Every input element meets every weight of its channel.
            "ConvTranspose" => (input(0)?.elements()?, product(input(1)?.shape.get(1..)?)?),
            "Gemm" => {
                let output = self.types.get(node.output.first()?)?;
                let rows = output.shape.first().copied()??.max(1);
                (output.elements()?, input(0)?.elements()? / rows)
            }
            "MatMul" => (self.types.get(node.output.first()?)?.elements()?, (*input(0)?.shape.last()?)?),
            _ => return None,
        };
        Some((outputs as u64).saturating_mul(per_output as u64))
    }

    /// Number of distinct weights that `nodes` read, biases and scales included. Scalars are settings and not weights, and
    /// the integers of a quantised tensor are its weights, not what they are scaled by.
    pub(crate) fn parameters(&self, flow: &Dataflow, nodes: &[usize]) -> u64 {
        let (mut seen, mut work) = (HashSet::new(), Vec::new());
        for &index in nodes {
            for_each_read(flow.node(index), &mut |name| work.push((name, false)));
        }
        let mut total = 0u64;
        while let Some((name, quantized)) = work.pop() {
            if flow.flows(name) || !seen.insert(name) {
                continue;
            }
            if let Some(tensor) = self.constants.get(name) {
                total = total.saturating_add(if quantized { elements(tensor) } else { weights(tensor) });
            } else if let Some((_, node)) = flow.producer(name) {
                if node.op_type == "DequantizeLinear" {
                    work.extend(node.input.first().map(|name| (name.as_str(), true)));
                } else {
                    for_each_read(node, &mut |name| work.push((name, quantized)));
                }
            }
        }
        total
    }

    /// Whether `node` multiplies its input with constant weights.
    pub(crate) fn is_weighted(flow: &Dataflow, node: &NodeProto) -> bool {
        let multiplies = matches!(node.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul");
        multiplies
            && is_default_domain(&node.domain)
            && node.input.iter().take(2).any(|name| !flow.flows(name))
    }
}

fn product(shape: &[Option<usize>]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, dim| product.checked_mul((*dim)?))
}

fn weights(tensor: &TensorProto) -> u64 {
    use element_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16};
    let is_float = matches!(tensor.data_type, FLOAT | FLOAT16 | BFLOAT16 | DOUBLE);
    if is_float && !tensor.dims.is_empty() { elements(tensor) } else { 0 }
}

fn elements(tensor: &TensorProto) -> u64 {
    tensor::element_count(tensor).unwrap_or(0) as u64
}
