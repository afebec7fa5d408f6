//! The plain form computes what the model computed: against ONNX Runtime.

use proptest::prelude::*;
use skipgate_onnx::proto::AttributeProto;
use skipgate_onnx::{Model, normalise};

use crate::engine;
use crate::net::{FLOAT, Net, float, floats, int, ints, text};

/// Runs the model that `build` makes and its plain form; the operators of the latter.
fn compare(
    opset: i64,
    shape: &[i64],
    seed: u64,
    build: impl FnOnce(&mut Net, &str) -> String,
) -> Vec<String> {
    let (mut net, image) = Net::new(shape, seed);
    net.set_opset(opset);
    let data = net.random_values(shape.iter().product());
    let y = build(&mut net, &image);
    net.output(&y, &[]);
    let mut proto = net.proto();
    proto.graph.as_mut().unwrap().output[0].type_.mut_or_insert_default().mut_tensor_type().shape.clear();
    let model = Model::from_proto(proto).unwrap();
    let plain = normalise(&model).unwrap();
    assert_eq!(normalise(&plain).unwrap(), plain);
    let run = |model: &Model| engine::run(model, shape, &data, None);
    let (found, expected) = (run(&plain), run(&model));
    assert!(engine::difference(&found, &expected) <= 3e-6, "{found:?} instead of {expected:?}");
    plain.proto().graph.node.iter().map(|node| node.op_type.clone()).collect()
}

fn op(opset: i64, shape: &[i64], op_type: &str, attributes: &[AttributeProto]) -> Vec<String> {
    compare(opset, shape, 5, |net, image| net.op(op_type, &[image], attributes))
}

#[test]
fn average_pools_with_a_last_window_that_does_not_fit_divide_by_what_counts() {
    if !engine::is_available() {
        return;
    }
    for opset in [11, 18, 22] {
        for (size, kernel, stride, pads) in
            [(8, 3, 2, [1, 1]), (7, 2, 2, [0, 0]), (9, 3, 2, [1, 0]), (6, 3, 3, [1, 1]), (9, 2, 3, [0, 1])]
        {
            for with_padding in [0, 1] {
                let pads = [pads[0], pads[0], pads[1], pads[1]];
                let attributes = [
                    ints("kernel_shape", &[kernel; 2]),
                    ints("strides", &[stride; 2]),
                    ints("pads", &pads),
                    int("ceil_mode", 1),
                    int("count_include_pad", with_padding),
                ];
                op(opset, &[1, 2, size, size], "AveragePool", &attributes);
            }
        }
    }
}

#[test]
fn dilated_average_pools_in_three_dimensions_are_right_too() {
    if !engine::is_available() {
        return;
    }
    let attributes = [
        ints("kernel_shape", &[5, 5, 5]),
        ints("strides", &[3, 3, 3]),
        ints("dilations", &[2, 2, 2]),
        int("count_include_pad", 1),
        int("ceil_mode", 1),
    ];
    let ops = op(22, &[1, 1, 32, 17, 16], "AveragePool", &attributes);
    assert_eq!(ops, ["Pad", "AveragePool", "Mul"]);
}

#[test]
fn ceil_mode_that_changes_nothing_is_dropped() {
    if !engine::is_available() {
        return;
    }
    // With the larger stride, the last window would begin in the padding.
    for (size, kernel, stride, pad) in [(8, 2, 2, 0), (7, 3, 4, 1)] {
        let attributes = [
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride; 2]),
            ints("pads", &[pad; 4]),
            int("ceil_mode", 1),
        ];
        for op_type in ["AveragePool", "MaxPool"] {
            assert_eq!(op(22, &[1, 2, size, size], op_type, &attributes), [op_type]);
        }
    }
}

#[test]
fn softmax_of_old_operator_sets_works_over_several_axes() {
    if !engine::is_available() {
        return;
    }
    for op_type in ["Softmax", "LogSoftmax", "Hardmax"] {
        for axis in [-3, -1, 0, 1, 2] {
            op(11, &[2, 3, 4], op_type, &[int("axis", axis)]);
        }
        op(12, &[2, 3, 4], op_type, &[]);
        assert_eq!(op(12, &[2, 3], op_type, &[]), [op_type]);
        assert_eq!(op(13, &[2, 3, 4], op_type, &[]), [op_type]);
    }
}

#[test]
fn attributes_that_became_inputs_are_inputs() {
    if !engine::is_available() {
        return;
    }
    for opset in [11, 12] {
        op(opset, &[1, 3, 4], "ReduceSum", &[ints("axes", &[1]), int("keepdims", 0)]);
        op(opset, &[1, 3, 4], "Squeeze", &[ints("axes", &[0])]);
        op(opset, &[1, 3, 4], "Unsqueeze", &[ints("axes", &[0, -1])]);
        compare(opset, &[1, 6, 4], 1, |net, image| {
            let x = net.op("Split", &[image], &[int("axis", 1), ints("split", &[2, 4])]);
            net.node_mut(&x).output.push("second".into());
            net.op("Concat", &["second", &x], &[int("axis", 1)])
        });
    }
}

