//! Shape inference, operator by operator.

use skipgate_onnx::proto::AttributeProto;
use skipgate_onnx::{Excerpt, TensorType, find_excerpts, infer_shapes};

use crate::net::{self, FLOAT, INT64, Net, int, ints, text};

const IMAGE: [i64; 4] = [1, 6, 9, 8];

/// Type of `op_type` on an image of shape [`IMAGE`], constants and attributes.
fn infer(op_type: &str, constants: &[&[i64]], attributes: &[AttributeProto]) -> Result<TensorType, String> {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let constants: Vec<_> = constants.iter().map(|values| net.ints(values)).collect();
    let inputs: Vec<_> = [image.as_str()].into_iter().chain(constants.iter().map(String::as_str)).collect();
    let y = net.op(op_type, &inputs, attributes);
    infer_shapes(&net.model()).map(|mut types| types.remove(&y).unwrap()).map_err(|error| error.to_string())
}

fn shape(op_type: &str, constants: &[&[i64]], attributes: &[AttributeProto]) -> Vec<usize> {
    infer(op_type, constants, attributes).unwrap().static_shape().unwrap()
}

fn with_weight(op_type: &str, weight: &[i64], attributes: &[AttributeProto]) -> Result<Vec<usize>, String> {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let weight = net.floats(weight, |r| r);
    let y = net.op(op_type, &[&image, &weight], attributes);
    let types = infer_shapes(&net.model()).map_err(|error| error.to_string())?;
    Ok(types[&y].static_shape().unwrap())
}

#[test]
fn sizes_that_are_computed_with_floats_are_known() {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let number = |net: &mut Net, value: f32| net.floats(&[1], move |_| value);
    let (zero, two) = (number(&mut net, 0.0), number(&mut net, 2.0));
    let below = number(&mut net, -3.5);
    let ceil = net.op("Ceil", &[&below], &[]);
    let clipped = net.op("Clip", &[&ceil, &zero, ""], &[]);
    let at_most = net.op("Clip", &[&two, "", &zero], &[]);
    let batch = net.op("Add", &[&clipped, &at_most], &[]);
    let batch = net.op("Max", &[&batch, &two], &[]);
    let batch = net.op("Div", &[&batch, &two], &[]);
    let six = number(&mut net, 36.4);
    let six = net.op("Round", &[&six], &[]);
    let six = net.op("Sqrt", &[&six], &[]);
    let rest = number(&mut net, -72.0);
    let rest = net.op("Neg", &[&rest], &[]);
    let shape = net.op("Concat", &[&batch, &six, &rest], &[int("axis", 0)]);
    let shape = net.op("Cast", &[&shape], &[int("to", 7)]);
    let y = net.op("Reshape", &[&image, &shape], &[]);
    let types = infer_shapes(&net.model()).unwrap();
    assert_eq!(types[&y].static_shape().unwrap(), [1, 6, 72]);
}

