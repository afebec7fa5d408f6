//! Operators that are written in others compute what they computed: against ONNX Runtime.

use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::{AttributeProto, GraphProto};
use skipgate_onnx::{Model, normalise};

use crate::engine;
use crate::net::{Net, float, int, ints, subgraph, text, value_info};

/// Runs the model that `build` makes and its plain form, which has none of `gone`; the operators of the latter.
pub(crate) fn compare(
    opset: i64,
    shape: &[i64],
    gone: &str,
    build: impl FnOnce(&mut Net, &str) -> String,
) -> Vec<String> {
    let (mut net, image) = Net::new(shape, 7);
    net.set_opset(opset);
    let data = net.random_values(shape.iter().product());
    let y = build(&mut net, &image);
    net.output(&y, &[]);
    let mut proto = net.proto();
    proto.graph.as_mut().unwrap().output[0].type_.mut_or_insert_default().mut_tensor_type().shape.clear();
    let model = Model::from_proto(proto).unwrap();
    let plain = normalise(&model).unwrap();
    assert_eq!(normalise(&plain).unwrap(), plain);
    let left: Vec<_> = plain.proto().graph.node.iter().map(|node| node.op_type.clone()).collect();
    assert!(left.iter().all(|op_type| op_type != gone), "{gone} is left");
    if !engine::is_available() {
        return left;
    }
    let run = |model: &Model| engine::run(model, shape, &data, None);
    let (found, expected) = (run(&plain), run(&model));
    assert!(engine::difference(&found, &expected) <= 1e-5, "{found:?} instead of {expected:?}");
    left
}

/// A constant of 64-bit integers.
pub(crate) fn int64s(net: &mut Net, dims: &[i64], values: &[i64]) -> String {
    net.bytes(7, dims, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

fn names(name: &str, values: &[&str]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::STRINGS.into(),
        strings: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        ..AttributeProto::default()
    }
}

#[test]
fn grids_are_sampled_in_all_modes() {
    for mode in ["linear", "nearest", "cubic"] {
        for padding in ["zeros", "border", "reflection"] {
            if (mode, padding) == ("linear", "zeros") {
                continue;
            }
            for corners in [0, 1] {
                compare(20, &[2, 3, 5, 4], "GridSample", |net, image| {
                    let grid = net.floats(&[2, 3, 7, 2], |x| 1.6 * x);
                    let attributes =
                        [text("mode", mode), text("padding_mode", padding), int("align_corners", corners)];
                    net.op("GridSample", &[image, &grid], &attributes)
                });
            }
        }
    }
}

#[test]
fn volumes_are_sampled() {
    compare(20, &[1, 2, 3, 4, 5], "GridSample", |net, image| {
        let grid = net.floats(&[1, 2, 2, 3, 3], |x| 1.2 * x);
        net.op("GridSample", &[image, &grid], &[text("mode", "linear")])
    });
}

#[test]
fn recurrent_layers_are_written_out_with_all_their_parts() {
    let layer = |op_type: &'static str,
                 gates: i64,
                 given: &'static [(usize, &'static [i64])],
                 attributes: Vec<AttributeProto>| {
        compare(17, &[4, 2, 3], op_type, move |net, image| {
            let (hidden, directions) =
                (5, if attributes.iter().any(|a| a.s.as_deref() == Some(b"bidirectional")) { 2 } else { 1 });
            let w = net.floats(&[directions, gates * hidden, 3], |x| x);
            let r = net.floats(&[directions, gates * hidden, hidden], |x| x);
            let bias = net.floats(&[directions, 2 * gates * hidden], |x| x);
            let mut inputs = vec![image.to_owned(), w, r, bias];
            for &(place, dims) in given {
                inputs.resize(place, String::new());
                inputs.push(if place == 4 {
                    net.bytes(6, &[2], &[3, 0, 0, 0, 2, 0, 0, 0])
                } else {
                    net.floats(dims, |x| x)
                });
            }
            let attributes: Vec<_> = attributes.into_iter().chain([int("hidden_size", hidden)]).collect();
            let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
            net.op(op_type, &inputs, &attributes)
        });
    };
    let direction = |name: &str| text("direction", name);
    layer("RNN", 1, &[], vec![direction("reverse")]);
    layer("RNN", 1, &[(4, &[]), (5, &[2, 2, 5])], vec![direction("bidirectional")]);
    layer("GRU", 3, &[(4, &[])], vec![]);
    layer("GRU", 3, &[(5, &[1, 2, 5])], vec![direction("reverse"), int("linear_before_reset", 1)]);
    layer("GRU", 3, &[], vec![names("activations", &["Sigmoid", "Relu"]), float("clip", 0.3)]);
    layer("LSTM", 4, &[(4, &[]), (5, &[2, 2, 5]), (6, &[2, 2, 5])], vec![direction("bidirectional")]);
    layer("LSTM", 4, &[(7, &[1, 15])], vec![]);
    layer("LSTM", 4, &[], vec![direction("reverse"), names("activations", &["Sigmoid", "Tanh", "Relu"])]);
}

