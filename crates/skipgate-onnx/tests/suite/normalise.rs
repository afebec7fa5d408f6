//! The plain form, pass by pass: what is left of a few nodes.

use skipgate_core::Hint as _;
use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};
use skipgate_onnx::{GateSelection, Model, find_blocks, gate, normalise, tensor_bytes};

use crate::net::{
    FLOAT, INT64, Net, int, int_tensor, ints, small_resnet, subgraph, tensor, text, value_info,
};

const SHAPE: [i64; 4] = [1, 4, 6, 6];

/// A network of nodes on `image`; `build` gives the value that becomes the output.
fn model(shape: &[i64], build: impl FnOnce(&mut Net, &str) -> String) -> Model {
    let (mut net, image) = Net::new(shape, 3);
    let y = build(&mut net, &image);
    net.output(&y, &[]);
    let mut proto = net.proto();
    // Only the rank of the result is left open.
    proto.graph.as_mut().unwrap().output[0].type_.mut_or_insert_default().mut_tensor_type().shape.clear();
    Model::from_proto(proto).unwrap()
}

fn normalised(shape: &[i64], build: impl FnOnce(&mut Net, &str) -> String) -> Model {
    let plain = normalise(&model(shape, build)).unwrap();
    assert_eq!(normalise(&plain).unwrap(), plain, "not left unchanged by a second time");
    plain
}

fn ops(model: &Model) -> Vec<&str> {
    model.proto().graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

fn refusal(shape: &[i64], build: impl FnOnce(&mut Net, &str) -> String) -> String {
    normalise(&model(shape, build)).unwrap_err().to_string()
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn named(mut node: NodeProto, name: &str) -> NodeProto {
    node.name = name.into();
    node
}

fn initializer<'m>(model: &'m Model, name: &str) -> &'m TensorProto {
    model.proto().graph.initializer.iter().find(|tensor| tensor.name == name).unwrap()
}

#[test]
fn constant_nodes_of_every_kind_become_initializers() {
    let scalar = |name: &str, kind: AttributeType| AttributeProto {
        name: name.into(),
        type_: kind.into(),
        f: Some(0.5),
        i: Some(7),
        floats: vec![0.5, 1.5],
        ints: vec![7, 8],
        ..AttributeProto::default()
    };
    let value =
        TensorProto { data_type: FLOAT, dims: vec![1], float_data: vec![2.5], ..TensorProto::default() };
    for (attribute, dims, bytes) in [
        (tensor("value", value), vec![1], 2.5f32.to_le_bytes().to_vec()),
        (scalar("value_float", AttributeType::FLOAT), vec![], 0.5f32.to_le_bytes().to_vec()),
        (scalar("value_int", AttributeType::INT), vec![], 7i64.to_le_bytes().to_vec()),
        (
            scalar("value_floats", AttributeType::FLOATS),
            vec![2],
            [0.5f32.to_le_bytes(), 1.5f32.to_le_bytes()].concat(),
        ),
        (
            scalar("value_ints", AttributeType::INTS),
            vec![2],
            [7i64.to_le_bytes(), 8i64.to_le_bytes()].concat(),
        ),
    ] {
        let mut constant = String::new();
        let plain = normalised(&SHAPE, |net, image| {
            constant = net.op("Constant", &[], &[attribute]);
            net.op("Novelty", &[image, &constant], &[])
        });
        assert_eq!(ops(&plain), ["Novelty"]);
        let tensor = initializer(&plain, &constant);
        assert_eq!((&tensor.dims, tensor_bytes(tensor).unwrap().into_owned()), (&dims, bytes));
    }
}

#[test]
fn a_constant_that_is_an_output_is_handed_on() {
    let plain =
        normalised(&SHAPE, |net, _| net.op("Constant", &[], &[tensor("value", int_tensor("", &[1]))]));
    assert_eq!(ops(&plain), ["Identity"]);
    assert_eq!(plain.proto().graph.node[0].output[0], plain.proto().graph.output[0].name);
}

type Constants = Box<dyn Fn(&mut Net) -> Vec<String>>;