#[test]
fn operators_of_early_sets_become_later_ones() {
    if !engine::is_available() {
        return;
    }
    for opset in 7..11 {
        let x = [1, 4, 6, 6];
        op(opset, &x, "Clip", &[float("min", -0.5), float("max", 0.25)]);
        op(opset, &x, "Clip", &[float("max", 0.25)]);
        op(opset, &x, "Clip", &[]);
        op(opset, &x, "Pad", &[ints("pads", &[0, 0, 1, 2, 0, 0, 0, 1])]);
        op(opset, &x, "Pad", &[ints("pads", &[0, 0, 1, 2, 0, 0, 0, 1]), float("value", 0.5)]);
        op(opset, &x, "Pad", &[ints("pads", &[0, 0, 1, 2, 0, 0, 0, 1]), text("mode", "reflect")]);
        op(opset, &x, "MaxPool", &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
        for op_type in ["Softmax", "Flatten", "ReduceMax", "ReduceMean", "Dropout", "Selu"] {
            op(opset, &x, op_type, &[]);
        }
        compare(opset, &x, 2, |net, image| {
            let [scale, shift, mean] = [0; 3].map(|_| net.floats(&[4], |x| x));
            let variance = net.floats(&[4], |x| x + 1.5);
            let spatial = [int("spatial", 1)];
            let spatial = if opset < 9 { &spatial[..] } else { &[] };
            net.op("BatchNormalization", &[image, &scale, &shift, &mean, &variance], spatial)
        });
    }
    for opset in 7..10 {
        let cuts = [ints("starts", &[1, -4]), ints("ends", &[3, 6]), ints("axes", &[1, 3])];
        op(opset, &[1, 4, 6, 6], "Slice", &cuts);
        op(opset, &[1, 4, 6, 6], "Slice", &[ints("starts", &[0, 1]), ints("ends", &[1, 9000])]);
        compare(opset, &[1, 4, 6, 6], 2, |net, image| {
            let y = net.op("TopK", &[image], &[int("k", 3), int("axis", 1)]);
            net.node_mut(&y).output.push("places".into());
            y
        });
    }
    let scales = [1.0f32, 1.0, 2.0, 3.0];
    for mode in ["nearest", "linear"] {
        op(7, &[1, 2, 4, 3], "Upsample", &[text("mode", mode), floats("scales", &scales)]);
        for (opset, op_type) in [(9, "Upsample"), (10, "Resize")] {
            let ops = compare(opset, &[1, 2, 4, 3], 2, |net, image| {
                let scales = net.bytes(FLOAT, &[4], &scales.map(f32::to_le_bytes).concat());
                net.op(op_type, &[image, &scales], &[text("mode", mode)])
            });
            assert!(!ops.iter().any(|op| op == op_type), "{ops:?}");
        }
    }
}

#[test]
fn space_to_depth_keeps_columns_together_where_it_says_so() {
    if !engine::is_available() {
        return;
    }
    let mode = |mode| [int("blocksize", 2), text("mode", mode)];
    let shape = [2, 3, 4, 6];
    assert_eq!(op(28, &shape, "SpaceToDepth", &mode("CRD")), ["Reshape", "Transpose", "Reshape"]);
    assert_eq!(op(28, &shape, "SpaceToDepth", &mode("DCR")), ["SpaceToDepth"]);
}

#[test]
fn group_normalisation_has_a_scale_for_each_group_before_operator_set_21() {
    if !engine::is_available() {
        return;
    }
    for (opset, parameters, ops) in [
        (18, 2, &["Reshape", "InstanceNormalization", "Reshape"][..]),
        (20, 2, &["Reshape", "InstanceNormalization", "Reshape"]),
        (21, 6, &["GroupNormalization"]),
    ] {
        for shape in [&[1, 6, 4, 5][..], &[2, 6, 7]] {
            let found = compare(opset, shape, 3, |net, image| {
                let (scale, bias) = (net.floats(&[parameters], |x| x), net.floats(&[parameters], |x| x));
                let attributes = [int("num_groups", 2), float("epsilon", 0.1)];
                net.op("GroupNormalization", &[image, &scale, &bias], &attributes)
            });
            assert_eq!(found, ops);
        }
    }
}

#[test]
fn large_powers_are_summed_below_the_largest_one() {
    if !engine::is_available() {
        return;
    }
    for opset in [13, 17] {
        for keeps in [0, 1] {
            for axes in [&[1][..], &[-1, 1], &[0, 1, 2]] {
                let attributes = [ints("axes", axes), int("keepdims", keeps)];
                op(opset, &[2, 3, 4], "ReduceLogSumExp", &attributes);
            }
        }
    }
    for opset in [18, 20] {
        op(opset, &[2, 3, 4], "ReduceLogSumExp", &[int("keepdims", 0)]);
        let ops = compare(opset, &[2, 3, 4], 2, |net, image| {
            let (factor, axes) = (net.floats(&[1], |_| 300.0), net.ints(&[1]));
            let large = net.op("Mul", &[image, &factor], &[]);
            net.op("ReduceLogSumExp", &[&large, &axes], &[])
        });
        assert_eq!(ops, ["Mul", "ReduceMax", "Clip", "Sub", "Exp", "ReduceSum", "Log", "Add"]);
    }
}

#[test]
fn reductions_over_no_axes_do_nothing() {
    if !engine::is_available() {
        return;
    }
    let nothing = int("noop_with_empty_axes", 1);
    for op_type in ["ReduceMax", "ReduceMean", "ReduceSum", "ReduceProd"] {
        assert_eq!(op(18, &[2, 3], op_type, std::slice::from_ref(&nothing)), ["Identity"]);
    }
    let reason = refusal(18, "ReduceL2", &[nothing], 0);
    assert!(reason.contains("(ReduceL2): it reduces over no axes"), "{reason}");
}

/// A `Resize` by scales, or to sizes where those are whole numbers above 4.
fn resize(opset: i64, shape: &[i64], numbers: &[f32], attributes: &[AttributeProto]) -> Vec<String> {
    compare(opset, shape, 9, |net, image| {
        let number = if numbers.iter().all(|number| *number > 4.0) {
            #[expect(clippy::cast_possible_truncation, reason = "they are small whole numbers")]
            let sizes: Vec<_> = numbers.iter().map(|size| *size as i64).collect();
            let sizes = net.ints(&sizes);
            return net.op("Resize", &[image, "", "", &sizes], attributes);
        } else {
            net.bytes(FLOAT, &[4], &numbers.iter().flat_map(|scale| scale.to_le_bytes()).collect::<Vec<_>>())
        };
        net.op("Resize", &[image, "", &number], attributes)
    })
}

#[test]
fn images_are_resized_in_every_way() {
    if !engine::is_available() {
        return;
    }
    let coordinates =
        ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"];
    let roundings = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];
    let numbers = [
        [1.0, 1.0, 2.0, 2.0],
        [1.0, 1.0, 0.5, 3.0],
        [1.0, 1.0, 1.5, 0.7],
        [5.0, 6.0, 7.0, 13.0],
        [5.0, 6.0, 16.0, 6.0],
    ];
    for mode in coordinates {
        for numbers in &numbers {
            if mode == "align_corners" && numbers.contains(&0.7) {
                // What that is, engines do not agree on.
                continue;
            }
            let opset = if mode == "half_pixel_symmetric" { 19 } else { 13 };
            let attributes =
                |more: &[AttributeProto]| [&[text("coordinate_transformation_mode", mode)], more].concat();
            for rounding in roundings {
                let nearest = [text("mode", "nearest"), text("nearest_mode", rounding)];
                resize(opset, &[5, 6, 8, 8], numbers, &attributes(&nearest));
            }
            resize(opset, &[5, 6, 8, 8], numbers, &attributes(&[text("mode", "linear")]));
            for outside in [0, 1] {
                let cubic =
                    [text("mode", "cubic"), float("cubic_coeff_a", -0.5), int("exclude_outside", outside)];
                resize(opset, &[5, 6, 8, 8], numbers, &attributes(&cubic));
            }
        }
    }
}

