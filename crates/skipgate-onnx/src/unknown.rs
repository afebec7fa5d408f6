//! Fields that the schema does not list, in an order of their own.
//!
//! The library keeps them in a hash table and writes them as they stand there, which depends on the order in which they
//! came. Filled in ascending order, equal models have equal tables, and so equal bytes.

use protobuf::{Message, MessageField, UnknownFields, UnknownValue, UnknownValueRef};

use crate::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
    TensorShapeProto, ValueInfoProto, type_proto,
};

/// Brings the unknown fields of `model` and of all messages inside of it into the order of their numbers.
pub(crate) fn sort(model: &mut ModelProto) {
    sort_message(model);
    model.opset_import.iter_mut().for_each(sort_message);
    model.metadata_props.iter_mut().for_each(sort_message);
    model.functions.iter_mut().for_each(sort_function);
    inside(&mut model.graph, sort_graph);
}

fn sort_function(function: &mut FunctionProto) {
    sort_message(function);
    function.node.iter_mut().for_each(sort_node);
    function.opset_import.iter_mut().for_each(sort_message);
    function.attribute_proto.iter_mut().for_each(sort_attribute);
}

fn sort_graph(graph: &mut GraphProto) {
    sort_message(graph);
    graph.node.iter_mut().for_each(sort_node);
    graph.initializer.iter_mut().for_each(sort_tensor);
    graph.sparse_initializer.iter_mut().for_each(sort_sparse);
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    values.for_each(sort_value);
}

fn sort_node(node: &mut NodeProto) {
    sort_message(node);
    node.attribute.iter_mut().for_each(sort_attribute);
    node.metadata_props.iter_mut().for_each(sort_message);
}

fn sort_attribute(attribute: &mut AttributeProto) {
    sort_message(attribute);
    attribute.t.as_mut().into_iter().chain(&mut attribute.tensors).for_each(sort_tensor);
    attribute.g.as_mut().into_iter().chain(&mut attribute.graphs).for_each(sort_graph);
}

fn sort_tensor(tensor: &mut TensorProto) {
    sort_message(tensor);
    tensor.external_data.iter_mut().for_each(sort_message);
}

fn sort_sparse(tensor: &mut SparseTensorProto) {
    sort_message(tensor);
    inside(&mut tensor.values, sort_tensor);
    inside(&mut tensor.indices, sort_tensor);
}

fn sort_value(value: &mut ValueInfoProto) {
    sort_message(value);
    inside(&mut value.type_, |ty| {
        sort_message(ty);
        if let Some(type_proto::Value::TensorType(tensor)) = &mut ty.value {
            sort_message(tensor);
            inside(&mut tensor.shape, sort_shape);
        }
    });
}

fn sort_shape(shape: &mut TensorShapeProto) {
    sort_message(shape);
    shape.dim.iter_mut().for_each(sort_message);
}

/// Calls `sort` if the field is there.
fn inside<M>(field: &mut MessageField<M>, sort: impl FnMut(&mut M)) {
    field.as_mut().into_iter().for_each(sort);
}

/// Those of `message` itself. Fields of one number keep their order, which means something.
fn sort_message(message: &mut impl Message) {
    let fields = message.mut_unknown_fields();
    let mut found: Vec<_> = fields.iter().map(|(number, value)| (number, owned(&value))).collect();
    if found.len() < 2 {
        return;
    }
    found.sort_by_key(|(number, _)| *number);
    // A table that was larger once keeps its size, and with it its order.
    *fields = UnknownFields::new();
    for (number, value) in found {
        fields.add_value(number, value);
    }
}

fn owned(value: &UnknownValueRef) -> UnknownValue {
    match *value {
        UnknownValueRef::Fixed32(value) => UnknownValue::Fixed32(value),
        UnknownValueRef::Fixed64(value) => UnknownValue::Fixed64(value),
        UnknownValueRef::Varint(value) => UnknownValue::Varint(value),
        UnknownValueRef::LengthDelimited(bytes) => UnknownValue::LengthDelimited(bytes.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;

    /// Unknown fields with `numbers`, which come in this order.
    fn add(message: &mut impl Message, numbers: impl Iterator<Item = u32>) {
        let fields = message.mut_unknown_fields();
        numbers.for_each(|number| fields.add_varint(number, number.into()));
    }

    /// The bytes of a model with a message of every kind, each with `numbers` as unknown fields.
    fn bytes(numbers: &(impl Iterator<Item = u32> + Clone)) -> Vec<u8> {
        fn one<M: Message>(numbers: impl Iterator<Item = u32>) -> M {
            let mut message = M::new();
            add(&mut message, numbers);
            message
        }
        let numbers = || numbers.clone();
        let mut tensor: TensorProto = one(numbers());
        tensor.external_data.push(one(numbers()));
        let sparse = SparseTensorProto {
            values: MessageField::some(tensor.clone()),
            indices: MessageField::some(tensor.clone()),
            ..one(numbers())
        };
        let mut attribute: AttributeProto = one(numbers());
        attribute.t = MessageField::some(tensor.clone());
        attribute.tensors.push(tensor.clone());
        attribute.graphs.push(one(numbers()));
        let mut node: NodeProto = one(numbers());
        node.attribute.push(attribute.clone());
        node.metadata_props.push(one(numbers()));
        let mut shape: TensorShapeProto = one(numbers());
        shape.dim.push(one(numbers()));
        let mut value: ValueInfoProto = one(numbers());
        let ty = value.type_.mut_or_insert_default();
        add(ty, numbers());
        let tensor_type = type_proto::Tensor { shape: MessageField::some(shape), ..one(numbers()) };
        ty.value = Some(type_proto::Value::TensorType(tensor_type));
        let mut model: ModelProto = one(numbers());
        model.opset_import.push(one(numbers()));
        model.metadata_props.push(one(numbers()));
        let mut function: FunctionProto = one(numbers());
        function.node.push(node.clone());
        function.opset_import.push(one(numbers()));
        function.attribute_proto.push(attribute);
        model.functions.push(function);
        let graph = model.graph.mut_or_insert_default();
        add(graph, numbers());
        graph.node.push(node);
        graph.initializer.push(tensor);
        graph.sparse_initializer.push(sparse);
        graph.input.push(value.clone());
        graph.output.push(value.clone());
        graph.value_info.push(value);
        sort(&mut model);
        model.write_to_bytes().unwrap()
    }

    #[test]
    fn unknown_fields_come_in_one_order_in_every_message() {
        // Numbers past those of the schema, and enough of them that the table grows.
        let ascending = 1000..1040;
        assert!(bytes(&ascending) == bytes(&ascending.clone().rev()));
    }

    #[test]
    fn equal_models_give_equal_bytes() {
        let model = |numbers: &mut dyn Iterator<Item = u32>| {
            let mut proto = ModelProto { ir_version: 8, ..ModelProto::default() };
            proto.opset_import.push(crate::proto::OperatorSetIdProto { version: 17, ..Default::default() });
            proto.graph.mut_or_insert_default().name = "empty".to_owned();
            add(&mut proto, numbers);
            Model::from_proto(proto).unwrap()
        };
        let (one, other) = (model(&mut (1000..1040)), model(&mut (1000..1040).rev()));
        assert_eq!(one, other);
        assert!(one.to_bytes().unwrap() == other.to_bytes().unwrap());
        assert!(
            Model::from_bytes(&one.to_bytes().unwrap()).unwrap().to_bytes().unwrap()
                == one.to_bytes().unwrap()
        );
    }
}