#[test]
fn losses_weigh_and_ignore_classes() {
    for op_type in ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"] {
        for reduction in ["none", "sum", "mean"] {
            for (weighted, ignored) in [(false, false), (true, false), (false, true), (true, true)] {
                compare(13, &[2, 4, 3], op_type, |net, image| {
                    let target: Vec<_> =
                        [0i64, 1, 3, 2, 2, 1].iter().flat_map(|class| class.to_le_bytes()).collect();
                    let target = net.bytes(7, &[2, 3], &target);
                    let mut inputs = vec![image.to_owned(), target];
                    if weighted {
                        inputs.push(net.floats(&[4], |x| x.abs() + 0.1));
                    }
                    let mut attributes = vec![text("reduction", reduction)];
                    attributes.extend(ignored.then(|| int("ignore_index", 2)));
                    net.op(op_type, &inputs.iter().map(String::as_str).collect::<Vec<_>>(), &attributes)
                });
            }
        }
    }
}

#[test]
fn attention_is_written_out() {
    for (heads, attributes) in [
        ([2, 2], vec![]),
        ([4, 2], vec![int("is_causal", 1)]),
        ([2, 1], vec![float("scale", 0.3), float("softcap", 2.0)]),
    ] {
        compare(23, &[2, 3, 16], "Attention", |net, image| {
            let width = 16 / heads[0] * heads[1];
            let (key, value) = (net.floats(&[2, 5, width], |x| x), net.floats(&[2, 5, width], |x| x));
            let mask = net.floats(&[3, 5], |x| x);
            let heads = [int("q_num_heads", heads[0]), int("kv_num_heads", heads[1])];
            let attributes: Vec<_> = attributes.into_iter().chain(heads).collect();
            net.op("Attention", &[image, &key, &value, &mask], &attributes)
        });
    }
}

#[test]
fn rotations_are_products() {
    for interleaved in [0, 1] {
        compare(23, &[2, 3, 4, 8], "RotaryEmbedding", |net, image| {
            let (cosines, sines) = (net.floats(&[2, 4, 4], |x| x), net.floats(&[2, 4, 4], |x| x));
            net.op("RotaryEmbedding", &[image, &cosines, &sines], &[int("interleaved", interleaved)])
        });
    }
}

#[test]
fn transforms_are_products_with_matrices() {
    for (parts, inverse, onesided) in [(1, 0, 0), (1, 0, 1), (2, 0, 0), (2, 1, 0)] {
        compare(17, &[2, 10, 3, parts], "DFT", |net, image| {
            let attributes = [int("axis", 1), int("inverse", inverse), int("onesided", onesided)];
            net.op("DFT", &[image], &attributes)
        });
    }
}

