//! Builds networks node by node, with the shape of every value at hand.

use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::tensor_shape_proto::{Dimension, dimension};
use skipgate_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};
use skipgate_onnx::{Error, Model, element_type};

/// Name of the only input.
pub const INPUT: &str = "image";

/// A value of a network under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its shape; every network here has static shapes.
    pub shape: Vec<usize>,
}

impl Value {
    /// The same with another name for an absent optional input.
    fn absent() -> Self {
        Self { name: String::new(), shape: Vec::new() }
    }
}

/// How a convolution goes over its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the filter.
    pub taps: [usize; 2],
    /// Steps.
    pub strides: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    /// Distances between taps.
    pub dilations: [usize; 2],
}

impl Window {
    /// A square filter that keeps the size of its input.
    pub fn same(taps: usize) -> Self {
        Self { taps: [taps; 2], strides: [1; 2], pads: [taps / 2; 4], dilations: [1; 2] }
    }

    /// The same with another step.
    pub fn strided(taps: usize, stride: usize) -> Self {
        Self { strides: [stride; 2], ..Self::same(taps) }
    }

    /// Size of the result for an input of `size`.
    ///
    /// # Panics
    ///
    /// If the window is larger than the padded input.
    pub fn result(&self, size: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = (self.taps[axis] - 1) * self.dilations[axis] + 1;
            (size[axis] + self.pads[axis] + self.pads[axis + 2] - reach) / self.strides[axis] + 1
        })
    }

    fn attributes(&self) -> Vec<AttributeProto> {
        vec![
            ints("kernel_shape", &signed(&self.taps)),
            ints("strides", &signed(&self.strides)),
            ints("pads", &signed(&self.pads)),
            ints("dilations", &signed(&self.dilations)),
        ]
    }
}

/// A network under construction.
#[derive(Debug)]
pub struct Net {
    graph: GraphProto,
    opset: i64,
    names: usize,
}

impl Net {
    /// A network that reads [`INPUT`] of `shape`, in version `opset` of the operators.
    pub fn new(opset: i64, shape: &[usize]) -> (Self, Value) {
        let image = Value { name: INPUT.to_owned(), shape: shape.to_vec() };
        let input = vec![value_info(&image, element_type::FLOAT)];
        let graph = GraphProto { name: "net".to_owned(), input, ..GraphProto::default() };
        (Self { graph, opset, names: 0 }, image)
    }