#[test]
fn filters_of_smaller_images_reach_further() {
    if !engine::is_available() {
        return;
    }
    for numbers in [[1.0, 1.0, 0.6, 0.3], [1.0, 1.0, 0.45, 1.0], [1.0, 1.0, 1.5, 0.7], [5.0, 6.0, 5.0, 7.0]] {
        for coordinates in ["half_pixel", "asymmetric", "pytorch_half_pixel"] {
            for outside in [0, 1] {
                for mode in ["linear", "cubic"] {
                    let attributes = [
                        text("mode", mode),
                        int("antialias", 1),
                        int("exclude_outside", outside),
                        text("coordinate_transformation_mode", coordinates),
                    ];
                    resize(18, &[5, 6, 8, 11], &numbers, &attributes);
                }
            }
        }
    }
}

#[test]
fn parts_of_images_are_cropped_and_resized() {
    if !engine::is_available() {
        return;
    }
    for mode in ["nearest", "linear", "cubic"] {
        for region in [[0.4, 0.6, 0.6, 0.8], [0.0, 0.25, 1.0, 0.5], [0.4, -0.2, 1.2, 1.7]] {
            for sizes in [[3, 3], [1, 9], [11, 7]] {
                compare(19, &[1, 1, 8, 8], 4, |net, image| {
                    let corners = [0.0, 0.0, region[0], region[1], 1.0, 1.0, region[2], region[3]];
                    let bytes: Vec<_> =
                        corners.iter().flat_map(|corner: &f32| corner.to_le_bytes()).collect();
                    let region = net.bytes(FLOAT, &[8], &bytes);
                    let sizes = net.ints(&[1, 1, sizes[0], sizes[1]]);
                    let attributes = [
                        text("mode", mode),
                        float("extrapolation_value", 2.5),
                        text("coordinate_transformation_mode", "tf_crop_and_resize"),
                    ];
                    net.op("Resize", &[image, &region, "", &sizes], &attributes)
                });
            }
        }
    }
}