#[test]
fn small_operators_are_written_out() {
    compare(17, &[2, 3, 3], "Det", |net, image| net.op("Det", &[image], &[]));
    compare(18, &[4, 5, 7], "CenterCropPad", |net, image| {
        let shape = net.ints(&[5, 4, 9]);
        net.op("CenterCropPad", &[image, &shape], &[])
    });
    compare(20, &[2, 2, 3], "AffineGrid", |net, image| {
        let size = net.ints(&[2, 1, 4, 5]);
        net.op("AffineGrid", &[image, &size], &[])
    });
    compare(20, &[3, 4], "Gelu", |net, image| net.op("Gelu", &[image], &[text("approximate", "tanh")]));
    for op_type in ["HannWindow", "HammingWindow", "BlackmanWindow"] {
        for periodic in [0, 1] {
            compare(17, &[1, 9], op_type, |net, image| {
                let size = net.bytes(7, &[], &9i64.to_le_bytes());
                let window = net.op(op_type, &[&size], &[int("periodic", periodic)]);
                net.op("Mul", &[image, &window], &[])
            });
        }
    }
    compare(17, &[1, 4, 3, 3], "none", |net, image| {
        let (weight, bias) = (net.floats(&[4, 3, 2, 2], |x| x), net.floats(&[6], |x| x));
        net.op("ConvTranspose", &[image, &weight, &bias], &[int("group", 2), ints("strides", &[2, 2])])
    });
    compare(18, &[1, 2, 5, 5], "LpPool", |net, image| {
        net.op("LpPool", &[image], &[ints("kernel_shape", &[2, 3]), int("p", 2), ints("strides", &[2, 1])])
    });
    compare(17, &[2, 3, 4], "none", |net, image| {
        let vector = net.floats(&[4], |x| x);
        net.op("MatMul", &[image, &vector], &[])
    });
    compare(17, &[3, 4], "none", |net, image| {
        let bytes = net.op("Cast", &[image], &[int("to", 2)]);
        let limits = net.bytes(2, &[4], &[200, 0, 100, 255]);
        let most = net.op("Max", &[&bytes, &limits], &[]);
        net.op("Cast", &[&most], &[int("to", 1)])
    });
}

#[test]
fn rounds_of_scans_and_loops_are_written_out() {
    let body = |nodes: Vec<skipgate_onnx::proto::NodeProto>,
                inputs: &[(&str, i32, &[i64])],
                outputs: &[(&str, i32, &[i64])]| {
        let infos = |list: &[(&str, i32, &[i64])]| {
            list.iter().map(|(name, ty, shape)| value_info(name, *ty, shape)).collect()
        };
        GraphProto {
            name: "body".into(),
            node: nodes,
            input: infos(inputs),
            output: infos(outputs),
            ..GraphProto::default()
        }
    };
    let node = |op_type: &str, inputs: &[&str], output: &str| skipgate_onnx::proto::NodeProto {
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    };
    let add = || vec![node("Add", &["sum", "next"], "new"), node("Identity", &["new"], "shown")];
    for backwards in [0, 1] {
        compare(17, &[5, 2], "Scan", |net, image| {
            let initial = net.floats(&[2], |x| x);
            let (state, part) = (("sum", 1, &[2][..]), ("next", 1, &[2][..]));
            let body = body(add(), &[state, part], &[("new", 1, &[2]), ("shown", 1, &[2])]);
            let attributes = [
                int("num_scan_inputs", 1),
                ints("scan_input_directions", &[backwards]),
                subgraph("body", body),
            ];
            let y = net.op("Scan", &[&initial, image], &attributes);
            net.node_mut(&y).output.insert(0, "last".into());
            y
        });
    }
    compare(17, &[1, 2], "Loop", |net, image| {
        let count = net.bytes(7, &[], &3i64.to_le_bytes());
        let nodes = vec![node("Identity", &["goes"], "goes_on"), node("Add", &["state", "state"], "new")];
        let inputs: [(&str, i32, &[i64]); 3] = [("round", 7, &[]), ("goes", 9, &[]), ("state", 1, &[1, 2])];
        let body = body(nodes, &inputs, &[("goes_on", 9, &[]), ("new", 1, &[1, 2])]);
        net.op("Loop", &[&count, "", image], &[subgraph("body", body)])
    });
}

#[test]
fn what_has_no_static_shape_is_refused_by_name() {
    let (mut net, image) = Net::new(&[3, 4], 5);
    let y = net.op("NonZero", &[&image], &[]);
    net.output(&y, &[2, 4]);
    let error = normalise(&net.model()).unwrap_err().to_string();
    assert!(error.contains("(NonZero): how many elements its result has depends on its data"), "{error}");
}