    /// Version of the operators.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{}_{}", kind.to_lowercase(), self.names)
    }

    /// Any operator; its results have `shapes`.
    pub fn node(
        &mut self,
        op_type: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
        shapes: &[Vec<usize>],
    ) -> Vec<Value> {
        let name = self.name(op_type);
        let output = |(number, shape): (usize, &Vec<usize>)| Value {
            name: if number == 0 { name.clone() } else { format!("{name}_{number}") },
            shape: shape.clone(),
        };
        let outputs: Vec<_> = shapes.iter().enumerate().map(output).collect();
        self.graph.node.push(NodeProto {
            op_type: op_type.to_owned(),
            name: format!("node_{name}"),
            input: inputs.iter().map(|input| input.name.clone()).collect(),
            output: outputs.iter().map(|output| output.name.clone()).collect(),
            attribute: attributes,
            ..NodeProto::default()
        });
        outputs
    }

    /// Any operator with one result.
    pub fn op(
        &mut self,
        op_type: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
        shape: &[usize],
    ) -> Value {
        self.node(op_type, inputs, attributes, &[shape.to_vec()]).remove(0)
    }

    /// An operator whose result has the shape of its first input.
    pub fn map(&mut self, op_type: &str, inputs: &[&Value], attributes: Vec<AttributeProto>) -> Value {
        self.op(op_type, inputs, attributes, &inputs[0].shape)
    }

    /// Elementwise arithmetic on two values of one shape, or with one that is broadcast to that of `a`.
    pub fn binary(&mut self, op_type: &str, a: &Value, b: &Value) -> Value {
        self.map(op_type, &[a, b], vec![])
    }

    /// A constant with `values`.
    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant("constant", shape, element_type::FLOAT, bytes)
    }

    /// Constant booleans, each one 0 or 1.
    pub fn bools(&mut self, shape: &[usize], values: &[u8]) -> Value {
        self.constant("booleans", shape, element_type::BOOL, values.to_vec())
    }

    /// A constant scalar, an unsigned byte.
    pub fn byte(&mut self, value: u8) -> Value {
        self.constant("byte", &[], element_type::UINT8, vec![value])
    }

    fn constant(&mut self, kind: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> Value {
        let value = Value { name: self.name(kind), shape: shape.to_vec() };
        self.graph.initializer.push(TensorProto {
            name: value.name.clone(),
            dims: signed(shape),
            data_type,
            raw_data,
            ..TensorProto::default()
        });
        value
    }

    /// A constant scalar.
    pub fn scalar(&mut self, value: f32) -> Value {
        self.floats(&[], &[value])
    }

    /// Constant integers, as a vector.
    pub fn integers(&mut self, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant("integers", &[values.len()], element_type::INT64, bytes)
    }

    /// Random numbers around `middle`, at most `spread` from it. A network has the same ones each time it is made.
    pub fn noise(&mut self, shape: &[usize], middle: f32, spread: f32) -> Value {
        let mut random = fastrand::Rng::with_seed(self.names as u64);
        let values: Vec<_> =
            (0..shape.iter().product()).map(|_| middle + spread * (2.0 * random.f32() - 1.0)).collect();
        self.floats(shape, &values)
    }

    /// Weights for sums of `terms` products that leave the size of values as it is.
    pub fn weights(&mut self, shape: &[usize], terms: usize) -> Value {
        self.noise(shape, 0.0, (3.0 / terms as f32).sqrt())
    }

    /// A convolution with new weights, in `groups`.
    pub fn conv(&mut self, x: &Value, filters: usize, window: &Window, groups: usize, bias: bool) -> Value {
        let channels = x.shape[1] / groups;
        let [rows, columns] = window.taps;
        let weights = self.weights(&[filters, channels, rows, columns], channels * rows * columns);
        let bias = bias.then(|| self.noise(&[filters], 0.0, 0.5));
        self.conv_with(x, &weights, bias.as_ref(), window, groups)
    }

    /// A convolution with weights that are there.
    pub fn conv_with(
        &mut self,
        x: &Value,
        weights: &Value,
        bias: Option<&Value>,
        window: &Window,
        groups: usize,
    ) -> Value {
        let [rows, columns] = window.result([x.shape[2], x.shape[3]]);
        let mut attributes = window.attributes();
        attributes.push(int("group", groups));
        let inputs: Vec<_> = [x, weights].into_iter().chain(bias).collect();
        self.op("Conv", &inputs, attributes, &[x.shape[0], weights.shape[0], rows, columns])
    }

    /// Product of the last axis with new weights.
    pub fn matmul(&mut self, x: &Value, features: usize) -> Value {
        let inner = *x.shape.last().unwrap_or(&1);
        let weights = self.weights(&[inner, features], inner);
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = features;
        }
        self.op("MatMul", &[x, &weights], vec![], &shape)
    }

    /// A sum with one number per element of the last axis.
    pub fn add_bias(&mut self, x: &Value) -> Value {
        let bias = self.noise(&x.shape[x.shape.len() - 1..], 0.0, 0.5);
        self.binary("Add", x, &bias)
    }

    /// Batch normalisation over axis 1 with statistics of its own.
    pub fn normalise(&mut self, x: &Value) -> Value {
        let channels = [x.shape[1]];
        let [scale, shift, mean, variance] = [(1.0, 0.4), (0.0, 0.3), (0.0, 0.3), (1.0, 0.4)]
            .map(|(m, spread)| self.noise(&channels, m, spread));
        self.map("BatchNormalization", &[x, &scale, &shift, &mean, &variance], vec![])
    }

    /// Axes in another order.
    pub fn transpose(&mut self, x: &Value, order: &[usize]) -> Value {
        let shape: Vec<_> = order.iter().map(|&axis| x.shape[axis]).collect();
        self.op("Transpose", &[x], vec![ints("perm", &signed(order))], &shape)
    }

    /// The same elements in another shape.
    pub fn reshape(&mut self, x: &Value, shape: &[usize]) -> Value {
        let target = self.integers(&signed(shape));
        self.op("Reshape", &[x, &target], vec![], shape)
    }

    /// Values behind each other along `axis`.
    pub fn concat(&mut self, values: &[&Value], axis: usize) -> Value {
        let mut shape = values[0].shape.clone();
        shape[axis] = values.iter().map(|value| value.shape[axis]).sum();
        self.op("Concat", values, vec![int("axis", axis)], &shape)
    }

    /// Parts of these `sizes` along `axis`.
    pub fn split(&mut self, x: &Value, axis: usize, sizes: &[usize]) -> Vec<Value> {
        let shape = |&size: &usize| {
            let mut shape = x.shape.clone();
            shape[axis] = size;
            shape
        };
        let shapes: Vec<_> = sizes.iter().map(shape).collect();
        let axis = int("axis", axis);
        if self.opset < 13 {
            return self.node("Split", &[x], vec![axis, ints("split", &signed(sizes))], &shapes);
        }
        let sizes = self.integers(&signed(sizes));
        self.node("Split", &[x, &sizes], vec![axis], &shapes)
    }

    /// Elements `from..to` along `axis`.
    pub fn slice(&mut self, x: &Value, axis: usize, from: usize, to: usize) -> Value {
        let [starts, ends, axes] = [from, to, axis].map(|number| self.integers(&signed(&[number])));
        let mut shape = x.shape.clone();
        shape[axis] = to - from;
        self.op("Slice", &[x, &starts, &ends, &axes], vec![], &shape)
    }

    /// Mean over `axes`, which stay with one element where `keep`.
    pub fn mean(&mut self, x: &Value, axes: &[usize], keep: bool) -> Value {
        let extent = |(axis, &extent): (usize, &usize)| match (axes.contains(&axis), keep) {
            (false, _) => Some(extent),
            (true, true) => Some(1),
            (true, false) => None,
        };
        let shape: Vec<_> = x.shape.iter().enumerate().filter_map(extent).collect();
        let keep = int("keepdims", usize::from(keep));
        if self.opset < 18 {
            return self.op("ReduceMean", &[x], vec![ints("axes", &signed(axes)), keep], &shape);
        }
        let axes = self.integers(&signed(axes));
        self.op("ReduceMean", &[x, &axes], vec![keep], &shape)
    }

    /// Pooling; with `attributes` besides those of the window.
    pub fn pool(
        &mut self,
        op_type: &str,
        x: &Value,
        window: &Window,
        ceil: bool,
        count_padding: bool,
    ) -> Value {
        let mut attributes: Vec<_> =
            window.attributes().into_iter().filter(|attribute| attribute.name != "dilations").collect();
        attributes.extend(ceil.then(|| int("ceil_mode", 1)));
        attributes.extend(count_padding.then(|| int("count_include_pad", 1)));
        let size = [0, 1].map(|axis| {
            let padded = x.shape[axis + 2] + window.pads[axis] + window.pads[axis + 2] - window.taps[axis];
            let stride = window.strides[axis];
            if !ceil {
                return padded / stride + 1;
            }
            // A window that would begin in the padding behind the image is left out.
            let steps = padded.div_ceil(stride);
            let begins_inside = steps * stride < x.shape[axis + 2] + window.pads[axis];
            steps + usize::from(begins_inside)
        });
        self.op(op_type, &[x], attributes, &[x.shape[0], x.shape[1], size[0], size[1]])
    }

    /// An image of twice the size, by `mode` at places that `coordinates` says.
    pub fn enlarge(&mut self, x: &Value, mode: &str, coordinates: &str) -> Value {
        let scales = self.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
        let attributes = vec![
            text("mode", mode),
            text("coordinate_transformation_mode", coordinates),
            text("nearest_mode", "floor"),
        ];
        let shape = [x.shape[0], x.shape[1], 2 * x.shape[2], 2 * x.shape[3]];
        // The region of interest may be left out from operator set 13 on.
        let region = if self.opset < 13 { self.floats(&[0], &[]) } else { Value::absent() };
        self.op("Resize", &[x, &region, &scales], attributes, &shape)
    }

    /// An `If` on `condition` between what two functions make of values that are there; both give the same shape.
    pub fn branch(
        &mut self,
        condition: &Value,
        then: impl FnOnce(&mut Self) -> Value,
        otherwise: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let (then_branch, value) = self.subgraph(then);
        let (else_branch, _) = self.subgraph(otherwise);
        let attributes = vec![graph("then_branch", then_branch), graph("else_branch", else_branch)];
        self.op("If", &[condition], attributes, &value.shape)
    }

    fn subgraph(&mut self, make: impl FnOnce(&mut Self) -> Value) -> (GraphProto, Value) {
        let outside = std::mem::take(&mut self.graph.node);
        let value = make(self);
        let node = std::mem::replace(&mut self.graph.node, outside);
        let (name, output) = (self.name("branch"), vec![value_info(&value, element_type::FLOAT)]);
        (GraphProto { name, node, output, ..GraphProto::default() }, value)
    }

    /// Makes `x` an output.
    pub fn output(&mut self, x: &Value) {
        self.graph.output.push(value_info(x, element_type::FLOAT));
    }

    /// The network.
    pub fn model(self) -> Result<Model, Error> {
        let opset = OperatorSetIdProto { version: self.opset, ..OperatorSetIdProto::default() };
        Model::from_proto(ModelProto {
            // The first that knows the operators (ONNX, `docs/Versioning.md`).
            ir_version: match self.opset {
                ..=11 => 6,
                12..=14 => 7,
                15..=18 => 8,
                19..=20 => 9,
                _ => 10,
            },
            opset_import: vec![opset],
            graph: Some(self.graph).into(),
            ..ModelProto::default()
        })
    }
}