#[test]
fn repeated_elements_are_expanded() {
    if !engine::is_available() {
        return;
    }
    for (mode, rounding) in [("half_pixel", "round_prefer_floor"), ("asymmetric", "floor")] {
        let attributes = [text("coordinate_transformation_mode", mode), text("nearest_mode", rounding)];
        let ops = resize(13, &[1, 3, 5, 4], &[1.0, 1.0, 2.0, 3.0], &attributes);
        assert_eq!(ops, ["Reshape", "Expand", "Reshape"]);
    }
    let nothing = resize(13, &[1, 3, 5, 4], &[1.0; 4], &[text("mode", "linear")]);
    assert_eq!(nothing, ["Identity"]);
}

#[test]
fn some_axes_are_resized_and_their_ratio_is_kept() {
    if !engine::is_available() {
        return;
    }
    for policy in ["stretch", "not_larger", "not_smaller"] {
        compare(18, &[1, 2, 6, 5], 4, |net, image| {
            let sizes = net.ints(&[9, 7]);
            let attributes = [
                ints("axes", &[2, 3]),
                text("keep_aspect_ratio_policy", policy),
                text("mode", "linear"),
                text("coordinate_transformation_mode", "half_pixel"),
            ];
            net.op("Resize", &[image, "", "", &sizes], &attributes)
        });
    }
}

#[test]
fn resizing_that_is_not_computed_is_refused_by_name() {
    let image = |attributes: &[AttributeProto]| {
        let (mut net, image) = Net::new(&[1, 2, 4, 4], 5);
        net.set_opset(18);
        let sizes = net.ints(&[1, 2, 8, 8]);
        let y = net.op("Resize", &[&image, "", "", &sizes], attributes);
        net.output(&y, &[]);
        normalise(&Model::from_proto(net.proto()).unwrap()).unwrap_err().to_string()
    };
    let scaled = |attributes: &[AttributeProto]| {
        let (mut net, image) = Net::new(&[4, 4, 4, 4], 5);
        let scales = net.floats(&[4], |_| 0.6);
        let y = net.op("Resize", &[&image, "", &scales], attributes);
        net.output(&y, &[]);
        normalise(&Model::from_proto(net.proto()).unwrap()).unwrap_err().to_string()
    };
    let reason = image(&[text("mode", "nearest"), int("antialias", 1)]);
    assert!(reason.contains("(Resize): it has `antialias`"), "{reason}");
    let reason = scaled(&[text("coordinate_transformation_mode", "align_corners"), text("mode", "linear")]);
    assert!(reason.contains("whose size is not whole"), "{reason}");
    let reason = image(&[text("coordinate_transformation_mode", "tf_crop_and_resize")]);
    assert!(reason.contains("(Resize): the part of its input that it takes"), "{reason}");
}

#[test]
fn a_matrix_that_is_not_added_is_not_read() {
    if !engine::is_available() {
        return;
    }
    compare(17, &[2, 3], 1, |net, image| {
        let factor = net.floats(&[3, 4], |x| x);
        let nothing = net.floats(&[4], |_| f32::NAN);
        net.op("Gemm", &[image, &factor, &nothing], &[float("beta", 0.0)])
    });
}

#[test]
fn signs_of_integers_matter_to_some_operators() {
    let problem = |op_type: &str| {
        let (mut net, image) = Net::new(&[1, 4], 5);
        let whole = net.op("Cast", &[&image], &[int("to", 2)]);
        let y = net.op(op_type, &[&whole, &whole], &[]);
        net.output(&y, &[]);
        normalise(&Model::from_proto(net.proto()).unwrap()).err().map(|error| error.to_string())
    };
    let reason = problem("NewOperator").unwrap();
    assert!(reason.contains("unsigned integers"), "{reason}");
    for op_type in ["Add", "Mul", "Equal", "Div", "Max", "Less", "Mod"] {
        assert_eq!(problem(op_type), None);
    }
}

