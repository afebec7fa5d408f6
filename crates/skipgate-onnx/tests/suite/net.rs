//! Builds small networks with random weights, node by node.

use std::collections::HashMap;

use skipgate_onnx::Model;
use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::tensor_shape_proto::{Dimension, dimension};
use skipgate_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

pub(crate) const FLOAT: i32 = 1;
pub(crate) const INT64: i32 = 7;

/// A network under construction. Values are known by their names.
pub(crate) struct Net {
    graph: GraphProto,
    channels: HashMap<String, usize>,
    random: u64,
    names: usize,
    opset: i64,
}

impl Net {
    /// A network that reads `image`, f32 of `shape` (NCHW).
    pub(crate) fn new(shape: &[i64], seed: u64) -> (Self, String) {
        let mut net = Self {
            graph: GraphProto { name: "net".into(), ..GraphProto::default() },
            channels: HashMap::new(),
            // The generator below stays at zero once it is there.
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            names: 0,
            opset: 17,
        };
        net.graph.input.push(value_info("image", FLOAT, shape));
        net.channels.insert("image".into(), usize::try_from(shape[1]).unwrap());
        (net, "image".into())
    }

    pub(crate) fn set_opset(&mut self, version: i64) {
        self.opset = version;
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}_{}", self.names)
    }

    pub(crate) fn channels(&self, value: &str) -> usize {
        self.channels[value]
    }

    pub(crate) fn random_values(&mut self, count: i64) -> Vec<f32> {
        (0..count).map(|_| self.random()).collect()
    }

    /// Between -1 and 1 (xorshift).
    fn random(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        f32::from(u16::try_from(self.random >> 48).unwrap()) / 32768.0 - 1.0
    }

    pub(crate) fn floats(&mut self, dims: &[i64], value: impl Fn(f32) -> f32) -> String {
        let float_data = self.random_values(dims.iter().product()).into_iter().map(value).collect();
        let name = self.name("weight");
        let dims = dims.to_vec();
        let tensor =
            TensorProto { name: name.clone(), dims, data_type: FLOAT, float_data, ..TensorProto::default() };
        self.graph.initializer.push(tensor);
        name
    }

    /// An initialiser of bytes: 8-bit integers, or anything else in little-endian order.
    pub(crate) fn bytes(&mut self, data_type: i32, dims: &[i64], bytes: &[u8]) -> String {
        let name = self.name("bytes");
        let (dims, raw_data) = (dims.to_vec(), bytes.to_vec());
        let tensor = TensorProto { name: name.clone(), dims, data_type, raw_data, ..TensorProto::default() };
        self.graph.initializer.push(tensor);
        name
    }

    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        let name = self.name("ints");
        self.graph.initializer.push(int_tensor(&name, values));
        name
    }

    /// Any operator with one output that has the channels of its first input.
    pub(crate) fn op(&mut self, op_type: &str, inputs: &[&str], attributes: &[AttributeProto]) -> String {
        let output = self.name(&op_type.to_lowercase());
        if let Some(&channels) = inputs.first().and_then(|input| self.channels.get(*input)) {
            self.channels.insert(output.clone(), channels);
        }
        self.push(op_type, inputs, &output, attributes);
        output
    }

    pub(crate) fn push(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeProto],
    ) {
        self.graph.node.push(NodeProto {
            op_type: op_type.into(),
            name: format!("node_{output}"),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.into()],
            attribute: attributes.to_vec(),
            ..NodeProto::default()
        });
    }

    /// A convolution with bias that keeps the size at stride 1 (odd kernels).
    pub(crate) fn conv(&mut self, x: &str, out: usize, kernel: i64, stride: i64) -> String {
        self.grouped_conv(x, out, kernel, stride, 1)
    }

    pub(crate) fn depthwise(&mut self, x: &str, stride: i64) -> String {
        let channels = self.channels[x];
        self.grouped_conv(x, channels, 3, stride, channels)
    }

    fn grouped_conv(&mut self, x: &str, out: usize, kernel: i64, stride: i64, groups: usize) -> String {
        let per_group = self.channels[x] / groups;
        let fan_in =
            f32::from(u16::try_from(per_group).unwrap()) * f32::from(i16::try_from(kernel * kernel).unwrap());
        let dims = [out, per_group].map(|dim| i64::try_from(dim).unwrap());
        let weight = self.floats(&[dims[0], dims[1], kernel, kernel], |r| r * (3.0 / fan_in).sqrt());
        let bias = self.floats(&dims[..1], |r| r * 0.1);
        let groups = i64::try_from(groups).unwrap();
        let attributes = [
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride; 2]),
            ints("pads", &[kernel / 2; 4]),
            int("group", groups),
        ];
        let y = self.op("Conv", &[x, &weight, &bias], &attributes);
        self.channels.insert(y.clone(), out);
        y
    }

    /// Batch normalisation with random statistics.
    pub(crate) fn norm(&mut self, x: &str) -> String {
        let dims = [i64::try_from(self.channels[x]).unwrap()];
        let scale = self.floats(&dims, |r| 1.0 + 0.5 * r);
        let shift = self.floats(&dims, |r| 0.3 * r);
        let mean = self.floats(&dims, |r| 0.3 * r);
        let variance = self.floats(&dims, |r| 1.0 + 0.5 * r);
        self.op("BatchNormalization", &[x, &scale, &shift, &mean, &variance], &[])
    }

    pub(crate) fn relu(&mut self, x: &str) -> String {
        self.op("Relu", &[x], &[])
    }

    /// Clip to the range of `ReLU6`.
    pub(crate) fn relu6(&mut self, x: &str) -> String {
        let low = self.floats(&[], |_| 0.0);
        let high = self.floats(&[], |_| 6.0);
        self.op("Clip", &[x, &low, &high], &[])
    }

    pub(crate) fn add(&mut self, a: &str, b: &str) -> String {
        self.op("Add", &[a, b], &[])
    }

    /// Global pool and a classifier of ten classes; `logits` becomes the output.
    pub(crate) fn classify(&mut self, x: &str) {
        let channels = i64::try_from(self.channels[x]).unwrap();
        let pooled = self.op("GlobalAveragePool", &[x], &[]);
        let flat = self.op("Flatten", &[&pooled], &[]);
        let weight = self.floats(&[channels, 10], |r| r);
        self.push("Gemm", &[&flat, &weight], "logits", &[]);
        self.output("logits", &[1, 10]);
    }

    pub(crate) fn output(&mut self, name: &str, shape: &[i64]) {
        self.graph.output.push(value_info(name, FLOAT, shape));
    }

    /// Puts `module` in front of the names of all nodes from number `first` on.
    pub(crate) fn rename_from(&mut self, first: usize, module: &str) {
        for node in &mut self.graph.node[first..] {
            node.name = format!("{module}{}", node.name);
        }
    }

    pub(crate) fn node_mut(&mut self, output: &str) -> &mut NodeProto {
        self.graph.node.iter_mut().find(|node| node.output[0] == output).unwrap()
    }

    pub(crate) fn proto(&self) -> ModelProto {
        let opset = OperatorSetIdProto { version: self.opset, ..OperatorSetIdProto::default() };
        ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(self.graph.clone()).into(),
            ..ModelProto::default()
        }
    }

    pub(crate) fn model(&self) -> Model {
        Model::from_proto(self.proto()).unwrap()
    }
}