/// Sizes are small here.
fn signed(numbers: &[usize]) -> Vec<i64> {
    numbers.iter().map(|&number| i64::try_from(number).unwrap_or(i64::MAX)).collect()
}

/// The declaration of a value.
pub(crate) fn value_info(value: &Value, element_type: i32) -> ValueInfoProto {
    let dim = |extent| Dimension { value: Some(dimension::Value::DimValue(extent)), ..Dimension::default() };
    let dim = signed(&value.shape).into_iter().map(dim).collect();
    let shape = TensorShapeProto { dim, ..TensorShapeProto::default() };
    let tensor = type_proto::Tensor {
        elem_type: element_type,
        shape: Some(shape).into(),
        ..type_proto::Tensor::default()
    };
    let type_ = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: value.name.clone(), type_: Some(type_).into(), ..ValueInfoProto::default() }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), type_: kind.into(), ..AttributeProto::default() }
}

/// An attribute that is an integer.
pub fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto { i: signed(&[value]).pop(), ..attribute(name, AttributeType::INT) }
}

/// An attribute that is an integer below zero too.
pub fn signed_int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::INT) }
}

/// An attribute that is a list of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::INTS) }
}

/// An attribute that is a number.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::FLOAT) }
}

/// An attribute that is a text.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::STRING) }
}

fn graph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(graph).into(), ..attribute(name, AttributeType::GRAPH) }
}
