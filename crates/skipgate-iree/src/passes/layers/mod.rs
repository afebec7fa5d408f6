//! Which layers become calls of kernels ([`crate::kernels`]), and which nodes behind them their kernels do too.
//!
//! A kernel also does what directly follows its layer, as long as nothing else reads the values in between: the sum with
//! another value that can be computed before it, activations, and rounding to what is left after quantisation.

mod batched;
mod convolution;
mod curves;
mod fusion;
mod product;

use std::collections::{BTreeMap, HashMap};

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{Graph, Node, NodeId, TensorType, ValueId};

use super::quantisation::Roundings;
use crate::ImportError;
use crate::kernels::{Curve, Kernels, Quantization, Window};
use crate::plan::{Layout, Weights};
pub(crate) use batched::Product;
use fusion::Fusion;

/// The layers of a model.
pub(crate) struct Layers<'m> {
    kernels: HashMap<NodeId, Layer<'m>>,
    products: HashMap<NodeId, Product>,
    /// The layer whose kernel does each node.
    leaders: HashMap<NodeId, NodeId>,
    /// Why no kernel computes a layer.
    reasons: BTreeMap<NodeId, String>,
}

/// A convolution or a matrix product that a kernel computes, with what the kernel does behind it.
pub(crate) struct Layer<'m> {
    /// The layer and the nodes that its kernel does too, in order.
    pub(crate) nodes: Vec<NodeId>,
    /// Of all values that the kernel reads and writes.
    pub(crate) layout: Layout,
    pub(crate) window: Window,
    pub(crate) weights: Weights<'m>,
    /// A number for each filter.
    pub(crate) bias: Option<&'m TensorProto>,
    pub(crate) input: ValueId,
    /// What is done to every sum, in order.
    pub(crate) then: Vec<Then>,
    /// What is added.
    pub(crate) residual: Option<ValueId>,
    pub(crate) result: ValueId,
}

impl<'m> Layer<'m> {
    /// The layer `node` without a bias, and nothing behind it.
    fn alone(
        node: NodeId,
        layout: Layout,
        (window, weights): (Window, Weights<'m>),
        [input, result]: [ValueId; 2],
    ) -> Self {
        let (nodes, then) = (vec![node], Vec::new());
        Self { nodes, layout, window, weights, bias: None, input, then, residual: None, result }
    }
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

    /// The kernel that does `node`, a product of two computed factors.
    pub(crate) fn product(&self, node: NodeId) -> Option<&Product> {
        self.products.get(&node)
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
    let mut layers = Layers {
        kernels: HashMap::new(),
        products: HashMap::new(),
        leaders: HashMap::new(),
        reasons: BTreeMap::new(),
    };
    for id in graph.nodes().filter(|&id| is_layer(graph.node(id))) {
        if !has_weights(graph, graph.node(id)) {
            match kernels.are_on().and_then(|()| batched::product(graph, id)) {
                Ok(product) => layers.products.insert(id, product).map(drop),
                Err(reason) => layers.reasons.insert(id, reason).map(drop),
            };
            continue;
        }
        let layer = if graph.node(id).is("Conv") { convolution::layer } else { product::layer };
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

/// Whether `node` is a convolution or a matrix product.
fn is_layer(node: &Node) -> bool {
    node.is("Conv") || node.is("Gemm") || node.is("MatMul")
}

/// Whether `node`, a layer, is more than a product of two computed matrices.
fn has_weights(graph: &Graph, node: &Node) -> bool {
    node.is("Conv") || node.reads().any(|value| graph.constant(value).is_some())
}

/// The first two operands of a layer, and its result.
fn operands_and_result(node: &Node) -> Result<[ValueId; 3], String> {
    match (node.input(0), node.input(1), node.only_output()) {
        (Some(first), Some(second), Some(result)) => Ok([first, second, result]),
        _ => Err("its operands or results are incomplete".to_owned()),
    }
}

/// The constant floats `value`, if that is what it is.
fn constant_floats<'m>(graph: &Graph<'m>, value: ValueId) -> Option<&'m TensorProto> {
    graph.constant(value).filter(|tensor| tensor.data_type == FLOAT)
}

/// Shapes of input, weights and result of a layer, of which the input must be floats.
fn shapes(graph: &Graph, values: [ValueId; 3]) -> Result<[Vec<usize>; 3], String> {
    if graph.ty(values[0]).is_none_or(|ty| ty.element_type != FLOAT) {
        return Err("its input is not of 32-bit floats".to_owned());
    }
    let shape = |value| graph.ty(value).and_then(TensorType::static_shape).ok_or("its shapes are not known");
    let [input, weights, result] = values.map(shape);
    Ok([input?, weights?, result?])
}

/// `value` as a bias of so many filters, or why it is none.
fn bias_of<'m>(graph: &Graph<'m>, value: ValueId, filters: usize) -> Result<&'m TensorProto, String> {
    let bias = constant_floats(graph, value).ok_or("its bias is not a constant of floats")?;
    let of_filters = |extent: &i64| usize::try_from(*extent) == Ok(filters);
    let is_vector = bias
        .dims
        .split_last()
        .is_some_and(|(last, others)| of_filters(last) && others.iter().all(|&extent| extent == 1));
    if is_vector { Ok(bias) } else { Err("its bias is not one float for each filter".to_owned()) }
}

