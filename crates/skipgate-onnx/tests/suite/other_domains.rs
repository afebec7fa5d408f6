//! Operators of other domains than that of ONNX itself, which ONNX Runtime does not have: against others that compute the
//! same, or against their definition.

use skipgate_onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use skipgate_onnx::{Model, normalise};

use crate::engine;
use crate::net::{Net, float, int, subgraph, text, value_info};

/// The plain form of `net` with an operator set of `domain`, whose operators are those of the last `count` nodes.
fn plain(net: &Net, domain: &str, count: usize) -> Model {
    let mut proto = net.proto();
    let import = OperatorSetIdProto { domain: domain.into(), version: 1, ..OperatorSetIdProto::default() };
    proto.opset_import.push(import);
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    let first = nodes.len() - count;
    nodes[first..].iter_mut().for_each(|node| domain.clone_into(&mut node.domain));
    let model = normalise(&Model::from_proto(proto).unwrap()).unwrap();
    assert!(model.proto().graph.node.iter().all(|node| node.domain.is_empty()));
    model
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// A graph from `scores` to `changed`.
fn graph(nodes: Vec<NodeProto>, initializer: Vec<skipgate_onnx::proto::TensorProto>) -> GraphProto {
    GraphProto {
        name: "changes".into(),
        node: nodes,
        initializer,
        input: vec![value_info("scores", 1, &[2, 4, 3, 5])],
        output: vec![value_info("changed", 1, &[2, 4, 3, 5])],
        ..GraphProto::default()
    }
}

/// Attention of 4 heads to 5 places that 2 heads share, with `attributes`.
fn attention(op_type: &str, opset: i64, attributes: &[AttributeProto]) -> Net {
    let (mut net, image) = Net::new(&[2, 4, 3, 8], 3);
    net.set_opset(opset);
    let (keys, values) = (net.floats(&[2, 2, 5, 8], |x| x), net.floats(&[2, 2, 5, 6], |x| x));
    let y = net.op(op_type, &[&image, &keys, &values], attributes);
    net.output(&y, &[2, 4, 3, 6]);
    net
}

#[test]
fn flexible_attention_is_attention_with_its_changes() {
    if !engine::is_available() {
        return;
    }
    let data: Vec<_> = (0..2 * 4 * 3 * 8).map(|number| ((number * 37 % 101) as f32 - 50.0) / 40.0).collect();
    let run = |model: &Model| engine::run(model, &[2, 4, 3, 8], &data, None);
    let cap = {
        let half = skipgate_onnx::proto::TensorProto {
            name: "half".into(),
            data_type: 1,
            float_data: vec![0.5],
            ..Default::default()
        };
        let nodes = vec![
            node("Div", &["scores", "half"], "scaled"),
            node("Tanh", &["scaled"], "bounded"),
            node("Mul", &["bounded", "half"], "changed"),
        ];
        subgraph("score_mod", graph(nodes, vec![half]))
    };
    let unchanged = subgraph("prob_mod", graph(vec![node("Identity", &["scores"], "changed")], vec![]));
    for (flexible, usual) in [
        (vec![], vec![]),
        (vec![float("scale", 0.3), unchanged], vec![float("scale", 0.3)]),
        (vec![cap], vec![float("softcap", 0.5)]),
    ] {
        let found = run(&plain(&attention("FlexAttention", 23, &flexible), "ai.onnx.preview", 1));
        let expected = run(&attention("Attention", 23, &usual).model());
        assert!(engine::difference(&found, &expected) <= 1e-5, "{found:?} instead of {expected:?}");
    }
}

#[test]
fn features_are_taken_and_made_binary() {
    if !engine::is_available() {
        return;
    }
    let (mut net, image) = Net::new(&[2, 4], 3);
    let places = net.ints(&[2, 0, 3]);
    let taken = net.op("ArrayFeatureExtractor", &[&image, &places], &[]);
    let y = net.op("Binarizer", &[&taken], &[float("threshold", 0.25)]);
    net.output(&y, &[2, 3]);
    let model = plain(&net, "ai.onnx.ml", 2);
    let found = engine::run(&model, &[2, 4], &[0.5, 1.0, 0.25, -1.0, 0.0, 9.0, 0.26, 1.0], None);
    assert_eq!(found, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
}

/// One step of an optimiser with `tensors` behind the weight, the model's input; its outputs in a row.
fn step(op_type: &str, count: i64, tensors: &[[f32; 2]], attributes: &[AttributeProto]) -> Vec<f32> {
    let (mut net, weight) = Net::new(&[1, 2], 3);
    net.set_opset(18);
    let rate = net.bytes(1, &[], &0.1f32.to_le_bytes());
    let count = net.bytes(7, &[], &count.to_le_bytes());
    let mut inputs = vec![rate, count, weight];
    for values in tensors {
        let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        inputs.push(net.bytes(1, &[1, 2], &bytes));
    }
    let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
    let new = net.op(op_type, &inputs, attributes);
    let outputs: Vec<_> =
        std::iter::once(new.clone()).chain((1..tensors.len()).map(|n| format!("kept_{n}"))).collect();
    net.node_mut(&new).output.clone_from(&outputs);
    net.output("all", &[]);
    let mut proto: ModelProto = net.proto();
    let domain = "ai.onnx.preview.training";
    proto.opset_import.push(OperatorSetIdProto { domain: domain.into(), version: 1, ..Default::default() });
    let graph = proto.graph.as_mut().unwrap();
    domain.clone_into(&mut graph.node[0].domain);
    let mut all = node("Concat", &outputs.iter().map(String::as_str).collect::<Vec<_>>(), "all");
    all.attribute = vec![int("axis", 0)];
    graph.node.push(all);
    graph.output[0].type_.mut_or_insert_default().mut_tensor_type().shape.clear();
    let model = normalise(&Model::from_proto(proto).unwrap()).unwrap();
    engine::run(&model, &[1, 2], &[1.2, 2.8], None)
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in single precision")]
fn assert_near(found: &[f32], expected: &[f64]) {
    let expected: Vec<_> = expected.iter().map(|&value| value as f32).collect();
    assert!(engine::difference(found, &expected) <= 1e-5, "{found:?} instead of {expected:?}");
}

#[test]
fn optimisers_make_the_steps_that_they_define() {
    if !engine::is_available() {
        return;
    }
    let (weights, gradients, kept) = ([1.2f64, 2.8], [-0.94f64, -2.5], [1.7f64, 3.6]);
    let given = [[-0.94f32, -2.5], [1.7, 3.6]];
    let norm = float("norm_coefficient", 0.01);
    let regularised = [0, 1].map(|i| 0.01 * weights[i] + gradients[i]);

    let found =
        step("Adagrad", 2, &given, &[float("decay_factor", 0.1), float("epsilon", 1e-5), norm.clone()]);
    let squares = [0, 1].map(|i| kept[i] + regularised[i] * regularised[i]);
    let new = [0, 1].map(|i| weights[i] - 0.1 / 1.2 * regularised[i] / (squares[i].sqrt() + 1e-5));
    assert_near(&found, &[new, squares].concat());

    for (mode, count) in [("standard", 0), ("nesterov", 0), ("nesterov", 1)] {
        let attributes = [text("mode", mode), float("alpha", 0.95), float("beta", 0.1), norm.clone()];
        let found = step("Momentum", count, &given, &attributes);
        let beta = if count > 0 { 0.1 } else { 1.0 };
        let velocity = [0, 1].map(|i| 0.95 * kept[i] + beta * regularised[i]);
        let direction =
            |i: usize| if mode == "standard" { velocity[i] } else { regularised[i] + 0.95 * velocity[i] };
        let new = [0, 1].map(|i| weights[i] - 0.1 * direction(i));
        assert_near(&found, &[new, velocity].concat());
    }

    for count in [0, 3] {
        let attributes = [float("alpha", 0.9), float("beta", 0.8), float("epsilon", 1e-2), norm.clone()];
        let found = step("Adam", count, &[given[0], given[1], [0.1, 0.4]], &attributes);
        let mean = [0, 1].map(|i| 0.9 * kept[i] + 0.1 * regularised[i]);
        let squares = [0, 1].map(|i| 0.8 * [0.1, 0.4][i] + 0.2 * regularised[i] * regularised[i]);
        let count = i32::try_from(count).unwrap();
        let rate = if count > 0 {
            0.1 * (1.0 - 0.8f64.powi(count)).sqrt() / (1.0 - 0.9f64.powi(count))
        } else {
            0.1
        };
        let new = [0, 1].map(|i| weights[i] - rate * mean[i] / (squares[i].sqrt() + 1e-2));
        assert_near(&found, &[new, mean, squares].concat());
    }
}

#[test]
fn a_model_of_other_domains_names_no_operator_set_of_onnx() {
    let (mut net, image) = Net::new(&[2, 4], 3);
    let y = net.op("Binarizer", &[&image], &[]);
    net.output(&y, &[2, 4]);
    let mut proto = net.proto();
    "ai.onnx.ml".clone_into(&mut proto.opset_import[0].domain);
    "ai.onnx.ml".clone_into(&mut proto.graph.as_mut().unwrap().node[0].domain);
    let model = normalise(&Model::from_proto(proto).unwrap()).unwrap();
    let found: Vec<_> = model.proto().graph.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(found, ["Greater", "Cast"]);
}

#[test]
fn operators_that_never_changed_may_be_of_the_first_operator_set() {
    let (mut net, image) = Net::new(&[1, 2, 4, 4], 3);
    net.set_opset(1);
    let y = net.op("Transpose", &[&image], &[]);
    net.output(&y, &[4, 4, 2, 1]);
    assert_eq!(net.model().opset(), 6);
    let y = net.op("Relu", &[&image], &[]);
    net.output(&y, &[1, 2, 4, 4]);
    let error = Model::from_proto(net.proto()).unwrap_err().to_string();
    assert_eq!(error, "it uses operator set 1, expected 6 to 28");
}