/// Why the node `op_type` cannot be compiled, of which `output` is read.
fn refusal(opset: i64, op_type: &str, attributes: &[AttributeProto], output: usize) -> String {
    let (mut net, image) = Net::new(&[1, 4, 8, 8], 5);
    net.set_opset(opset);
    let y = net.op(op_type, &[&image], attributes);
    if output == 0 {
        net.output(&y, &[]);
    } else {
        net.node_mut(&y).output.push("second".into());
        net.output("second", &[]);
    }
    normalise(&Model::from_proto(net.proto()).unwrap()).unwrap_err().to_string()
}

#[test]
fn what_engines_compute_in_two_ways_is_refused_by_name() {
    let window = [ints("kernel_shape", &[3, 3]), ints("dilations", &[2, 2]), text("auto_pad", "SAME_UPPER")];
    let reason = refusal(17, "MaxPool", &window, 0);
    assert!(reason.contains("(MaxPool): it has `dilations` and `auto_pad`"), "{reason}");
    let reason = refusal(17, "MaxPool", &[ints("kernel_shape", &[2, 2]), text("auto_pad", "SAME_UPPER")], 1);
    assert!(reason.contains("(MaxPool): its indices are read"), "{reason}");
    let reason = refusal(17, "RandomNormalLike", &[], 0);
    assert!(reason.contains("(RandomNormalLike): it draws random numbers"), "{reason}");
    let reason = refusal(11, "Dropout", &[], 1);
    assert!(reason.contains("(Dropout): its mask is read"), "{reason}");
}

#[test]
fn depth_becomes_space_in_both_orders() {
    if !engine::is_available() {
        return;
    }
    for (channels, size) in [(16, 2), (8, 2), (9, 3), (12, 2)] {
        for opset in [11, 13] {
            let ops = op(
                opset,
                &[2, channels, 3, 4],
                "DepthToSpace",
                &[int("blocksize", size), text("mode", "CRD")],
            );
            assert_eq!(ops, ["Reshape", "Transpose", "Reshape"]);
        }
    }
    assert_eq!(op(13, &[1, 16, 3, 4], "DepthToSpace", &[int("blocksize", 2)]), ["DepthToSpace"]);
}

#[test]
fn images_are_padded_with_themselves_or_cut() {
    if !engine::is_available() {
        return;
    }
    let pad = |opset, mode: &str, pads: &[i64]| {
        compare(opset, &[1, 3, 5, 6], 2, |net, image| {
            let pads = net.ints(pads);
            net.op("Pad", &[image, &pads], &[text("mode", mode)])
        })
    };
    for pads in [[0, 0, 1, 2, 0, 0, 3, 1], [0, 2, 1, 0, 0, 1, 4, 5], [0, 0, -1, 1, 0, 0, 2, -2]] {
        for mode in ["reflect", "edge"] {
            assert!(pad(13, mode, &pads).iter().all(|op| op == "Gather" || op == "Identity"));
        }
        pad(13, "constant", &pads);
        pad(19, "wrap", &pads);
    }
    assert_eq!(pad(13, "constant", &[0, 0, -1, 1, 0, 0, 2, -2]), ["Slice", "Pad"]);
    assert_eq!(pad(13, "constant", &[0, 0, 1, 1, 0, 0, 1, 1]), ["Pad"]);
}

#[test]
fn floats_become_unsigned_integers_through_signed_ones() {
    if !engine::is_available() {
        return;
    }
    let ops = compare(17, &[1, 200], 2, |net, image| {
        let (factor, term) = (net.floats(&[1], |_| 100.0), net.floats(&[1], |_| 130.0));
        let y = net.op("Mul", &[image, &factor], &[]);
        let y = net.op("Add", &[&y, &term], &[]);
        let y = net.op("Cast", &[&y], &[int("to", 2)]);
        net.op("Cast", &[&y], &[int("to", 1)])
    });
    assert_eq!(ops, ["Mul", "Add", "Cast", "Cast", "Cast"]);
}

#[test]
fn what_breaks_a_rule_is_an_error_that_names_the_node() {
    let axis = refusal(17, "Softmax", &[int("axis", 7)], 0);
    assert!(axis.contains("(Softmax): expected an axis of 4 dimensions, found 7"), "{axis}");
    let parts = refusal(18, "Split", &[int("axis", 1), int("num_outputs", 1 << 40)], 0);
    assert!(parts.contains("(Split): the attribute `num_outputs` should be"), "{parts}");
    let problem = |build: &dyn Fn(&mut Net, &str) -> String| {
        let (mut net, image) = Net::new(&[1, 4, 8, 8], 5);
        let y = build(&mut net, &image);
        net.output(&y, &[]);
        normalise(&Model::from_proto(net.proto()).unwrap()).unwrap_err().to_string()
    };
    let place = problem(&|net, image| {
        let places = net.ints(&[0, -4, 99]);
        net.op("Gather", &[image, &places], &[int("axis", 1)])
    });
    assert!(place.contains("(Gather): expected indices into an axis of 4 elements, found 99"), "{place}");
    let sizes = problem(&|net, image| {
        let sizes = net.ints(&[9]);
        net.op("Split", &[image, &sizes], &[int("axis", 1)])
    });
    assert!(sizes.contains("(Split): expected sizes that add up"), "{sizes}");
    let nothing = problem(&|net, image| {
        let (start, end, axis) = (net.ints(&[8]), net.ints(&[9]), net.ints(&[3]));
        let none = net.op("Slice", &[image, &start, &end, &axis], &[]);
        let factor = net.floats(&[0, 3], |x| x);
        net.op("MatMul", &[&none, &factor], &[])
    });
    assert!(nothing.contains("(MatMul): it makes elements of a tensor that has none"), "{nothing}");
}

