//! Operators that take elements from computed places, against ONNX Runtime.

use skipgate_onnx::proto::AttributeProto;

use crate::net::{float, int, ints, text};
use crate::written_out::{compare, int64s};

#[test]
fn regions_are_sampled_in_all_modes() {
    for opset in [10, 16] {
        for mode in ["avg", "max"] {
            for (coordinates, grid, scale) in
                [(None, 2, 1.0), (Some("half_pixel"), 3, 0.5), (Some("output_half_pixel"), 1, 2.0)]
            {
                let coordinates = coordinates.filter(|_| opset > 10);
                compare(opset, &[2, 3, 6, 5], "RoiAlign", |net, image| {
                    // Some of them reach out of the image, one has no size.
                    let corners =
                        [0.0, 0.0, 4.0, 5.0, -3.0, -1.0, 3.0, 9.0, 1.5, 2.5, 1.5, 2.5, 7.0, 7.0, 9.0, 9.0];
                    let bytes: Vec<_> =
                        corners.iter().flat_map(|corner: &f32| corner.to_le_bytes()).collect();
                    let regions = net.bytes(1, &[4, 4], &bytes);
                    let images = int64s(net, &[4], &[0, 1, 1, 0]);
                    let mut attributes = vec![
                        text("mode", mode),
                        int("output_height", 3),
                        int("output_width", 2),
                        int("sampling_ratio", grid),
                        float("spatial_scale", scale),
                    ];
                    attributes.extend(coordinates.map(|name| text("coordinate_transformation_mode", name)));
                    net.op("RoiAlign", &[image, &regions, &images], &attributes)
                });
            }
        }
    }
}

#[test]
fn filters_are_moved_apart() {
    let convolve =
        |opset, groups: i64, offset_groups: i64, with_mask: bool, more: &[AttributeProto], size: [i64; 2]| {
            compare(opset, &[2, 4, 6, 5], "DeformConv", |net, image| {
                let [tall, wide] = size;
                let filters = net.floats(&[6, 4 / groups, 2, 3], |x| x);
                let offsets = net.floats(&[2, offset_groups * 2 * 6, tall, wide], |x| 3.0 * x);
                let bias = net.floats(&[6], |x| x);
                let mut inputs = vec![image.to_owned(), filters, offsets, bias];
                if with_mask {
                    inputs.push(net.floats(&[2, offset_groups * 6, tall, wide], |x| x));
                }
                let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
                let groups = [int("group", groups), int("offset_group", offset_groups)];
                net.op("DeformConv", &inputs, &[&groups, more].concat())
            });
        };
    convolve(19, 1, 1, false, &[], [5, 3]);
    convolve(22, 2, 1, true, &[ints("pads", &[1, 1, 1, 1])], [7, 5]);
    convolve(22, 1, 2, true, &[ints("strides", &[2, 1]), ints("pads", &[0, 2, 1, 0])], [3, 5]);
    convolve(22, 2, 4, false, &[ints("dilations", &[3, 2]), ints("pads", &[1, 0, 1, 1])], [5, 2]);
}

#[test]
fn caches_take_new_elements_at_places_of_their_own() {
    for (mode, length, places) in [("linear", 1, [3, 0]), ("linear", 3, [1, 2]), ("circular", 3, [4, 1])] {
        for axis in [-2, 1] {
            compare(24, &[2, 5, 5, 3], "TensorScatter", |net, image| {
                let dims = if axis == 1 { [2, length, 5, 3] } else { [2, 5, length, 3] };
                let update = net.floats(&dims, |x| x);
                let places = int64s(net, &[2], &places);
                let attributes = [text("mode", mode), int("axis", axis)];
                net.op("TensorScatter", &[image, &update, &places], &attributes)
            });
        }
    }
    compare(24, &[2, 5, 3], "TensorScatter", |net, image| {
        let update = net.floats(&[2, 2, 3], |x| x);
        net.op("TensorScatter", &[image, &update], &[])
    });
}

#[test]
fn maxima_go_back_to_where_they_were() {
    for (opset, shape, attributes) in [
        (11, [2, 3, 6, 8], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
        (
            11,
            [2, 3, 7, 8],
            vec![ints("kernel_shape", &[3, 2]), ints("strides", &[2, 3]), ints("pads", &[1, 0, 1, 0])],
        ),
    ] {
        compare(opset, &shape, "MaxUnpool", |net, image| {
            let pooled = net.op("MaxPool", &[image], &attributes);
            net.node_mut(&pooled).output.push("places".into());
            net.op("MaxUnpool", &[&pooled, "places"], &attributes)
        });
    }
}

#[test]
fn indices_of_maxima_count_over_the_whole_input() {
    let read = |shape: &[i64], attributes: &[AttributeProto]| {
        compare(22, shape, "none", |net, image| {
            let pooled = net.op("MaxPool", &[image], attributes);
            net.node_mut(&pooled).output.push("places".into());
            net.op("Cast", &["places"], &[int("to", 1)])
        });
    };
    let kernel = ints("kernel_shape", &[3, 2]);
    read(&[2, 3, 7, 6], std::slice::from_ref(&kernel));
    read(&[2, 3, 7, 6], &[kernel.clone(), ints("pads", &[1, 1, 2, 0]), ints("strides", &[2, 3])]);
    read(
        &[1, 2, 7, 6],
        &[kernel.clone(), int("ceil_mode", 1), ints("strides", &[3, 3]), ints("dilations", &[2, 2])],
    );
    read(&[2, 2, 5, 4], &[kernel, int("storage_order", 1)]);
    read(&[2, 2, 9], &[ints("kernel_shape", &[4]), ints("strides", &[2])]);
}

#[test]
fn parts_of_batches_are_turned_round() {
    for (opset, time) in [(10, 0), (10, 1)] {
        compare(opset, &[4, 4, 3], "ReverseSequence", |net, image| {
            let lengths = int64s(net, &[4], &[1, 4, 0, 3]);
            net.op(
                "ReverseSequence",
                &[image, &lengths],
                &[int("time_axis", time), int("batch_axis", 1 - time)],
            )
        });
    }
}

#[test]
fn slices_go_backwards() {
    for (start, end, step) in [(-1, i64::MIN, -1), (20, 0, -3), (3, 1, -2)] {
        let found = compare(13, &[6, 7], "none", |net, image| {
            let (starts, ends) = (net.ints(&[start, 1]), net.ints(&[end, 6]));
            let (axes, steps) = (net.ints(&[0, 1]), net.ints(&[step, 2]));
            net.op("Slice", &[image, &starts, &ends, &axes, &steps], &[])
        });
        assert_eq!(found, ["Gather", "Slice"]);
    }
}

#[test]
fn the_largest_and_the_smallest_of_several_updates_stay() {
    for reduction in ["max", "min"] {
        for axis in [0, 1] {
            let found = compare(18, &[3, 4], "none", |net, image| {
                let places = int64s(net, &[2, 3], &[1, 1, 0, 1, 2, -1]);
                let updates = net.floats(&[2, 3], |x| x);
                let attributes = [text("reduction", reduction), int("axis", axis)];
                net.op("ScatterElements", &[image, &places, &updates], &attributes)
            });
            assert!(
                found.contains(&(if reduction == "max" { "Max" } else { "Min" }).to_owned()),
                "{found:?}"
            );
        }
    }
}