#[cfg(test)]
mod tests {
    use skipgate_core::{CompileOptions, Target};

    use crate::net::{Net, float, int, ints};
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
        assert_eq!(kernels.len(), 6);
        assert_eq!(reasons, ["its weights are not constant floats"]);
        let (kernels, generic) = layers(&net, false);
        assert_eq!((kernels.len(), generic.len()), (0, 7));
    }

    #[test]
    fn a_matrix_product_takes_its_bias_and_what_follows() {
        let (mut net, x) = Net::new(&[1, 5, 6], 1);
        let weights = net.floats(&[6, 8], |r| r);
        let bias = net.floats(&[8], |r| r);
        let product = net.op("MatMul", &[&x, &weights], &[]);
        let sum = net.op("Add", &[&bias, &product], &[]);
        let sum = net.relu(&sum);
        // One number a row is no bias.
        let weights = net.floats(&[8, 8], |r| r);
        let column = net.floats(&[5, 1], |r| r);
        let product = net.op("MatMul", &[&sum, &weights], &[]);
        let other = net.op("Add", &[&product, &column], &[]);
        net.output(&other, &[1, 5, 8]);
        let (kernels, generic) = layers(&net, true);
        let added: Vec<_> = kernels.iter().map(|kernel| kernel.matches("Add").count()).collect();
        assert_eq!((added, generic.len()), (vec![1, 0], 0), "{kernels:#?}");
        assert!(kernels[0].contains("1x1 by 1x1, relu"), "{kernels:#?}");
    }

    #[test]
    fn a_matrix_product_without_a_kernel_has_a_reason() {
        let (mut net, x) = Net::new(&[2, 3, 4], 1);
        let weights = net.floats(&[3, 3], |r| r);
        let first = net.op("MatMul", &[&weights, &x], &[]);
        let flat = net.op("Flatten", &[&first], &[]);
        let weights = net.floats(&[2, 5], |r| r);
        let turned = net.op("Gemm", &[&flat, &weights], &[int("transA", 1)]);
        let weights = net.floats(&[5, 4], |r| r);
        let scaled = net.op("Gemm", &[&turned, &weights], &[float("alpha", 0.5)]);
        let scaled = net.op("Transpose", &[&scaled], &[]);
        let several = net.op("MatMul", &[&x, &scaled], &[]);
        net.output(&several, &[2, 3, 12]);
        let (kernels, generic) = layers(&net, true);
        let reasons: Vec<_> =
            generic.iter().filter_map(|line| line.split_once(": ")).map(|(_, why)| why).collect();
        let expected = [
            "its second factor is not constant floats",
            "its first factor is transposed",
            "its terms are scaled",
            "one of its factors is used for several of the other",
        ];
        assert_eq!((kernels.len(), reasons), (0, expected.to_vec()));
    }

    #[test]
    fn an_activation_of_several_nodes_is_part_of_a_kernel_only_if_its_numbers_are_right() {
        let (mut net, x) = Net::new(&[1, 8, 8, 8], 1);
        let mut gelu = |root: f32| {
            let x = net.conv(&x, 8, 1, 1);
            let [root, one, half] = [root, 1.0, 0.5].map(|number| net.floats(&[], |_| number));
            let erf = net.op("Mul", &[&x, &root], &[]);
            let erf = net.op("Erf", &[&erf], &[]);
            let curve = net.op("Add", &[&one, &erf], &[]);
            let scaled = net.op("Mul", &[&x, &half], &[]);
            net.op("Mul", &[&scaled, &curve], &[])
        };
        let results = [gelu(std::f32::consts::FRAC_1_SQRT_2), gelu(0.7)];
        for result in &results {
            net.output(result, &[1, 8, 8, 8]);
        }
        let (kernels, _) = layers(&net, true);
        let ends: Vec<_> =
            kernels.iter().map(|kernel| kernel.ends_with("times its normal distribution")).collect();
        assert_eq!(ends, [true, false], "{kernels:#?}");
    }
}
