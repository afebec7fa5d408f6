//! Which layers become calls of kernels ([`crate::kernels`]), and which nodes behind them their kernels do too.
//!
//! A kernel also does what directly follows its convolution, as long as nothing else reads the values in between: the
//! sum with another value that can be computed before it, activations, and rounding to what is left after quantisation.

use std::collections::{BTreeMap, HashMap};

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{Graph, Node, NodeId, Reader, TensorType, ValueId};

use super::order;
use super::quantisation::Roundings;
use crate::ImportError;
use crate::kernels::{Curve, Kernels, Quantization, Window};

/// The layers of a model.
pub(crate) struct Layers<'m> {
    kernels: HashMap<NodeId, Layer<'m>>,
    /// The layer whose kernel does each node.
    leaders: HashMap<NodeId, NodeId>,
    /// Why no kernel computes a layer.
    reasons: BTreeMap<NodeId, String>,
}

/// A convolution that a kernel computes, with what the kernel does behind it.
pub(crate) struct Layer<'m> {
    /// The convolution and the nodes that its kernel does too, in order.
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) window: Window,
    pub(crate) weights: &'m TensorProto,
    pub(crate) bias: Option<&'m TensorProto>,
    pub(crate) input: ValueId,
    /// What is done to every sum, in order.
    pub(crate) then: Vec<Then>,
    /// What is added.
    pub(crate) residual: Option<ValueId>,
    pub(crate) result: ValueId,
}

/// Something that a kernel does to every sum. Numbers are bits of floats, as in [`crate::kernels::Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Add,
    Relu,
    Clip { low: u32, high: u32 },
    Curve(Curve),
    TimesCurve(Curve),
    Quantize(Quantization),
}

impl<'m> Layers<'m> {
    /// The kernel that begins with `node`.
    pub(crate) fn get(&self, node: NodeId) -> Option<&Layer<'m>> {
        self.kernels.get(&node)
    }

    /// Why no kernel computes the layer `node`; `None` if one does, or if it is no layer.
    pub(crate) fn reason(&self, node: NodeId) -> Option<&str> {
        self.reasons.get(&node).map(String::as_str)
    }

    /// The nodes that a kernel does together with `node`, the layer first; empty if none does it.
    pub(super) fn group(&self, node: NodeId) -> &[NodeId] {
        let layer = self.leaders.get(&node).and_then(|leader| self.kernels.get(leader));
        layer.map_or(&[], |layer| &layer.nodes)
    }
}

/// Finds the layers for which there are kernels.
pub(super) fn find<'m>(
    graph: &Graph<'m>,
    roundings: &Roundings,
    kernels: &Kernels,
) -> Result<Layers<'m>, ImportError> {
    let mut layers = Layers { kernels: HashMap::new(), leaders: HashMap::new(), reasons: BTreeMap::new() };
    for id in graph.nodes().filter(|&id| is_layer(graph, graph.node(id))) {
        match layer(graph, id, kernels) {
            Ok(mut layer) => {
                Fusion { graph, roundings, layers: &layers }.extend(&mut layer)?;
                layers.leaders.extend(layer.nodes.iter().map(|&node| (node, id)));
                layers.kernels.insert(id, layer);
            }
            Err(reason) => {
                layers.reasons.insert(id, reason);
            }
        }
    }
    Ok(layers)
}

/// Whether `node` is a convolution or a matrix product with weights.
fn is_layer(graph: &Graph, node: &Node) -> bool {
    let product = node.is("Gemm") || node.is("MatMul");
    node.is("Conv") || product && node.reads().any(|value| graph.constant(value).is_some())
}