#[test]
fn operators_that_change_nothing_are_removed() {
    let some = |values: &'static [i64]| move |net: &mut Net| vec![net.ints(values)];
    let none = |_: &mut Net| vec![];
    let cases: Vec<(&str, Constants, Vec<AttributeProto>)> = vec![
        ("Identity", Box::new(none), vec![]),
        ("Dropout", Box::new(none), vec![]),
        ("Cast", Box::new(none), vec![int("to", FLOAT.into())]),
        ("Reshape", Box::new(some(&[1, 4, -1, 6])), vec![]),
        ("Squeeze", Box::new(none), vec![ints("axes", &[])]),
        ("Expand", Box::new(some(&[1, 1, 6])), vec![]),
        ("Transpose", Box::new(none), vec![ints("perm", &[0, 1, 2, 3])]),
        ("Pad", Box::new(some(&[0; 8])), vec![]),
        (
            "Slice",
            Box::new(|net: &mut Net| vec![net.ints(&[0]), net.ints(&[i64::MAX]), net.ints(&[2])]),
            vec![],
        ),
        ("Concat", Box::new(none), vec![int("axis", 1)]),
        ("Sum", Box::new(none), vec![]),
    ];
    for (op_type, constants, attributes) in cases {
        let plain = normalised(&SHAPE, |net, image| {
            let constants = constants(net);
            let inputs: Vec<_> = [image].into_iter().chain(constants.iter().map(String::as_str)).collect();
            let y = net.op(op_type, &inputs, &attributes);
            net.relu(&y)
        });
        assert_eq!(ops(&plain), ["Relu"], "{op_type}");
        assert_eq!(plain.proto().graph.node[0].input, ["image"]);
        assert!(plain.proto().graph.initializer.is_empty());
    }
}

#[test]
fn operators_that_change_something_stay() {
    let plain = normalised(&SHAPE, |net, image| {
        let x = net.op("Cast", &[image], &[int("to", 11)]);
        let x = net.op("Transpose", &[&x], &[ints("perm", &[0, 1, 3, 2])]);
        let pads = net.ints(&[0, 0, 0, 0, 0, 0, 0, 1]);
        let x = net.op("Pad", &[&x, &pads], &[]);
        let (starts, ends) = (net.ints(&[0]), net.ints(&[1]));
        let axes = net.ints(&[2]);
        net.op("Slice", &[&x, &starts, &ends, &axes], &[])
    });
    assert_eq!(ops(&plain), ["Cast", "Transpose", "Pad", "Slice"]);
}

#[test]
fn an_identity_between_an_input_and_an_output_stays() {
    let plain = normalised(&SHAPE, |net, image| {
        let x = net.op("Identity", &[image], &[]);
        net.op("Dropout", &[&x], &[])
    });
    assert_eq!(ops(&plain), ["Identity"]);
    assert_eq!(plain.proto().graph.node[0].input, ["image"]);
}

#[test]
fn an_output_keeps_its_name_where_an_identity_gave_it() {
    let mut name = String::new();
    let plain = normalised(&SHAPE, |net, image| {
        let x = net.relu(image);
        name = net.op("Identity", &[&x], &[]);
        name.clone()
    });
    assert_eq!(ops(&plain), ["Relu"]);
    assert_eq!(plain.proto().graph.node[0].output, [name]);
}

#[test]
fn two_outputs_of_one_value_are_both_there() {
    let (mut net, image) = Net::new(&SHAPE, 3);
    let x = net.relu(&image);
    for _ in 0..2 {
        let y = net.op("Identity", &[&x], &[]);
        net.output(&y, &SHAPE);
    }
    let plain = normalise(&net.model()).unwrap();
    assert_eq!(ops(&plain), ["Relu", "Identity"]);
    assert_eq!(plain.proto().graph.output, net.model().proto().graph.output);
    assert_eq!(normalise(&plain).unwrap(), plain);
}

