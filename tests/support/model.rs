//! Models of a few nodes.

use skipgate_onnx::Model;
use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::tensor_proto::DataType;
use skipgate_onnx::proto::tensor_shape_proto::{Dimension, dimension};
use skipgate_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// A model of `nodes` with one input and one output.
pub(crate) fn model(
    nodes: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    input: ValueInfoProto,
    output: ValueInfoProto,
) -> Model {
    let graph = GraphProto {
        name: "test".to_owned(),
        node: nodes,
        initializer,
        input: vec![input],
        output: vec![output],
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { version: 17, ..Default::default() }];
    let proto = ModelProto { ir_version: 8, opset_import, graph: Some(graph).into(), ..Default::default() };
    Model::from_proto(proto).unwrap()
}

/// The networks of `models`, which have as many inputs and outputs as there are models. Names of number n begin with `n_`.
pub(crate) fn side_by_side<'m>(models: impl IntoIterator<Item = &'m Model>) -> Model {
    let mut models = models.into_iter().enumerate().map(|(number, model)| numbered(model.proto(), number));
    let mut all = models.next().expect("at least one model");
    for mut model in models {
        let (all, graph) = (all.graph.as_mut().unwrap(), model.graph.as_mut().unwrap());
        all.node.append(&mut graph.node);
        all.initializer.append(&mut graph.initializer);
        all.input.append(&mut graph.input);
        all.output.append(&mut graph.output);
    }
    Model::from_proto(all).unwrap()
}

fn numbered(model: &ModelProto, number: usize) -> ModelProto {
    let mut model = model.clone();
    let graph = model.graph.as_mut().unwrap();
    let nodes = graph
        .node
        .iter_mut()
        .flat_map(|node| [&mut node.name].into_iter().chain(&mut node.input).chain(&mut node.output));
    let tensors = graph.initializer.iter_mut().map(|tensor| &mut tensor.name);
    let values = graph.input.iter_mut().chain(&mut graph.output).map(|value| &mut value.name);
    for name in nodes.chain(tensors).chain(values) {
        *name = format!("{number}_{name}");
    }
    model
}

pub(crate) fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: output.to_owned(),
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    }
}

pub(crate) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INT.into(),
        i: Some(integer(value)),
        ..Default::default()
    }
}

fn integer(value: usize) -> i64 {
    i64::try_from(value).unwrap()
}

pub(crate) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INTS.into(),
        ints: values.iter().copied().map(integer).collect(),
        ..Default::default()
    }
}

pub(crate) fn tensor(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        data_type: DataType::FLOAT as i32,
        dims: shape.iter().copied().map(integer).collect(),
        float_data: values.to_vec(),
        ..Default::default()
    }
}

pub(crate) fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let extent = |&extent: &usize| Dimension {
        value: Some(dimension::Value::DimValue(integer(extent))),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: shape.iter().map(extent).collect(), ..Default::default() };
    let tensor = type_proto::Tensor {
        elem_type: DataType::FLOAT as i32,
        shape: Some(shape).into(),
        ..Default::default()
    };
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.to_owned(), type_: Some(ty).into(), ..Default::default() }
}
