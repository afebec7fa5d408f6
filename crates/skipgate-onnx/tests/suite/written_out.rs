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
            // Places around the image, and far from it.
            for (corners, scale) in [(0, 1.6), (1, 1.6), (0, 40.0), (1, 40.0)] {
                compare(20, &[2, 3, 5, 4], "GridSample", |net, image| {
                    let grid = net.floats(&[2, 3, 7, 2], |x| scale * x);
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

#[test]
fn powers_of_integers_are_exact() {
    // Bases and exponents; 0 to a power below 0 is not defined.
    let powers =
        [(-7i64, 3i64), (-1, 101), (-1, 100), (0, 0), (0, 5), (1, -7), (-1, -3), (5, -1), (3, 9), (2, 30)];
    for (base_type, exponent_type) in [(6, 7), (7, 6), (7, 7), (6, 6), (6, 1)] {
        compare(15, &[1, 10], "Pow", |net, image| {
            let (bases, exponents): (Vec<_>, Vec<_>) = powers.into_iter().unzip();
            let [bases, exponents] = [(bases, base_type), (exponents, exponent_type)].map(|(values, ty)| {
                let values = int64s(net, &[10], &values);
                net.op("Cast", &[&values], &[int("to", ty)])
            });
            let power = net.op("Pow", &[&bases, &exponents], &[]);
            let power = net.op("Cast", &[&power], &[int("to", 1)]);
            let zero = net.floats(&[1], |_| 0.0);
            let nothing = net.op("Mul", &[image, &zero], &[]);
            net.op("Add", &[&power, &nothing], &[])
        });
    }
}

#[test]
fn casts_say_to_what() {
    for like in [6, 7, 10] {
        compare(19, &[3, 4], "CastLike", |net, image| {
            let (two, none) = (net.floats(&[1], |_| 2.5), net.bytes(like, &[0], &[]));
            let scaled = net.op("Mul", &[image, &two], &[]);
            let cast = net.op("CastLike", &[&scaled, &none], &[]);
            net.op("Cast", &[&cast], &[int("to", 1)])
        });
    }
}

#[test]
fn bytes_keep_their_bits_and_other_types_are_refused_by_name() {
    let cast = |from, to| {
        let (mut net, image) = Net::new(&[3, 4], 5);
        net.set_opset(26);
        let given = net.op("Cast", &[&image], &[int("to", from)]);
        let cast = net.op("BitCast", &[&given], &[int("to", to)]);
        let y = net.op("Cast", &[&cast], &[int("to", 1)]);
        net.output(&y, &[3, 4]);
        normalise(&net.model())
    };
    let ops = |model: Model| -> Vec<_> {
        model.proto().graph.node.iter().map(|node| node.op_type.clone()).collect()
    };
    assert_eq!(ops(cast(3, 2).unwrap()), ["Cast", "Cast", "Cast"]);
    assert!(ops(cast(1, 6).unwrap()).contains(&"BitCast".to_owned()));
    let error = cast(10, 5).unwrap_err().to_string();
    assert!(error.contains("(BitCast): it casts between other types"), "{error}");
}

#[test]
fn normalisation_in_training_mode_takes_the_statistics_of_the_batch() {
    for output in [0, 1, 2] {
        compare(15, &[2, 3, 4, 5], "BatchNormalization", |net, image| {
            let [scale, shift, mean, variance] = [(); 4].map(|()| net.floats(&[3], |x| x + 1.5));
            let attributes = [int("training_mode", 1), float("momentum", 0.7), float("epsilon", 0.01)];
            let y = net.op("BatchNormalization", &[image, &scale, &shift, &mean, &variance], &attributes);
            net.node_mut(&y).output.extend(["mean".into(), "variance".into()]);
            let read = [y.as_str(), "mean", "variance"][output];
            net.op("Neg", &[read], &[])
        });
    }
}

#[test]
fn dropout_of_nothing_does_nothing_in_training_mode() {
    let found = compare(17, &[2, 3], "Dropout", |net, image| {
        let (ratio, training) = (net.floats(&[], |_| 0.0), net.bytes(9, &[], &[1]));
        let y = net.op("Dropout", &[image, &ratio, &training], &[]);
        net.op("Neg", &[&y], &[])
    });
    assert_eq!(found, ["Neg"]);
}

#[test]
fn blocks_have_scales_of_their_own() {
    for (zero_type, axis, size) in [(2, 1, 3), (3, 0, 2), (2, -1, 5)] {
        for with_zero in [false, true] {
            compare(21, &[4, 6], "none", |net, image| {
                let mut dims = [4, 6];
                let along = usize::from(axis != 0);
                dims[along] = (dims[along] + size - 1) / size;
                let scale = net.floats(&dims, |x| 0.02 + 0.01 * x.abs());
                let zero = net.bytes(
                    zero_type,
                    &dims,
                    &(0..dims[0] * dims[1]).map(|n| u8::try_from(n * 3).unwrap()).collect::<Vec<_>>(),
                );
                let attributes = [int("axis", axis), int("block_size", size)];
                let mut inputs = vec![scale.as_str()];
                if with_zero {
                    inputs.push(&zero);
                }
                let quantized = net.op("QuantizeLinear", &[&[image], &inputs[..]].concat(), &attributes);
                net.op("DequantizeLinear", &[&[quantized.as_str()], &inputs[..]].concat(), &attributes)
            });
        }
    }
}

#[test]
fn filters_of_integers_have_zero_points_of_their_own() {
    if !engine::is_available() {
        return;
    }
    let zeros = [0, 7, 255, 100];
    for pads in [[0; 4], [1, 0, 2, 1]] {
        // ONNX Runtime takes one zero point only, so that it convolves with one filter at a time.
        let model = |apart: bool| {
            let (mut net, image) = Net::new(&[1, 3, 5, 5], 7);
            let (scale, zero) = (net.floats(&[], |_| 0.01), net.bytes(2, &[], &[120]));
            let bytes = net.op("QuantizeLinear", &[&image, &scale, &zero], &[]);
            let filters: Vec<_> = (0..4 * 12u16).map(|n| u8::try_from(n * 53 % 251).unwrap()).collect();
            let count = if apart { 1 } else { zeros.len() };
            let sums: Vec<_> = (0..zeros.len() / count)
                .map(|part| {
                    let dims = [i64::try_from(count).unwrap(), 3, 2, 2];
                    let filters = net.bytes(2, &dims, &filters[part * 12..][..count * 12]);
                    let zeros = net.bytes(2, &dims[..1], &zeros[part..][..count]);
                    net.op("ConvInteger", &[&bytes, &filters, &zero, &zeros], &[ints("pads", &pads)])
                })
                .collect();
            let sums: Vec<_> = sums.iter().map(String::as_str).collect();
            let all = net.op("Concat", &sums, &[int("axis", 1)]);
            let y = net.op("Cast", &[&all], &[int("to", 1)]);
            net.output(&y, &[1, 4, 4 + pads[0] + pads[2], 4 + pads[1] + pads[3]]);
            net.model()
        };
        let data: Vec<_> = (0..75u8).map(|n| (f32::from(n * 3) - 110.0) / 90.0).collect();
        let run = |model: &Model| engine::run(model, &[1, 3, 5, 5], &data, None);
        assert_eq!(run(&normalise(&model(false)).unwrap()), run(&model(true)));
    }
}

#[test]
fn transposed_convolutions_end_behind_what_their_filters_reach() {
    for with_bias in [false, true] {
        let found = compare(17, &[1, 1, 3, 3], "none", |net, image| {
            let (filters, bias) = (net.floats(&[1, 2, 3, 3], |x| x), net.floats(&[2], |x| x));
            let mut inputs = vec![image, &filters];
            if with_bias {
                inputs.push(&bias);
            }
            net.op("ConvTranspose", &inputs, &[ints("strides", &[3, 2]), ints("output_shape", &[10, 8])])
        });
        assert!(found.contains(&"Pad".to_owned()), "{found:?}");
    }
}