/// The convolution `id` on its own, or why there is no kernel for it.
fn layer<'m>(graph: &Graph<'m>, id: NodeId, kernels: &Kernels) -> Result<Layer<'m>, String> {
    let node = graph.node(id);
    if !node.is("Conv") {
        return Err("it is a matrix product".to_owned());
    }
    let (Some(input), Some(weights), Some(result)) = (node.input(0), node.input(1), node.only_output())
    else {
        return Err("its operands or results are incomplete".to_owned());
    };
    let window = window(graph, node, [input, weights, result])?;
    kernels.take(&window)?;
    let float = |value| graph.constant(value).filter(|tensor| tensor.data_type == FLOAT);
    let weights = float(weights).ok_or("its weights are not constant floats")?;
    let bias = node.input(2).map(|bias| float(bias).ok_or("its bias is not a constant of floats"));
    let bias = bias.transpose()?;
    if bias.is_some_and(|bias| bias.dims.iter().product::<i64>() != weights.dims[0]) {
        return Err("its bias is not one float for each filter".to_owned());
    }
    Ok(Layer { nodes: vec![id], window, weights, bias, input, then: Vec::new(), residual: None, result })
}

/// The window of the convolution `node` of `input` with `weights`.
fn window(graph: &Graph, node: &Node, [input, weights, result]: [ValueId; 3]) -> Result<Window, String> {
    if graph.ty(input).is_none_or(|ty| ty.element_type != FLOAT) {
        return Err("its input is not of 32-bit floats".to_owned());
    }
    let shape = |value| graph.ty(value).and_then(TensorType::static_shape).ok_or("its shapes are not known");
    let (x, w, y) = (shape(input)?, shape(weights)?, shape(result)?);
    let (
        &[images, channels, x_rows, x_columns],
        &[filters, of_filter, rows, columns],
        &[_, _, height, width],
    ) = (&x[..], &w[..], &y[..])
    else {
        return Err("it is not over rows and columns of images".to_owned());
    };
    if images != 1 {
        return Err(format!("it is of {images} images at a time"));
    }
    let groups = channels.checked_div(of_filter).unwrap_or(0);
    if groups == 0 || groups * of_filter != channels || filters % groups != 0 {
        return Err(format!("its {filters} filters are of {of_filter} of {channels} channels"));
    }
    let numbers = |name: &str, default: i64, count: usize| -> Option<Vec<usize>> {
        let numbers = node.ints(name).map_or(vec![default; count], <[i64]>::to_vec);
        numbers.into_iter().map(|number| usize::try_from(number).ok()).collect()
    };
    if node.string("auto_pad").is_some_and(|pad| pad != b"NOTSET") {
        return Err("its padding is left to whoever runs it".to_owned());
    }
    if numbers("dilations", 1, 2).is_none_or(|dilations| dilations != [1, 1]) {
        return Err("its filters have gaps".to_owned());
    }
    let (Some(&[down, right]), Some(&[top, left, bottom, right_most])) =
        (numbers("strides", 1, 2).as_deref(), numbers("pads", 0, 4).as_deref())
    else {
        return Err("its padding cuts the image".to_owned());
    };
    // Kernels check no bounds, so nothing that a file says of shapes is taken for granted.
    let sizes = [
        result_extent(x_rows, [top, bottom], rows, down),
        result_extent(x_columns, [left, right_most], columns, right),
    ];
    if sizes != [Some(height), Some(width)] {
        return Err("its result is not of the size that its filters give".to_owned());
    }
    Ok(Window {
        channels,
        filters,
        groups,
        taps: [rows, columns],
        strides: [down, right],
        low: [top, left],
        size: [height, width],
    })
}

/// Rows or columns of a result.
fn result_extent(from: usize, pads: [usize; 2], taps: usize, stride: usize) -> Option<usize> {
    let padded = from.checked_add(pads[0])?.checked_add(pads[1])?;
    Some(padded.checked_sub(taps)?.checked_div(stride)? + 1)
}

/// The nodes behind a layer, one after the other, as far as its kernel can do them.
struct Fusion<'p, 'm> {
    graph: &'p Graph<'m>,
    roundings: &'p Roundings,
    layers: &'p Layers<'m>,
}

