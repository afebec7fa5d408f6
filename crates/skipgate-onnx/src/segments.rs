//! Groups residual blocks into segments.
//!
//! A segment is a maximal run of blocks in which each one's input is the output of the one before, perhaps behind
//! something that is no layer of its own (an activation, a normalisation, a scale, a reshape) or a convolution that keeps
//! the shape, as in `ConvMixer`, and all outputs have one number of elements. The first block of a run keeps its features
//! and is not gated by default, unless the run continues a chain of equal units of which the first has no shortcut, as in
//! `MobileNetV2`: there that unit has done the work.

use std::collections::HashMap;

use crate::activation::is_activation;
use crate::attributes::Attributes;
use crate::blocks::{Found, Shortcut};
use crate::check::is_default_domain;
use crate::dataflow::Dataflow;
use crate::proto::NodeProto;
use crate::shapes::TensorType;

/// Most windows of a unit that are padded by a node of its own.
const MOST_PADS: usize = 4;

/// Where a block is among the segments.
pub(crate) struct Place {
    /// Number of the segment, from 0.
    pub(crate) segment: usize,
    /// Place in the segment, from 0.
    pub(crate) position: usize,
    /// First of its segment, with no unit of the same kind in front.
    pub(crate) keeps_features: bool,
}

/// Numbers the segments of `blocks`, which are in execution order.
pub(crate) fn number<'m>(
    flow: &Dataflow<'m>,
    types: &HashMap<String, TensorType>,
    blocks: &[Found<'m>],
) -> Vec<Place> {
    let by_sum: HashMap<_, _> = blocks.iter().enumerate().map(|(index, block)| (block.sum, index)).collect();
    let mut places: Vec<Place> = Vec::with_capacity(blocks.len());
    let mut lengths: Vec<usize> = Vec::new();
    for block in blocks {
        let before = previous(flow, types, &by_sum, block.input);
        let before = before.filter(|&index| same_shape(&blocks[index], block));
        let segment = before.map_or(lengths.len(), |index| places[index].segment);
        if before.is_none() {
            lengths.push(0);
        }
        let keeps_features = before.is_none() && !follows_equal_unit(flow, block);
        places.push(Place { segment, position: lengths[segment], keeps_features });
        lengths[segment] += 1;
    }
    places
}

fn same_shape(a: &Found, b: &Found) -> bool {
    let elements = |block: &Found| block.sum_type.and_then(TensorType::elements);
    a.sum_type.is_some() && a.sum_type == b.sum_type || elements(a).is_some() && elements(a) == elements(b)
}

/// The block whose sum, perhaps behind what does not end a segment, is `value`.
fn previous<'m>(
    flow: &Dataflow<'m>,
    types: &HashMap<String, TensorType>,
    by_sum: &HashMap<&str, usize>,
    mut value: &'m str,
) -> Option<usize> {
    loop {
        if let Some(&index) = by_sum.get(value) {
            return Some(index);
        }
        let (index, node) = flow.producer(value)?;
        let before = flow.dominator_of_node(index)?;
        let goes_on = is_activation(node)
            || is_no_layer(node)
            || is_self_gate(flow, node, before)
            || is_conv_of_one_shape(types, node);
        if !goes_on {
            return None;
        }
        value = before;
    }
}

/// Whether `node` alone makes no other features: it works element by element or channel by channel, or moves elements.
fn is_no_layer(node: &NodeProto) -> bool {
    if !is_default_domain(&node.domain) {
        return false;
    }
    match node.op_type.as_str() {
        "Add"
        | "BatchNormalization"
        | "Div"
        | "Flatten"
        | "GroupNormalization"
        | "Identity"
        | "InstanceNormalization"
        | "LayerNormalization"
        | "LpNormalization"
        | "Mul"
        | "RMSNormalization"
        | "Reshape"
        | "Squeeze"
        | "Sub"
        | "Transpose"
        | "Unsqueeze" => true,
        // Each channel on its own, as between attention and perceptron of some networks.
        "Conv" => Attributes::of(node).int_or("group", 1).unwrap_or(1) > 1,
        _ => is_quantization(node),
    }
}

/// Whether `node` is a convolution whose result has the shape of what it reads.
fn is_conv_of_one_shape(types: &HashMap<String, TensorType>, node: &NodeProto) -> bool {
    let type_of = |name: Option<&String>| name.and_then(|name| types.get(name));
    let (from, to) = (type_of(node.input.first()), type_of(node.output.first()));
    node.op_type == "Conv" && is_default_domain(&node.domain) && from.is_some() && from == to
}

/// Whether `node` goes from floats to integers or back.
fn is_quantization(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "QuantizeLinear" | "DequantizeLinear") && is_default_domain(&node.domain)
}

/// Whether `node` multiplies `value` with an activation of itself, as exporters write `SiLU` and hard swish.
fn is_self_gate(flow: &Dataflow, node: &NodeProto, value: &str) -> bool {
    let of_value = |operand: &String| {
        let activation = flow.producer(operand).filter(|(_, node)| is_activation(node));
        operand == value || activation.is_some_and(|(_, node)| node.input.first().is_some_and(|x| x == value))
    };
    node.op_type == "Mul" && node.input.iter().all(of_value)
}

/// Whether what computes the input of `block` is a unit like its branch, but without a shortcut. The unit may end with
/// one activation more than the branch: the one that follows the addition in a block. Padding in front of a window is
/// part of the window, which moves in larger steps in such a unit.
fn follows_equal_unit(flow: &Dataflow, block: &Found) -> bool {
    if block.shortcut != Shortcut::Identity {
        return false;
    }
    let pads = |node: &NodeProto| node.op_type == "Pad" && is_default_domain(&node.domain);
    let without_pads = |nodes: &[usize]| -> Vec<usize> {
        nodes.iter().copied().filter(|&index| !pads(flow.node(index))).collect()
    };
    let branch = without_pads(&block.branch);
    let kinds = signature(flow, &branch);
    let longest = branch.len() + 1 + MOST_PADS;
    let start_of_unit = flow.dominators(block.input);
    let units = start_of_unit.map_while(|entry| flow.between(entry, block.input, longest));
    units.map(|unit| without_pads(&unit)).take_while(|unit| unit.len() <= branch.len() + 1).any(|unit| {
        let plain = match unit.split_last() {
            Some((last, rest)) if unit.len() > branch.len() && is_activation(flow.node(*last)) => rest,
            _ => &unit[..],
        };
        signature(flow, plain) == kinds
    })
}

/// What kinds of nodes there are: operator, and for convolutions kernel size and whether they are depthwise.
fn signature(flow: &Dataflow, nodes: &[usize]) -> Vec<(String, Vec<i64>, bool)> {
    let kind = |&index: &usize| {
        let node = flow.node(index);
        let attributes = Attributes::of(node);
        let kernel = attributes.ints("kernel_shape").ok().flatten().unwrap_or(&[]).to_vec();
        let grouped = attributes.int_or("group", 1).unwrap_or(1) > 1;
        (node.op_type.clone(), kernel, grouped)
    };
    let mut kinds: Vec<_> = nodes.iter().map(kind).collect();
    kinds.sort_unstable();
    kinds
}
