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