#[test]
fn transposed_convolutions_are_padded_as_their_result_asks_for() {
    if !engine::is_available() {
        return;
    }
    let cases: [&[AttributeProto]; 8] = [
        &[ints("pads", &[1, 0, 0, 1])],
        &[ints("pads", &[0, 2, 1, 1]), ints("output_padding", &[1, 1])],
        &[text("auto_pad", "SAME_UPPER")],
        &[text("auto_pad", "SAME_LOWER")],
        &[text("auto_pad", "VALID")],
        &[ints("output_shape", &[10, 9])],
        &[ints("output_shape", &[10, 10]), text("auto_pad", "SAME_UPPER")],
        &[text("auto_pad", "SAME_UPPER"), ints("dilations", &[2, 2])],
    ];
    for attributes in cases {
        for size in [[3, 3], [2, 4]] {
            let ops = compare(13, &[1, 4, 5, 5], 2, |net, image| {
                let filter = net.floats(&[4, 3, size[0], size[1]], |x| x);
                let attributes = [attributes, &[ints("strides", &[2, 2])]].concat();
                net.op("ConvTranspose", &[image, &filter], &attributes)
            });
            assert!(ops[0] == "ConvTranspose" && ops.len() <= 2, "{ops:?}");
        }
    }
}

#[test]
fn a_shape_of_fewer_dimensions_is_expanded_to() {
    if !engine::is_available() {
        return;
    }
    for shape in [&[8][..], &[1], &[4, 1], &[2, 1, 1, 8]] {
        compare(13, &[1, 4, 1], 2, |net, image| {
            let shape = net.ints(shape);
            net.op("Expand", &[image, &shape], &[])
        });
    }
}

#[test]
fn signs_and_truth_are_comparisons_with_zero() {
    if !engine::is_available() {
        return;
    }
    assert_eq!(op(13, &[2, 3, 4], "Sign", &[]), ["Greater", "Cast", "Less", "Cast", "Sub"]);
    for count in [4, 300] {
        compare(13, &[1, count], 2, |net, image| {
            let constant = net.floats(&[count], |x| if x.abs() < 0.3 { 0.0 } else { x });
            let sign = net.op("Sign", &[&constant], &[]);
            let truth = net.op("Cast", &[&constant], &[int("to", 9)]);
            let y = net.op("Where", &[&truth, image, &sign], &[]);
            net.op("Add", &[&y, &sign], &[])
        });
    }
}

