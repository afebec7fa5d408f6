//! What a kernel does behind its layer.

use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{Graph, Node, NodeId, Reader, ValueId};

use super::{Layer, Layers, Then, constant_floats, curves};
use crate::ImportError;
use crate::kernels::Curve;
use crate::passes::order;
use crate::passes::quantisation::Roundings;
use crate::plan::Layout;

/// The nodes behind a layer, one after the other, as far as its kernel can do them.
pub(super) struct Fusion<'p, 'm> {
    pub(super) graph: &'p Graph<'m>,
    pub(super) roundings: &'p Roundings,
    pub(super) layers: &'p Layers<'m>,
}

/// What a kernel does on top.
struct More {
    nodes: Vec<NodeId>,
    then: Then,
    /// What is added.
    other: Option<ValueId>,
}

impl<'m> Fusion<'_, 'm> {
    pub(super) fn extend(&self, layer: &mut Layer<'m>) -> Result<(), ImportError> {
        if let Some((node, result, bias)) = self.bias(layer) {
            layer.nodes.push(node);
            layer.bias = Some(bias);
            layer.result = result;
        }
        while let Some(More { nodes, then, other }) = self.next(layer)? {
            let last = nodes.last().and_then(|&last| self.graph.node(last).only_output());
            let Some(result) = last else { break };
            layer.nodes.extend(nodes);
            layer.then.push(then);
            layer.residual = layer.residual.or(other);
            layer.result = result;
        }
        Ok(())
    }

    fn next(&self, layer: &Layer) -> Result<Option<More>, ImportError> {
        let Some(id) = self.only_reader(layer, layer.result) else {
            return Ok(self.times_curve(layer).or_else(|| self.product_with_curve(layer)));
        };
        let node = self.graph.node(id);
        let one = |then| More { nodes: vec![id], then, other: None };
        Ok(match (node.op_type(), &node.inputs[..]) {
            ("Add", &[Some(a), Some(b)]) => {
                let other = if a == layer.result { b } else { a };
                let added = More { other: Some(other), ..one(Then::Add) };
                self.can_add(layer, other).then_some(added)
            }
            ("Relu", [_]) => Some(one(Then::Relu)),
            ("Sigmoid" | "HardSigmoid", [_]) => curve(node).map(Then::Curve).map(one),
            ("HardSwish", [_]) => Some(one(Then::TimesCurve(HARD_SWISH))),
            ("Gelu", [_]) if node.string("approximate").is_none_or(|name| name == b"none") => {
                Some(one(Then::TimesCurve(Curve::Normal)))
            }
            ("Clip", [_, ..]) => self.clip(node)?.map(one),
            ("QuantizeLinear", [..]) => self.rounding(layer, id),
            _ => None,
        })
    }

    /// The node that adds a bias to a layer without one, with its result and the bias.
    fn bias(&self, layer: &Layer) -> Option<(NodeId, ValueId, &'m TensorProto)> {
        let id = self.only_reader(layer, layer.result).filter(|_| layer.bias.is_none())?;
        let node = self.graph.node(id);
        let (&[Some(a), Some(b)], true) = (&node.inputs[..], node.is("Add")) else { return None };
        let bias = constant_floats(self.graph, if a == layer.result { b } else { a })?;
        let ty = self.graph.ty(layer.result)?;
        let result = node.only_output().filter(|&result| self.graph.ty(result) == Some(ty))?;
        let ones = ty.shape.len().checked_sub(bias.dims.len())?;
        let channels =
            if layer.layout == Layout::ChannelsLast { 1 } else { ty.shape.len().checked_sub(1)? };
        let expected = |axis| if axis == channels { layer.window.filters } else { 1 };
        let mut dims = bias.dims.iter().zip(ones..);
        let fits =
            ones <= channels && dims.all(|(&extent, axis)| usize::try_from(extent) == Ok(expected(axis)));
        fits.then_some((id, result, bias))
    }

    /// The node of ONNX's own, in the graph of `layer`, that alone reads `value`.
    fn only_reader(&self, layer: &Layer, value: ValueId) -> Option<NodeId> {
        self.graph.only_reader(value).filter(|&id| self.is_beside(layer, id))
    }

    /// Whether node `id` is one of ONNX's own, in the graph of `layer`.
    fn is_beside(&self, layer: &Layer, id: NodeId) -> bool {
        let node = self.graph.node(id);
        node.scope == self.graph.node(layer.nodes[0]).scope && node.is_standard()
    }

    /// The product of the layer's result and the value of a curve there, if nothing else reads either.
    fn times_curve(&self, layer: &Layer) -> Option<More> {
        let &[Reader::Operand { node: a, .. }, Reader::Operand { node: b, .. }] =
            &self.graph.value(layer.result).readers[..]
        else {
            return None;
        };
        let (id, product) = if self.graph.node(a).is("Mul") { (b, a) } else { (a, b) };
        let (node, factor) = (self.graph.node(id), self.graph.node(id).only_output()?);
        let is_theirs = self.is_beside(layer, id)
            && self.graph.node(product).is("Mul")
            && self.only_reader(layer, factor) == Some(product);
        let then = Then::TimesCurve(curve(node).filter(|_| is_theirs)?);
        Some(More { nodes: vec![id, product], then, other: None })
    }

    /// The same where the curve is several nodes.
    fn product_with_curve(&self, layer: &Layer) -> Option<More> {
        let curves::Product { nodes, curve } = curves::product(self.graph, layer.result)?;
        let are_beside = nodes.iter().all(|&id| self.is_beside(layer, id));
        are_beside.then_some(More { nodes, then: Then::TimesCurve(curve), other: None })
    }

    fn can_add(&self, layer: &Layer, other: ValueId) -> bool {
        let (result, ty) = (self.graph.ty(layer.result), self.graph.ty(other));
        layer.residual.is_none()
            && ty.is_some()
            && result == ty
            && order::can_come_first(self.graph, self.layers, &layer.nodes, other)
    }

    /// The `Clip` node `node`; its limits are inputs from opset 11 on. `None` if they are not known.
    fn clip(&self, node: &Node) -> Result<Option<Then>, ImportError> {
        let limit = |place: usize, attribute: &str, none: f32| -> Result<Option<f32>, ImportError> {
            match node.input(place) {
                Some(limit) => Ok(self.graph.floats(limit)?.and_then(|values| values.first().copied())),
                None => Ok(Some(node.float(attribute).unwrap_or(none))),
            }
        };
        let limits = (limit(1, "min", f32::NEG_INFINITY)?, limit(2, "max", f32::INFINITY)?);
        let (Some(low), Some(high)) = limits else { return Ok(None) };
        Ok(Some(Then::Clip { low: low.to_bits(), high: high.to_bits() }))
    }

    /// The `QuantizeLinear` node `quantize` with what dequantises behind it.
    fn rounding(&self, layer: &Layer, quantize: NodeId) -> Option<More> {
        let quantized = self.graph.node(quantize).only_output()?;
        let dequantize = self.only_reader(layer, quantized)?;
        let rounding = self.roundings.get(&dequantize)?;
        let then = Then::Quantize(rounding.quantization);
        Some(More { nodes: vec![quantize, dequantize], then, other: None })
    }
}

/// `x * HardSigmoid(x)` with these numbers is what ONNX defines `HardSwish` as.
const HARD_SWISH: Curve = Curve::HardSigmoid { slope: (1.0f32 / 6.0).to_bits(), middle: 0.5f32.to_bits() };

/// The curve that `node` is.
fn curve(node: &Node) -> Option<Curve> {
    match node.op_type() {
        "Sigmoid" => Some(Curve::Sigmoid),
        // The defaults are those of ONNX.
        "HardSigmoid" => Some(Curve::HardSigmoid {
            slope: node.float("alpha").unwrap_or(0.2).to_bits(),
            middle: node.float("beta").unwrap_or(0.5).to_bits(),
        }),
        _ => None,
    }
}