#[test]
fn a_bias_that_comes_through_an_identity_is_read_as_it_is() {
    let plain = normalised(&SHAPE, |net, image| {
        let weight = net.floats(&[4, 4, 1, 1], |r| r);
        let bias = net.floats(&[4], |r| r);
        let shared = net.op("Identity", &[&bias], &[]);
        net.op("Conv", &[image, &weight, &shared], &[])
    });
    assert_eq!(ops(&plain), ["Conv"]);
    initializer(&plain, &plain.proto().graph.node[0].input[2]);
}

#[test]
fn dropout_that_trains_or_might_is_refused_by_name() {
    let mode =
        |value: bool| TensorProto { data_type: 9, int32_data: vec![value.into()], ..TensorProto::default() };
    let with_mode = |attribute: Option<AttributeProto>| {
        move |net: &mut Net, image: &str| {
            let ratio = net.floats(&[], |_| 0.5);
            let mode = match attribute {
                Some(attribute) => net.op("Constant", &[], &[attribute]),
                None => net.op("Novelty", &[image], &[]),
            };
            net.op("Dropout", &[image, &ratio, &mode], &[])
        }
    };
    let training = refusal(&SHAPE, with_mode(Some(tensor("value", mode(true)))));
    assert_eq!(
        training,
        "node `node_dropout_3` (Dropout): it is in training mode, which drops elements at random"
    );
    assert!(refusal(&SHAPE, with_mode(None)).contains("is not constant"));
    let plain = normalised(&SHAPE, with_mode(Some(tensor("value", mode(false)))));
    assert_eq!(ops(&plain), ["Identity"]);
}

#[test]
fn a_mask_of_dropout_that_is_read_is_all_true() {
    let plain = normalised(&SHAPE, |net, image| {
        let y = net.op("Dropout", &[image], &[]);
        net.node_mut(&y).output.push("mask".into());
        net.op("Novelty", &[&y, "mask"], &[])
    });
    assert_eq!(ops(&plain), ["Novelty"]);
    let mask = initializer(&plain, &plain.proto().graph.node[0].input[1]);
    assert_eq!((mask.data_type, &mask.dims[..], &mask.raw_data[..]), (9, &SHAPE[..], &[1; 144][..]));
}

#[test]
fn transpositions_and_reshapes_in_a_row_are_one() {
    let plain = normalised(&SHAPE, |net, image| {
        let x = net.op("Transpose", &[image], &[ints("perm", &[0, 2, 3, 1])]);
        let x = net.op("Transpose", &[&x], &[ints("perm", &[0, 3, 1, 2])]);
        let x = net.op("Transpose", &[&x], &[ints("perm", &[0, 2, 3, 1])]);
        let x = net.op("Transpose", &[&x], &[ints("perm", &[1, 0, 2, 3])]);
        let x = net.op("Flatten", &[&x], &[]);
        let shape = net.ints(&[0, 2, -1]);
        net.op("Reshape", &[&x, &shape], &[])
    });
    assert_eq!(ops(&plain), ["Transpose", "Reshape"]);
    assert_eq!(plain.proto().graph.node[0].attribute[0].ints, [2, 0, 3, 1]);
    let shape = tensor_bytes(initializer(&plain, &plain.proto().graph.node[1].input[1])).unwrap();
    assert_eq!(*shape, [6i64, 2, 12].map(i64::to_le_bytes).concat());
}

#[test]
fn quantisation_written_twice_is_one() {
    let plain = normalised(&SHAPE, |net, image| {
        let quantized: Vec<_> = (0..2)
            .map(|_| {
                let (scale, zero) = (net.floats(&[], |_| 0.25), net.bytes(3, &[], &[0]));
                let x = net.op("QuantizeLinear", &[image, &scale, &zero], &[]);
                net.op("DequantizeLinear", &[&x, &scale, &zero], &[])
            })
            .collect();
        net.add(&quantized[0], &quantized[1])
    });
    assert_eq!(ops(&plain), ["QuantizeLinear", "DequantizeLinear", "Add"]);
    assert_eq!(plain.proto().graph.initializer.len(), 2);
}

