//! Values of quantised networks.
//!
//! A `QuantizeLinear` with a `DequantizeLinear` behind it leaves floats that are multiples of a scale. Here they stay
//! floats all the way: convolutions of floats have fast forms, and the integers of 8 bits that quantised networks
//! have are exact in floats. What quantisation saves, memory for values and weights, so is not saved here.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{Graph, Node, NodeId, ValueId, element_type, tensor_bytes};

use crate::ImportError;
use crate::kernels::Quantization;

/// The roundings of a model, by the node that dequantises.
pub(crate) type Roundings = HashMap<NodeId, Rounding>;

/// A pair of nodes that together round a value.
pub(crate) struct Rounding {
    /// The value that is rounded.
    pub(crate) source: ValueId,
    pub(crate) quantization: Quantization,
}

/// Finds every `DequantizeLinear` with its `QuantizeLinear` in front of it, both of one scale.
pub(super) fn find(graph: &Graph) -> Result<Roundings, ImportError> {
    let mut roundings = HashMap::new();
    for id in graph.nodes() {
        let node = graph.node(id);
        let Some(quantize) = node.input(0).and_then(|value| graph.producer(value)) else { continue };
        let (Some(source), true) = (graph.node(quantize).input(0), graph.node(quantize).scope == node.scope)
        else {
            continue;
        };
        if let Some(quantization) = quantization(graph, graph.node(quantize), node)? {
            roundings.insert(id, Rounding { source, quantization });
        }
    }
    Ok(roundings)
}

/// What the pair of `quantize` and `dequantize` does to a value, if they fit each other and are of one scale.
fn quantization(
    graph: &Graph,
    quantize: &Node,
    dequantize: &Node,
) -> Result<Option<Quantization>, ImportError> {
    let is = |node: &Node, op_type: &str| node.is(op_type) && node.only_output().is_some();
    // Any other attribute is about types and scales that are not meant here.
    let plain = quantize.attributes.iter().all(|(name, _)| *name == "axis");
    let pair = is(quantize, "QuantizeLinear") && is(dequantize, "DequantizeLinear") && plain;
    if !pair
        || quantize.only_output() != dequantize.input(0)
        || quantize.inputs[1..] != dequantize.inputs[1..]
    {
        return Ok(None);
    }
    let Some(scale) = quantize.input(1).map(|scale| graph.floats(scale)).transpose()?.flatten() else {
        return Ok(None);
    };
    let zero_point = match quantize.inputs.get(2) {
        Some(zero) => zero.and_then(|zero| graph.constant(zero)).map(zero_point).transpose()?.flatten(),
        None => Some((0, 0..=255)),
    };
    let (&[scale], Some((zero_point, range))) = (&scale[..], zero_point) else { return Ok(None) };
    let usable = scale.is_normal() && scale > 0.0 && scale.recip().is_normal();
    Ok(usable.then(|| Quantization {
        scale: scale.to_bits(),
        low: range.start() - zero_point,
        high: range.end() - zero_point,
    }))
}

/// The integer in `tensor` and the range of its type; `None` if it is no single one of 8 or 16 bits.
fn zero_point(tensor: &TensorProto) -> Result<Option<(i32, RangeInclusive<i32>)>, ImportError> {
    let bytes = tensor_bytes(tensor)?;
    Ok(match (tensor.data_type, &bytes[..]) {
        (element_type::INT8, &[byte]) => Some((i8::from_le_bytes([byte]).into(), -128..=127)),
        (element_type::UINT8, &[byte]) => Some((byte.into(), 0..=255)),
        (element_type::INT16, &[a, b]) => Some((i16::from_le_bytes([a, b]).into(), -32768..=32767)),
        (element_type::UINT16, &[a, b]) => Some((u16::from_le_bytes([a, b]).into(), 0..=65535)),
        _ => None,
    })
}