pub(crate) fn int_tensor(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

pub(crate) fn value_info(name: &str, elem_type: i32, shape: &[i64]) -> ValueInfoProto {
    let dim = |&dim: &i64| Dimension { value: Some(dimension::Value::DimValue(dim)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect(), ..TensorShapeProto::default() };
    let tensor = type_proto::Tensor { elem_type, shape: Some(shape).into(), ..type_proto::Tensor::default() };
    let value = Some(type_proto::Value::TensorType(tensor));
    let type_ = Some(TypeProto { value, ..TypeProto::default() }).into();
    ValueInfoProto { name: name.into(), type_, ..ValueInfoProto::default() }
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INT.into(),
        i: Some(value),
        ..AttributeProto::default()
    }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::FLOAT.into(),
        f: Some(value),
        ..AttributeProto::default()
    }
}

pub(crate) fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::FLOATS.into(),
        floats: values.to_vec(),
        ..AttributeProto::default()
    }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INTS.into(),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

pub(crate) fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::TENSOR.into(),
        t: Some(value).into(),
        ..AttributeProto::default()
    }
}

pub(crate) fn subgraph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::GRAPH.into(),
        g: Some(graph).into(),
        ..AttributeProto::default()
    }
}

pub(crate) fn text(name: &str, value: &str) -> AttributeProto {
    let s = Some(value.as_bytes().to_vec());
    AttributeProto { name: name.into(), type_: AttributeType::STRING.into(), s, ..AttributeProto::default() }
}

/// A post-activation block: conv, relu, conv, plus the shortcut, relu.
pub(crate) fn post_block(net: &mut Net, x: &str, out: usize, stride: i64) -> String {
    let y = net.conv(x, out, 3, stride);
    let y = net.relu(&y);
    let y = net.conv(&y, out, 3, 1);
    let shortcut = if stride == 1 { x.to_owned() } else { net.conv(x, out, 1, stride) };
    let sum = net.add(&y, &shortcut);
    net.relu(&sum)
}

/// Stem and two segments of two post-activation blocks each.
pub(crate) fn small_resnet() -> Net {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let x = net.conv(&x, 4, 3, 1);
    let mut x = net.relu(&x);
    for (out, stride) in [(4, 1), (4, 1), (8, 2), (8, 1)] {
        x = post_block(&mut net, &x, out, stride);
    }
    net.classify(&x);
    net
}