/// What a kernel does on top.
struct More {
    nodes: Vec<NodeId>,
    then: Then,
    /// What is added.
    other: Option<ValueId>,
}

impl Fusion<'_, '_> {
    fn extend(&self, layer: &mut Layer) -> Result<(), ImportError> {
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
        let Some(id) = self.only_reader(layer, layer.result) else { return Ok(self.times_curve(layer)) };
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
            ("Clip", [_, ..]) => self.clip(node)?.map(one),
            ("QuantizeLinear", [..]) => self.rounding(layer, id),
            _ => None,
        })
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

#[cfg(test)]
mod tests {
    use skipgate_core::{CompileOptions, Target};

    use super::*;
    use crate::net::{Net, int, ints};
    use crate::plan;

    /// What kernels do in the plan of `net`, one by one, and why they do not do the other layers.
    fn layers(net: &Net, kernels: bool) -> (Vec<String>, Vec<String>) {
        let options = CompileOptions { kernels, ..CompileOptions::default() };
        let model = net.model();
        let plan = plan(&model, &Target::named("x86-64-v3").unwrap(), &options).unwrap();
        let text = plan.to_string();
        let (found, generic): (Vec<_>, _) = (
            text.lines()
                .filter_map(|line| line.split_once("= kernel "))
                .map(|(_, rest)| rest.to_owned())
                .collect(),
            &plan.coverage().generic,
        );
        assert_eq!(plan.coverage().kernels, found.len());
        (found, generic.iter().map(|layer| format!("{}: {}", layer.node, layer.reason)).collect())
    }

    #[test]
    fn a_kernel_does_what_follows_its_layer_up_to_where_something_else_reads() {
        let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
        let x = net.conv(&x, 8, 3, 1);
        let x = net.relu6(&x);
        let y = net.conv(&x, 8, 3, 1);
        let sum = net.add(&y, &x);
        let relu = net.relu(&sum);
        let z = net.conv(&relu, 8, 3, 1);
        let [z, w] = [net.relu(&z), net.op("Sigmoid", &[&z], &[])];
        for output in [z, w] {
            net.output(&output, &[1, 8, 8, 8]);
        }
        let (kernels, generic) = layers(&net, true);
        let ends = ["clip to 0..6", "relu", "1x1"];
        assert!(kernels.iter().zip(ends).all(|(kernel, end)| kernel.ends_with(end)), "{kernels:#?}");
        assert!(kernels[1].contains(" + Add node_"), "{kernels:#?}");
        assert_eq!(generic, [""; 0]);
    }

    #[test]
    fn a_curve_is_part_of_a_kernel_and_so_is_the_product_with_it() {
        let (mut net, x) = Net::new(&[1, 8, 8, 8], 1);
        let conv = |net: &mut Net| net.conv(&x, 8, 1, 1);
        let sigmoid = conv(&mut net);
        let sigmoid = net.op("Sigmoid", &[&sigmoid], &[]);
        let swish = conv(&mut net);
        let hard = net.op("HardSwish", &[&swish], &[]);
        let own = conv(&mut net);
        let curve = net.op("HardSigmoid", &[&own], &[]);
        let own = net.op("Mul", &[&curve, &own], &[]);
        let read = conv(&mut net);
        let curve = net.op("Sigmoid", &[&read], &[]);
        let product = net.op("Mul", &[&read, &curve], &[]);
        let again = net.add(&product, &curve);
        for output in [sigmoid, hard, own, again] {
            net.output(&output, &[1, 8, 8, 8]);
        }
        let (kernels, _) = layers(&net, true);
        let ends = [
            "1x1, sigmoid",
            "1x1, times its hard sigmoid of slope 0.16666667 around 0.5",
            "1x1, times its hard sigmoid of slope 0.2 around 0.5",
            "1x1 by 1x1",
        ];
        assert_eq!(kernels.len(), ends.len());
        assert!(kernels.iter().zip(ends).all(|(kernel, end)| kernel.ends_with(end)), "{kernels:#?}");
    }