#[test]
fn a_power_of_integers_with_several_exponents_of_floats_is_refused() {
    let (mut net, image) = Net::new(&[1, 4], 5);
    let base = net.op("Cast", &[&image], &[int("to", 7)]);
    let exponents = net.floats(&[4], |x| x);
    let y = net.op("Pow", &[&base, &exponents], &[]);
    net.output(&y, &[]);
    let error = normalise(&Model::from_proto(net.proto()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("(Pow): its base is of integers"), "{error}");
}

#[test]
fn powers_with_several_exponents_keep_the_sign_of_their_base() {
    if !engine::is_available() {
        return;
    }
    let ops = compare(17, &[8, 4], 3, |net, image| {
        let exponents = net.bytes(FLOAT, &[4], &[3.0f32, 2.0, 0.0, 1.0].map(f32::to_le_bytes).concat());
        net.op("Pow", &[image, &exponents], &[])
    });
    assert!(!ops.contains(&"Pow".to_owned()));
}

#[test]
fn softsign_is_a_quotient() {
    if !engine::is_available() {
        return;
    }
    assert_eq!(op(13, &[1, 3, 4], "Softsign", &[]), ["Abs", "Add", "Div"]);
}

#[test]
fn zeros_are_normalised_to_zeros() {
    if !engine::is_available() {
        return;
    }
    for (opset, order) in [(11, 1), (17, 2), (18, 1), (22, 2)] {
        let ops = compare(opset, &[2, 3, 4], 1, |net, image| {
            let x = net.relu(image);
            net.op("LpNormalization", &[&x], &[int("axis", 2), int("p", order)])
        });
        assert!(!ops.contains(&"LpNormalization".to_owned()));
    }
}

#[test]
fn a_normalisation_without_a_convolution_is_a_product_and_a_sum() {
    if !engine::is_available() {
        return;
    }
    for opset in [11, 13, 14, 17] {
        for shape in [&[2, 4][..], &[2, 4, 3], &[2, 4, 3, 2]] {
            let ops = compare(opset, shape, 9, Net::norm);
            assert_eq!(ops, ["Mul", "Add"]);
        }
    }
}

/// One step of a random network: an operator and what it chooses by.
fn step(net: &mut Net, x: &str, kind: u8, choice: u8) -> String {
    let permutation = [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2], [0, 1, 2, 3]][usize::from(choice % 4)];
    match kind {
        0 => net.op("Identity", &[x], &[]),
        1 => net.op("Transpose", &[x], &[ints("perm", &permutation)]),
        2 => {
            let shape = net
                .ints(&[[0, -1, 2, 3], [1, 6, -1, 2], [0, 0, -1, 1], [-1, 2, 3, 4]][usize::from(choice % 4)]);
            net.op("Reshape", &[x, &shape], &[])
        }
        3 => net.relu(x),
        4 => {
            let pads = net.ints(&[0; 8]);
            net.op("Pad", &[x, &pads], &[])
        }
        5 => {
            let flat = net.op("Flatten", &[x], &[int("axis", (choice % 5).into())]);
            let shape = net.op("Shape", &[x], &[]);
            net.op("Reshape", &[&flat, &shape], &[])
        }
        6 => net.op("Dropout", &[x], &[]),
        7 => net.add(x, x),
        8 => {
            let (scale, zero) = (net.floats(&[], |_| 0.125), net.bytes(3, &[], &[0]));
            let both = [(), ()].map(|()| {
                let q = net.op("QuantizeLinear", &[x, &scale, &zero], &[]);
                net.op("DequantizeLinear", &[&q, &scale, &zero], &[])
            });
            net.add(&both[0], &both[1])
        }
        _ => {
            let like = net.op("Neg", &[x], &[]);
            net.op("CastLike", &[&like, x], &[])
        }
    }
}

#[test]
fn random_networks_compute_the_same_in_plain_form() {
    if !engine::is_available() {
        return;
    }
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec((0u8..10, any::<u8>()), 1..10), seed in any::<u64>())| {
        compare(17, &[1, 4, 6, 6], seed, |net, image| {
            steps.iter().fold(image.to_owned(), |x, &(kind, choice)| step(net, &x, kind, choice))
        });
    });
}

#[test]
fn modes_that_are_no_modes_are_errors() {
    let (mut net, image) = Net::new(&[1, 2, 4, 4], 1);
    let y = net.op("SpaceToDepth", &[&image], &[int("blocksize", 2), text("mode", "upside down")]);
    net.output(&y, &[1, 8, 2, 2]);
    assert!(normalise(&net.model()).unwrap_err().to_string().contains("`DCR` or `CRD`"));
}

/// Queries, keys and values that are `image` times something.
fn attention(net: &mut Net, image: &str, mask: Option<&str>, attributes: &[AttributeProto]) -> String {
    let [q, k, v] = [(); 3].map(|()| {
        let factor = net.floats(&[], |x| 1.0 + x);
        net.op("Mul", &[image, &factor], &[])
    });
    let inputs: Vec<_> = [&*q, &*k, &*v].into_iter().chain(mask).collect();
    net.op("Attention", &inputs, attributes)
}

#[test]
fn attention_is_its_two_products() {
    if !engine::is_available() {
        return;
    }
    let products = compare(23, &[1, 2, 5, 4], 7, |net, image| attention(net, image, None, &[]));
    assert_eq!(products.iter().filter(|op| *op == "MatMul").count(), 2, "{products:?}");
    assert!(!products.contains(&"Attention".to_owned()));
    compare(23, &[1, 2, 5, 4], 8, |net, image| {
        let mask = net.floats(&[1, 1, 5, 5], |x| 3.0 * x);
        attention(net, image, Some(&mask), &[float("scale", 0.3)])
    });
    compare(23, &[1, 2, 3, 4], 9, |net, image| {
        let mask = net.bytes(9, &[3, 3], &[1, 0, 0, 1, 1, 0, 0, 1, 1]);
        attention(net, image, Some(&mask), &[])
    });
    let together = [int("q_num_heads", 3), int("kv_num_heads", 3)];
    compare(23, &[1, 5, 12], 10, |net, image| attention(net, image, None, &together));
}