/// A shape that exporters compute, whose batch is known or not.
fn flattened(net: &mut Net, image: &str) -> String {
    let shape = net.op("Shape", &[image], &[]);
    let (place, rest) = (net.ints(&[0]), net.ints(&[-1]));
    let batch = net.op("Gather", &[&shape, &place], &[]);
    let wanted = net.op("Concat", &[&batch, &rest], &[int("axis", 0)]);
    net.op("Reshape", &[image, &wanted], &[])
}

#[test]
fn a_shape_that_is_known_is_a_constant() {
    let plain = normalised(&SHAPE, flattened);
    assert_eq!(ops(&plain), ["Reshape"]);
    let shape = tensor_bytes(initializer(&plain, &plain.proto().graph.node[0].input[1])).unwrap();
    assert_eq!(*shape, [1i64, -1].map(i64::to_le_bytes).concat());
}

#[test]
fn a_shape_with_a_symbolic_batch_stays_computed() {
    let plain = normalised(&[-1, 4, 6, 6], flattened);
    assert_eq!(ops(&plain), ["Shape", "Gather", "Concat", "Reshape"]);
}

/// An `If` on the constant `condition`; both branches use the name `inner` for values of their own.
fn conditional(net: &mut Net, image: &str, condition: Option<bool>) -> String {
    let branch = |op_type: &str, result: &str| GraphProto {
        node: vec![node("Neg", &[image], "inner"), node(op_type, &["inner"], result)],
        output: vec![value_info(result, FLOAT, &SHAPE)],
        ..GraphProto::default()
    };
    let condition = match condition {
        Some(value) => net.bytes(9, &[], &[value.into()]),
        None => net.op("Novelty", &[image], &[]),
    };
    let branches =
        [subgraph("then_branch", branch("Relu", "chosen")), subgraph("else_branch", branch("Tanh", "other"))];
    let y = net.op("If", &[&condition], &branches);
    net.push("Neg", &[image], "inner", &[]);
    net.add(&y, "inner")
}

#[test]
fn an_if_with_a_known_condition_is_its_branch() {
    let chosen = |condition| normalised(&SHAPE, |net, image| conditional(net, image, Some(condition)));
    assert_eq!(ops(&chosen(true)), ["Neg", "Relu", "Neg", "Add"]);
    assert_eq!(ops(&chosen(false)), ["Neg", "Tanh", "Neg", "Add"]);
}

#[test]
fn names_are_defined_once_over_all_branches() {
    let plain = normalised(&SHAPE, |net, image| conditional(net, image, None));
    let graph = &plain.proto().graph;
    let conditional = graph.node.iter().find(|node| node.op_type == "If").unwrap();
    let mut names: Vec<_> =
        conditional.attribute.iter().map(|branch| branch.g.node[0].output[0].as_str()).collect();
    names.push(&graph.node[2].output[0]);
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), graph.node[2].output[0].as_str()), (3, "inner"));
}

#[test]
fn constants_of_branches_belong_to_the_main_graph() {
    let plain = normalised(&SHAPE, |net, image| {
        let condition = net.op("Novelty", &[image], &[]);
        let mut constant = node("Constant", &[], "result");
        constant.attribute.push(tensor("value", int_tensor("", &[1])));
        let then_branch = GraphProto {
            node: vec![constant],
            output: vec![value_info("result", INT64, &[1])],
            ..GraphProto::default()
        };
        let else_branch = GraphProto {
            initializer: vec![int_tensor("stored", &[2])],
            output: vec![value_info("stored", INT64, &[1])],
            ..GraphProto::default()
        };
        let branches = [subgraph("then_branch", then_branch), subgraph("else_branch", else_branch)];
        net.op("If", &[&condition], &branches)
    });
    assert_eq!(plain.proto().graph.initializer.len(), 2);
    for branch in &plain.proto().graph.node[1].attribute {
        let inner: Vec<_> = branch.g.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!((inner, branch.g.initializer.len()), (vec!["Identity"], 0));
    }
}

#[test]
fn a_gated_model_keeps_its_gates() {
    let gated = gate(&small_resnet().model(), &GateSelection::default()).unwrap();
    assert_eq!(normalise(&gated).unwrap(), gated);
}