    #[test]
    fn the_other_side_of_a_sum_is_computed_first_if_it_can_be() {
        let (mut net, x) = Net::new(&[1, 8, 8, 8], 1);
        let first = net.conv(&x, 8, 3, 1);
        let other = net.conv(&x, 8, 1, 1);
        let other = net.op("Sigmoid", &[&other], &[]);
        let sum = net.add(&first, &other);
        let second = net.conv(&sum, 8, 3, 1);
        let gate = net.op("Sigmoid", &[&sum], &[]);
        let depends = net.op("Mul", &[&second, &gate], &[]);
        let last = net.add(&second, &depends);
        net.output(&last, &[1, 8, 8, 8]);
        let (kernels, _) = layers(&net, true);
        let added: Vec<_> = kernels.iter().map(|kernel| kernel.contains("Add")).collect();
        assert_eq!(added, [false, true, false], "{kernels:#?}");
    }

    #[test]
    fn the_sum_of_two_layers_is_part_of_the_first_ones_kernel() {
        let (mut net, x) = Net::new(&[1, 8, 8, 8], 1);
        let convolved = [3, 1].map(|kernel| net.conv(&x, 8, kernel, 1));
        let sum = net.add(&convolved[0], &convolved[1]);
        net.output(&sum, &[1, 8, 8, 8]);
        let (kernels, _) = layers(&net, true);
        let added: Vec<_> = kernels.iter().map(|kernel| kernel.contains("Add")).collect();
        assert_eq!(added, [false, true], "{kernels:#?}");
        assert!(kernels[1].contains("3x3 by 1x1, add"), "{kernels:#?}");
    }

    #[test]
    fn a_layer_without_a_kernel_has_a_reason() {
        let (mut net, x) = Net::new(&[1, 8, 8, 8], 1);
        let x = net.conv(&x, 18, 3, 1);
        let x = net.conv(&x, 8, 1, 1);
        let x = net.depthwise(&x, 1);
        let weights = net.floats(&[8, 2, 3, 3], |r| r);
        let x = net.op("Conv", &[&x, &weights], &[int("group", 4), ints("pads", &[1; 4])]);
        let weights = net.floats(&[8, 1, 9, 9], |r| r);
        let x = net.op("Conv", &[&x, &weights], &[int("group", 8), ints("pads", &[4; 4])]);
        let weights = net.floats(&[8, 8, 3, 3], |r| r);
        let x = net.op("Conv", &[&x, &weights], &[ints("dilations", &[2, 2]), ints("pads", &[2; 4])]);
        let bias = net.op("Identity", &[&weights], &[]);
        let x = net.op("Conv", &[&x, &bias], &[int("group", 1), ints("pads", &[1; 4])]);
        net.output(&x, &[1, 8, 8, 8]);
        let (kernels, generic) = layers(&net, true);
        let reasons: Vec<_> =
            generic.iter().filter_map(|line| line.split_once(": ")).map(|(_, why)| why).collect();
        assert_eq!(kernels.len(), 2);
        assert_eq!(
            reasons,
            [
                "its 18 filters do not fill registers of 4",
                "each group's 2 filters do not fill registers of 4",
                "its depthwise filters are of 9x9",
                "its filters have gaps",
                "its weights are not constant floats",
            ]
        );
        let (kernels, generic) = layers(&net, false);
        assert_eq!((kernels.len(), generic.len()), (0, 7));
    }

    #[test]
    fn a_result_has_an_extent_only_if_the_filter_fits_and_moves() {
        assert_eq!(result_extent(32, [1, 1], 3, 1), Some(32));
        assert_eq!(result_extent(9, [1, 1], 3, 2), Some(5));
        assert_eq!(result_extent(2, [0, 0], 3, 1), None);
        assert_eq!(result_extent(9, [0, 0], 3, 0), None);
        assert_eq!(result_extent(9, [usize::MAX, 1], 3, 1), None);
    }
}