#[test]
fn windows_slide_as_their_attributes_say() {
    let pads = ints("pads", &[1, 1, 1, 1]);
    let strided = [pads.clone(), ints("strides", &[2, 2])];
    assert_eq!(with_weight("Conv", &[4, 6, 3, 3], &strided).unwrap(), [1, 4, 5, 4]);
    assert_eq!(with_weight("Conv", &[6, 1, 3, 3], &[int("group", 6)]).unwrap(), [1, 6, 7, 6]);
    assert_eq!(with_weight("Conv", &[4, 6, 3, 3], &[ints("dilations", &[2, 3])]).unwrap(), [1, 4, 5, 2]);
    let same = [text("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])];
    assert_eq!(with_weight("Conv", &[4, 6, 3, 3], &same).unwrap(), [1, 4, 5, 4]);
    let transposed = [ints("strides", &[2, 2]), ints("output_padding", &[1, 1]), pads.clone()];
    assert_eq!(with_weight("ConvTranspose", &[6, 4, 3, 3], &transposed).unwrap(), [1, 4, 18, 16]);
    let kernel = ints("kernel_shape", &[2, 2]);
    let halved = [kernel.clone(), ints("strides", &[2, 2])];
    assert_eq!(shape("MaxPool", &[], &halved), [1, 6, 4, 4]);
    assert_eq!(shape("AveragePool", &[], &[&halved[..], &[int("ceil_mode", 1)]].concat()), [1, 6, 5, 4]);
    // The window that would start in the padding at the end does not count.
    let edge = [kernel, ints("strides", &[2, 2]), ints("pads", &[0, 0, 1, 1]), int("ceil_mode", 1)];
    assert_eq!(shape("MaxPool", &[], &edge), [1, 6, 5, 4]);
    assert_eq!(shape("GlobalAveragePool", &[], &[]), [1, 6, 1, 1]);
}

#[test]
fn layouts_change_as_their_operands_say() {
    assert_eq!(shape("Flatten", &[], &[]), [1, 432]);
    assert_eq!(shape("Flatten", &[], &[int("axis", 4)]), [432, 1]);
    assert_eq!(shape("Reshape", &[&[0, -1, 4]], &[]), [1, 108, 4]);
    assert_eq!(shape("Transpose", &[], &[ints("perm", &[0, 2, 3, 1])]), [1, 9, 8, 6]);
    assert_eq!(shape("Squeeze", &[&[0]], &[]), [6, 9, 8]);
    assert_eq!(shape("Squeeze", &[], &[ints("axes", &[-4])]), [6, 9, 8]);
    assert_eq!(shape("Unsqueeze", &[&[0, -1]], &[]), [1, 1, 6, 9, 8, 1]);
    assert_eq!(shape("Pad", &[&[0, 2, 0, 0, 0, 3, -1, 0]], &[]), [1, 11, 8, 8]);
    assert_eq!(shape("Slice", &[&[0, -2], &[i64::MAX, i64::MIN], &[2, 3], &[2, -3]], &[]), [1, 6, 5, 3]);
    assert_eq!(shape("Gather", &[&[0, 2]], &[int("axis", 1)]), [1, 2, 9, 8]);
    assert_eq!(shape("Expand", &[&[5, 1, 6, 1, 1]], &[]), [5, 1, 6, 9, 8]);
    assert_eq!(shape("Tile", &[&[2, 1, 1, 3]], &[]), [2, 6, 9, 24]);
    assert_eq!(shape("ReduceMean", &[&[2, 3]], &[int("keepdims", 0)]), [1, 6]);
    assert_eq!(shape("ReduceMean", &[], &[ints("axes", &[-1])]), [1, 6, 9, 1]);
    assert_eq!(shape("ReduceSum", &[], &[int("noop_with_empty_axes", 1)]), [1, 6, 9, 8]);
    assert_eq!(shape("Shape", &[], &[int("start", 1)]), [3]);
    assert_eq!(infer("Shape", &[], &[]).unwrap().element_type, INT64);
    assert_eq!(infer("Cast", &[], &[int("to", 10)]).unwrap().element_type, 10);
}

#[test]
fn matrix_products_follow_numpy() {
    for (a, b, y) in [
        (&[2, 3][..], &[3, 4][..], &[2, 4][..]),
        (&[5, 1, 2, 3], &[7, 3, 4], &[5, 7, 2, 4]),
        (&[3], &[3, 4], &[4]),
        (&[2, 3], &[3], &[2]),
        (&[3], &[3], &[]),
    ] {
        let (mut net, _) = Net::new(&IMAGE, 0);
        let (a, b) = (net.floats(a, |r| r), net.floats(b, |r| r));
        let product = net.op("MatMul", &[&a, &b], &[]);
        assert_eq!(infer_shapes(&net.model()).unwrap()[&product].static_shape().unwrap(), y);
    }
}

#[test]
fn every_part_of_a_split_is_typed() {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let first = net.op("Split", &[&image], &[int("axis", 2), int("num_outputs", 2)]);
    net.node_mut(&first).output.push("second".into());
    let types = infer_shapes(&net.model()).unwrap();
    assert_eq!(types[&first].static_shape().unwrap(), [1, 6, 5, 8]);
    assert_eq!(types["second"].static_shape().unwrap(), [1, 6, 4, 8]);
}

#[test]
fn a_reshape_to_a_computed_shape_resolves() {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let shape = net.op("Shape", &[&image], &[]);
    let zero = net.ints(&[0]);
    let batch = net.op("Gather", &[&shape, &zero], &[]);
    let rest = net.ints(&[-1]);
    let wanted = net.op("Concat", &[&batch, &rest], &[int("axis", 0)]);
    let y = net.op("Reshape", &[&image, &wanted], &[]);
    assert_eq!(infer_shapes(&net.model()).unwrap()[&y].static_shape().unwrap(), [1, 432]);
}

/// The pads that torch computes with a reshape, a backward slice and a transpose when it exports `F.pad`.
#[test]
fn pads_computed_from_constants_resolve() {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let by_axis_from_the_last = net.ints(&[0, 0, 0, 0, 2, 3, 0, 0]);
    let pairs = net.ints(&[-1, 2]);
    let x = net.op("Reshape", &[&by_axis_from_the_last, &pairs], &[]);
    let (start, end, axis, step) =
        (net.ints(&[-1]), net.ints(&[i64::MIN + 1]), net.ints(&[0]), net.ints(&[-1]));
    let x = net.op("Slice", &[&x, &start, &end, &axis, &step], &[]);
    let x = net.op("Transpose", &[&x], &[ints("perm", &[1, 0])]);
    let flat = net.ints(&[-1]);
    let x = net.op("Reshape", &[&x, &flat], &[]);
    let pads = net.op("Cast", &[&x], &[int("to", INT64.into())]);
    let y = net.op("Pad", &[&image, &pads], &[]);
    assert_eq!(infer_shapes(&net.model()).unwrap()[&y].static_shape().unwrap(), [1, 11, 9, 8]);
}

#[test]
fn a_symbolic_batch_is_one_image() {
    let (mut net, image) = Net::new(&[-1, 3, 8, 8], 0);
    let y = net.conv(&image, 4, 3, 2);
    assert_eq!(infer_shapes(&net.model()).unwrap()[&y].static_shape().unwrap(), [1, 4, 4, 4]);
}

#[test]
fn an_unknown_operator_is_typed_by_the_file() {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let y = net.op("Novelty", &[&image], &[]);
    let z = net.relu(&y);
    assert!(!infer_shapes(&net.model()).unwrap().contains_key(&z));
    let mut proto = net.proto();
    proto.graph.as_mut().unwrap().value_info.push(net::value_info(&y, FLOAT, &[1, 2]));
    let model = skipgate_onnx::Model::from_proto(proto).unwrap();
    assert_eq!(infer_shapes(&model).unwrap()[&z].static_shape().unwrap(), [1, 2]);
}

#[test]
fn broken_rules_name_the_node_and_what_is_wrong() {
    let message = |result: Result<Vec<usize>, String>| result.unwrap_err();
    let groups = message(with_weight("Conv", &[4, 5, 3, 3], &[]));
    assert_eq!(
        groups,
        "node `node_conv_2` (Conv): expected an image and a kernel for 1 groups, found [1, 6, 9, 8] and [4, 5, 3, 3]"
    );
    assert!(
        message(with_weight("Conv", &[4, 6, 3, 3], &[ints("strides", &[0, 1])]))
            .contains("`strides` should be")
    );
    assert!(message(with_weight("Conv", &[4, 6, 19, 3], &[])).contains("as large as the kernel"));
    let error = |op, constants: &[&[i64]], attributes: &[_]| infer(op, constants, attributes).unwrap_err();
    assert!(error("MaxPool", &[], &[]).contains("the attribute `kernel_shape` is missing"));
    assert!(error("Reshape", &[&[5, -1]], &[]).contains("expected the elements of [1, 6, 9, 8]"));
    assert!(error("Reshape", &[&[-1, -1]], &[]).contains("expected the elements of"));
    assert!(error("Transpose", &[], &[ints("perm", &[0, 1, 2, 2])]).contains("a permutation"));
    assert!(error("Squeeze", &[&[1]], &[]).contains("1 along the axes [1]"));
    assert!(error("Concat", &[], &[]).contains("the attribute `axis` is missing"));
    assert!(error("Flatten", &[], &[int("axis", 5)]).contains("an axis of 4 dimensions"));
    assert!(error("Cast", &[], &[text("to", "float")]).contains("`to` should be an integer"));
    assert!(error("Expand", &[&[7, 9, 8]], &[]).contains("shapes that broadcast"));
}

#[test]
fn a_shortcut_without_weights_is_one_excerpt() {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let [starts, ends, columns, rows, steps, pads] =
        [&[1][..], &[9], &[3], &[2], &[2], &[0, 3, 0, 0, 0, 2, 0, 0]].map(|values| net.ints(values));
    let halved = net.op("Slice", &[&image, &starts, &ends, &columns, &steps], &[]);
    let quartered = net.op("Slice", &[&halved, &starts, &ends, &rows, &steps], &[]);
    let padded = net.op("Pad", &[&quartered, &pads], &[]);
    let again = net.op("Slice", &[&padded, &starts, &ends, &rows], &[]);
    let excerpts = find_excerpts(&net.model()).unwrap();
    let expected = Excerpt {
        source: image,
        starts: vec![0, 0, 1, 1],
        steps: vec![1, 1, 2, 2],
        sizes: vec![1, 6, 4, 4],
        low: vec![0, 3, 0, 0],
        high: vec![0, 2, 0, 0],
    };
    assert_eq!(excerpts[&padded], expected);
    // Zeros cannot be cut: what is taken of them begins anew.
    assert_eq!((&excerpts[&again].source, &excerpts[&again].starts[..]), (&padded, &[0, 0, 1, 0][..]));
}

#[test]
fn what_is_taken_backwards_or_padded_with_anything_else_is_no_excerpt() {
    let (mut net, image) = Net::new(&IMAGE, 0);
    let [starts, ends, axes, steps, pads] =
        [&[7][..], &[0], &[3], &[-1], &[1; 8]].map(|values| net.ints(values));
    let backwards = net.op("Slice", &[&image, &starts, &ends, &axes, &steps], &[]);
    let mirrored = net.op("Pad", &[&image, &pads], &[text("mode", "reflect")]);
    let excerpts = find_excerpts(&net.model()).unwrap();
    assert!(!excerpts.contains_key(&backwards) && !excerpts.contains_key(&mirrored));
}

/// Sizes near the ends of the number ranges, in every operator that computes with them.
#[test]
fn absurd_sizes_are_errors_and_no_overflow() {
    let (low, high) = (i64::MIN, i64::MAX);
    let window = |name, values: &[i64]| with_weight("Conv", &[4, 6, 3, 3], &[ints(name, values)]);
    assert!(window("pads", &[high, high, high, high]).is_err_and(|e| e.contains("too large")));
    assert!(window("pads", &[low, low, low, low]).is_err());
    assert!(window("dilations", &[high, high]).is_err());
    assert_eq!(window("strides", &[high, high]).unwrap(), [1, 4, 1, 1]);
    assert!(infer("Pad", &[&[high; 8]], &[]).is_err());
    assert!(infer("Tile", &[&[high; 4]], &[]).is_err());
    assert!(infer("Reshape", &[&[high, high]], &[]).is_err());
    assert!(infer("Flatten", &[], &[int("axis", low)]).is_err());
    assert!(infer("Unsqueeze", &[&[high]], &[]).is_err());
    assert!(infer("Gather", &[&[high]], &[int("axis", low)]).is_err());
    assert!(infer("DepthToSpace", &[], &[int("blocksize", high)]).is_err());
    assert_eq!(shape("Slice", &[&[high], &[low], &[3], &[low]], &[]), [1, 6, 9, 1]);
    assert_eq!(shape("Slice", &[&[low], &[high], &[3], &[high]], &[]), [1, 6, 9, 1]);
    assert_eq!(shape("Expand", &[&[high, 1, 1, 1]], &[])[0], usize::try_from(high).unwrap());
}