#[test]
fn an_identity_in_a_shortcut_hides_no_block() {
    let (mut net, x) = Net::new(&SHAPE, 3);
    let mut x = net.conv(&x, 4, 3, 1);
    for _ in 0..3 {
        let y = net.conv(&x, 4, 3, 1);
        let shortcut = net.op("Identity", &[&x], &[]);
        x = net.add(&shortcut, &y);
    }
    net.classify(&x);
    let blocks = find_blocks(&net.model()).unwrap();
    assert_eq!(blocks.iter().filter(|block| block.verdict.is_skippable()).count(), 3);
}

fn with_functions(net: &Net, functions: Vec<FunctionProto>) -> Model {
    let domain =
        |domain: &str| OperatorSetIdProto { domain: domain.into(), version: 1, ..Default::default() };
    let mut proto: ModelProto = net.proto();
    proto.opset_import.push(domain("local"));
    proto.functions = functions;
    Model::from_proto(proto).unwrap()
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let opset = OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() };
    FunctionProto {
        name: name.into(),
        domain: "local".into(),
        input: list(inputs),
        output: list(outputs),
        node: nodes,
        opset_import: vec![opset],
        ..FunctionProto::default()
    }
}

fn call(name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto { domain: "local".into(), ..node(name, inputs, output) }
}

fn calling(name: &str) -> Net {
    let (mut net, image) = Net::new(&SHAPE, 3);
    net.push(name, &[&image], "y", &[]);
    net.node_mut("y").domain = "local".into();
    net.output("y", &SHAPE);
    net
}

#[test]
fn functions_are_written_out_with_their_attributes() {
    let reference = |name: &str, from: &str| AttributeProto {
        name: name.into(),
        type_: AttributeType::FLOAT.into(),
        ref_attr_name: from.into(),
        ..AttributeProto::default()
    };
    let alpha = |name: &str, f: f32| AttributeProto {
        name: name.into(),
        type_: AttributeType::FLOAT.into(),
        f: Some(f),
        ..AttributeProto::default()
    };
    let mut elu = node("Elu", &["a"], "b");
    elu.attribute.push(reference("alpha", "slope"));
    let mut leaky = node("LeakyRelu", &["b"], "t");
    leaky.attribute.push(reference("alpha", "missing"));
    let mut inner = function("inner", &["a"], &["t"], vec![elu, leaky]);
    inner.attribute_proto.push(alpha("slope", 0.5));
    let mut first = call("inner", &["x"], "t");
    first.attribute.push(alpha("slope", 0.25));
    let outer = function("outer", &["x", "absent"], &["y"], vec![first, call("inner", &["t"], "y")]);
    let model = with_functions(&calling("outer"), vec![outer, inner]);
    let plain = normalise(&model).unwrap();
    assert!(plain.proto().functions.is_empty());
    assert_eq!(ops(&plain), ["Elu", "LeakyRelu", "Elu", "LeakyRelu"]);
    let nodes = &plain.proto().graph.node;
    assert_eq!([nodes[0].attribute[0].f, nodes[2].attribute[0].f], [Some(0.25), Some(0.5)]);
    assert!(nodes[1].attribute.is_empty());
    assert_eq!((nodes[0].input[0].as_str(), nodes[3].output[0].as_str()), ("image", "y"));
}

#[test]
fn an_input_that_a_function_hands_on_is_its_result() {
    let plain =
        normalise(&with_functions(&calling("same"), vec![function("same", &["x"], &["x"], vec![])])).unwrap();
    assert_eq!(ops(&plain), ["Identity"]);
}