#[test]
fn attention_that_looks_at_earlier_places_only_is_right() {
    if engine::is_available() {
        compare(23, &[1, 2, 5, 4], 11, |net, image| attention(net, image, None, &[int("is_causal", 1)]));
    }
}

#[test]
fn sums_of_products_are_matrix_products() {
    if !engine::is_available() {
        return;
    }
    let equations = [
        ("b i j, b j k -> b i k", [4, 5].as_slice()),
        ("bij,bkj->bik", &[5, 4]),
        ("bij,bjk", &[4, 5]),
        ("bij,bik->kbj", &[3, 5]),
        ("bij,bijk->bk", &[3, 4, 5]),
        ("bij,bj->bi", &[4]),
        ("bij,bi->bij", &[3]),
        ("bij,bkl->ibljk", &[2, 6]),
    ];
    for (equation, second) in equations {
        let ops = compare(17, &[2, 3, 4], 3, |net, image| {
            let dims: Vec<_> = [2].iter().chain(second).copied().collect();
            let weights = net.floats(&dims, |x| x);
            net.op("Einsum", &[image, &weights], &[text("equation", equation)])
        });
        assert!(!ops.contains(&"Einsum".to_owned()), "{equation}: {ops:?}");
    }
    for equation in ["bij,bkl->bkl", "bii->bi", "...ij->...ji", "bij,ckl->ijk"] {
        compare(17, &[2, 3, 3], 3, |net, image| {
            let weights = net.floats(&[2, 4, 5], |x| x);
            let inputs = if equation.contains(',') { vec![image, &*weights] } else { vec![image] };
            net.op("Einsum", &inputs, &[text("equation", equation)])
        });
    }
}

#[test]
fn weights_that_are_computed_from_weights_are_weights() {
    if !engine::is_available() {
        return;
    }
    for opset in [13, 20] {
        let ops = compare(opset, &[1, 3, 5, 5], 6, |net, image| {
            let weight = net.floats(&[1, 4, 27], |x| x);
            let (scale, shift) = (net.floats(&[4], |x| 1.0 + x / 2.0), net.floats(&[4], |x| x));
            let axes = [ints("axes", &[0, 2]), int("keepdims", 0)];
            let (mean, square) = if opset < 18 {
                let mean = net.op("ReduceMean", &[&weight], &axes);
                let square = net.op("Mul", &[&weight, &weight], &[]);
                (mean, net.op("ReduceMean", &[&square], &axes))
            } else {
                let axes = net.ints(&[0, 2]);
                let mean = net.op("ReduceMean", &[&weight, &axes], &[int("keepdims", 0)]);
                let square = net.op("Mul", &[&weight, &weight], &[]);
                (mean, net.op("ReduceMean", &[&square, &axes], &[int("keepdims", 0)]))
            };
            let of_mean = net.op("Mul", &[&mean, &mean], &[]);
            let variance = net.op("Sub", &[&square, &of_mean], &[]);
            let normal = net.op(
                "BatchNormalization",
                &[&weight, &scale, &shift, &mean, &variance],
                &[float("epsilon", 1e-3)],
            );
            let shape = net.ints(&[4, 3, 3, 3]);
            let kernel = net.op("Reshape", &[&normal, &shape], &[]);
            net.op("Conv", &[image, &kernel], &[])
        });
        assert_eq!(ops, ["Conv"]);
    }
}

#[test]
fn normalisations_in_training_mode_take_the_statistics_of_weights() {
    let train = |opset: i64, on_image: bool| {
        let (mut net, image) = Net::new(&[1, 2, 4, 4], 1);
        net.set_opset(opset);
        let weight = net.floats(&[1, 2, 4, 4], |x| x);
        let (one, zero) = (net.floats(&[2], |_| 1.0), net.floats(&[2], |_| 0.0));
        let data = if on_image { &image } else { &weight };
        let mode = if opset < 14 { vec![] } else { vec![int("training_mode", 1)] };
        let y = net.op("BatchNormalization", &[data, &one, &zero, &zero, &one], &mode);
        if opset < 14 {
            let outputs = ["mean", "variance", "saved_mean", "saved_variance"];
            net.node_mut(&y).output.extend(outputs.map(str::to_owned));
        }
        let sum = net.add(&image, &y);
        net.output(&sum, &[1, 2, 4, 4]);
        normalise(&net.model())
    };
    for opset in [13, 20] {
        let plain = train(opset, false).unwrap();
        assert_eq!(plain.proto().graph.node.len(), 1);
        let y = plain.proto().graph.initializer[0].raw_data.chunks_exact(4);
        let y: Vec<_> = y.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        let mean: f32 = y[..16].iter().sum::<f32>() / 16.0;
        let variance: f32 = y[..16].iter().map(|y| y * y).sum::<f32>() / 16.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
    }
    let error = train(13, true).unwrap_err().to_string();
    assert!(error.contains("training mode"), "{error}");
}