#[test]
fn functions_that_cannot_be_written_out_say_why() {
    let message = |functions: Vec<FunctionProto>| {
        let error = normalise(&with_functions(&calling("f"), functions)).unwrap_err();
        assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
        error.to_string()
    };
    let mutual = vec![
        function("f", &["x"], &["y"], vec![call("g", &["x"], "y")]),
        function("g", &["x"], &["y"], vec![call("f", &["x"], "y")]),
    ];
    assert_eq!(message(mutual), "function `local::f`: it calls itself, which ONNX forbids");
    // Each function calls the next one twice: the last would be written out a trillion times.
    let doubling = (0..40).map(|level| {
        let (name, next) = (format!("f{level}"), format!("f{}", level + 1));
        function(&name, &["x"], &["y"], vec![call(&next, &["x"], "t"), call(&next, &["t"], "y")])
    });
    let entry = function("f", &["x"], &["y"], vec![call("f0", &["x"], "y")]);
    let last = function("f40", &["x"], &["x"], vec![]);
    assert!(message([entry, last].into_iter().chain(doubling).collect()).contains("come to more than"));
    let deep = (0..100).map(|level| {
        let name = if level == 0 { "f".to_owned() } else { format!("f{level}") };
        function(&name, &["x"], &["y"], vec![call(&format!("f{}", level + 1), &["x"], "y")])
    });
    assert!(message(deep.collect()).contains("nested more than"));
    let mut other = function("f", &["x"], &["y"], vec![node("Relu", &["x"], "y")]);
    other.opset_import[0].version = 14;
    assert!(message(vec![other.clone()]).contains("it uses version 14 of the operator set `ai.onnx`"));
    assert!(message(vec![other.clone(), other]).contains("defined twice"));
    assert!(message(vec![function("f", &[], &["y"], vec![])]).contains("with 1 inputs and 1 outputs"));
    // A body sees its inputs and nothing of the graph around the call.
    let nosy = function("f", &["x"], &["y"], vec![named(node("Relu", &["image"], "y"), "nosy")]);
    assert!(message(vec![nosy]).contains("node `nosy` (Relu) reads `image`"));
    assert!(message(vec![function("f", &["x"], &["y"], vec![])]).contains("the output of function `f`"));
    let twice = function("f", &["x"], &["y"], vec![node("Relu", &["x"], "y"), node("Neg", &["x"], "y")]);
    assert!(message(vec![twice]).contains("defined twice"));
}

#[test]
fn a_scale_for_each_index_is_refused_where_the_operator_set_has_none() {
    let (mut net, image) = Net::new(&SHAPE, 3);
    net.set_opset(12);
    let (scale, zero) = (net.floats(&[4], |_| 0.25), net.bytes(3, &[4], &[0; 4]));
    let y = net.op("QuantizeLinear", &[&image, &scale, &zero], &[]);
    net.output(&y, &SHAPE);
    assert!(normalise(&net.model()).unwrap_err().to_string().contains("a scale for each index"));
}

#[test]
fn a_way_to_resize_that_later_operator_sets_lack_is_refused() {
    let (mut net, image) = Net::new(&SHAPE, 3);
    net.set_opset(11);
    let (roi, scales) = (net.floats(&[0], |r| r), net.floats(&[4], |_| 2.0));
    let mode = text("coordinate_transformation_mode", "tf_half_pixel_for_nn");
    let y = net.op("Resize", &[&image, &roi, &scales], &[mode]);
    net.output(&y, &SHAPE);
    assert!(normalise(&net.model()).unwrap_err().to_string().contains("`tf_half_pixel_for_nn`"));
}

#[test]
fn names_of_nodes_are_used_once() {
    let (mut net, image) = Net::new(&SHAPE, 3);
    net.set_opset(11);
    let y = net.op("Softmax", &[&image], &[]);
    net.output(&y, &SHAPE);
    let plain = normalise(&net.model()).unwrap();
    let names: Vec<_> = plain.proto().graph.node.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["node_softmax_1", "node_softmax_1.2", "node_softmax_1.3"]);
}

#[test]
fn what_only_training_computes_is_refused() {
    let training = refusal(&SHAPE, |net, image| {
        net.set_opset(13);
        let y = net.norm(image);
        net.node_mut(&y).output.push("mean".into());
        y
    });
    assert!(training.contains("(BatchNormalization): it is in training mode"), "{training}");
}

#[test]
fn what_the_compiler_gets_wrong_is_refused() {
    let reflected = refusal(&SHAPE, |net, image| {
        let pads = net.ints(&[0, 0, 0, 90, 0, 0, 0, 0]);
        net.op("Pad", &[image, &pads], &[text("mode", "reflect")])
    });
    assert!(reflected.contains("it reflects more than there is"), "{reflected}");
    let peepholes = refusal(&[65, 1, 4], |net, image| {
        let (w, r, p) =
            (net.floats(&[1, 8, 4], |r| r), net.floats(&[1, 8, 2], |r| r), net.floats(&[1, 6], |r| r));
        let y = net.op("LSTM", &[image, &w, &r, "", "", "", "", &p], &[int("hidden_size", 2)]);
        // Often only the last state is read.
        net.node_mut(&y).output.insert(0, String::new());
        y
    });
    assert!(peepholes.contains("peepholes"));
    let stacked = refusal(&SHAPE, |net, image| {
        let (scale, zero) = (net.floats(&[], |_| 0.25), net.bytes(3, &[], &[0]));
        let (weight, x) =
            (net.bytes(3, &[6, 2], &[1; 12]), net.op("QuantizeLinear", &[image, &scale, &zero], &[]));
        let scales = net.floats(&[2], |_| 0.25);
        net.op("QLinearMatMul", &[&x, &scale, &zero, &weight, &scales, &zero, &scale, &zero], &[])
    });
    assert!(stacked.contains("more than two dimensions"));
}

#[test]
fn quantised_convolutions_that_the_compiler_gets_wrong_are_refused() {
    let convolution = |zero: u8, scales: i64, pad: i64| {
        model(&SHAPE, |net, image| {
            let (scale, zero) = (net.floats(&[], |_| 0.25), net.bytes(3, &[], &[zero]));
            let weight = net.bytes(3, &[2, 4, 3, 3], &[1; 72]);
            let scales = net.floats(&[scales], |_| 0.5);
            let x = net.op("QuantizeLinear", &[image, &scale, &zero], &[]);
            let inputs = [&x, &scale, &zero, &weight, &scales, &zero, &scale, &zero];
            net.op("QLinearConv", &inputs.map(String::as_str), &[ints("pads", &[pad; 4])])
        })
    };
    normalise(&convolution(0, 1, 1)).unwrap();
    normalise(&convolution(5, 1, 0)).unwrap();
    let message = |model| normalise(&model).unwrap_err().to_string();
    assert!(message(convolution(0, 2, 0)).contains("a scale for each channel"));
    assert!(message(convolution(5, 1, 1)).contains("a zero point other than 0"));
}

#[test]
fn recurrent_layers_with_parts_that_the_compiler_leaves_out_are_refused() {
    let layer = |op_type: &str, lengths: bool, attribute: Option<AttributeProto>| {
        // Shorter ones are written out.
        model(&[65, 1, 4], |net, image| {
            let (w, r) = (net.floats(&[1, 8, 4], |r| r), net.floats(&[1, 8, 2], |r| r));
            let lengths = if lengths { net.op("Novelty", &[image], &[]) } else { String::new() };
            let attributes: Vec<_> = [int("hidden_size", 2)].into_iter().chain(attribute).collect();
            net.op(op_type, &[image, &w, &r, "", &lengths], &attributes)
        })
    };
    let activations = |names: &[&str]| AttributeProto {
        name: "activations".into(),
        type_: AttributeType::STRINGS.into(),
        strings: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
        ..AttributeProto::default()
    };
    let message = |model| normalise(&model).unwrap_err().to_string();
    assert!(message(layer("GRU", true, None)).contains("lengths of sequences"));
    assert!(message(layer("RNN", false, Some(int("clip", 1)))).contains("`clip`"));
    assert!(message(layer("LSTM", false, Some(int("input_forget", 1)))).contains("`input_forget`"));
    assert!(message(layer("GRU", false, Some(activations(&["Relu", "Tanh"])))).contains("activations"));
    for (op_type, names) in
        [("LSTM", &["Sigmoid", "Tanh", "Tanh"][..]), ("GRU", &["Sigmoid", "Tanh"]), ("RNN", &["Relu"])]
    {
        normalise(&layer(op_type, false, Some(activations(names)))).unwrap();
    }
}
