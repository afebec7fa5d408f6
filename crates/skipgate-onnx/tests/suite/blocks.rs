//! Finding blocks: shortcuts, verdicts, segments, names.

use skipgate_onnx::proto::NodeProto;
use skipgate_onnx::{BlockKind, Model, ResidualBlock, Shortcut, Verdict, find_blocks};

use crate::net::{FLOAT, Net, ints, post_block, small_resnet, value_info};

fn stem() -> (Net, String) {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let x = net.conv(&x, 4, 5, 1);
    (net, x)
}

fn blocks(mut net: Net, x: &str) -> Vec<ResidualBlock> {
    net.classify(x);
    find_blocks(&net.model()).unwrap()
}

fn verdicts(blocks: &[ResidualBlock]) -> Vec<String> {
    blocks.iter().map(|block| block.verdict.to_string()).collect()
}

#[test]
fn a_post_activation_network_is_described_block_by_block() {
    let found = find_blocks(&small_resnet().model()).unwrap();
    let names: Vec<_> = found.iter().map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["segment0.block0", "segment0.block1", "segment1.block0", "segment1.block1"]);
    assert_eq!(
        verdicts(&found),
        ["skippable, but first of its segment", "skippable", "the shortcut is not the identity", "skippable"]
    );
    assert_eq!(found.iter().map(|block| block.segment).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(found[2].shortcut, Shortcut::Projection);
    assert_eq!(found[3].shape.as_deref(), Some(&[1, 8, 4, 4][..]));
    assert_eq!(found[1].macs, 2 * 4 * 8 * 8 * 4 * 9);
    assert_eq!(found[1].parameters, 2 * (4 * 4 * 9 + 4));
}

#[test]
fn the_projection_is_the_way_that_costs_less() {
    let found = find_blocks(&small_resnet().model()).unwrap();
    assert_eq!(found[2].macs, 4 * 4 * 8 * 9 * (4 + 8));
}

#[test]
fn a_run_after_a_unit_of_its_own_kind_is_gated_from_the_first_block_on() {
    let (mut net, mut x) = stem();
    for residual in [false, true, true] {
        let y = net.conv(&x, 6, 1, 1);
        let y = net.relu6(&y);
        let y = net.depthwise(&y, if residual { 1 } else { 2 });
        let y = net.relu6(&y);
        let y = net.conv(&y, 4, 1, 1);
        x = if residual { net.add(&x, &y) } else { y };
    }
    assert_eq!(verdicts(&blocks(net, &x)), ["skippable", "skippable"]);
}

#[test]
fn a_unit_that_pads_on_its_own_is_of_the_kind_of_those_that_do_not() {
    let (mut net, x) = stem();
    let y = net.conv(&x, 6, 1, 1);
    let y = net.relu6(&y);
    let pads = net.ints(&[0, 0, 0, 0, 0, 0, 1, 1]);
    let y = net.op("Pad", &[&y, &pads], &[]);
    let y = net.depthwise(&y, 2);
    let y = net.relu6(&y);
    let x = net.conv(&y, 4, 1, 1);
    let y = net.conv(&x, 6, 1, 1);
    let y = net.relu6(&y);
    let y = net.depthwise(&y, 1);
    let y = net.relu6(&y);
    let y = net.conv(&y, 4, 1, 1);
    let x = net.add(&x, &y);
    assert_eq!(verdicts(&blocks(net, &x)), ["skippable"]);
}

#[test]
fn a_shortcut_that_is_scaled_can_be_all_that_is_left() {
    let (mut net, mut x) = stem();
    for _ in 0..2 {
        let scale = net.floats(&[4, 1, 1], |x| 1.0 + x / 4.0);
        let shortcut = net.op("Mul", &[&x, &scale], &[]);
        let y = net.conv(&x, 4, 3, 1);
        x = net.add(&shortcut, &y);
    }
    let found = blocks(net, &x);
    assert_eq!(verdicts(&found), ["skippable, but first of its segment", "skippable"]);
    assert_eq!(found[1].shortcut, Shortcut::Scaled);
}

#[test]
fn a_branch_may_read_what_was_computed_before_its_block() {
    let (mut net, x) = stem();
    let memory = net.conv(&x, 4, 3, 1);
    let mut x = net.conv(&x, 4, 3, 1);
    for _ in 0..2 {
        let mixed = net.op("Mul", &[&x, &memory], &[]);
        let y = net.conv(&mixed, 4, 1, 1);
        x = net.add(&x, &y);
    }
    let found = blocks(net, &x);
    assert_eq!(verdicts(&found), ["skippable, but first of its segment", "skippable"]);
    assert_eq!(found[1].macs, 4 * 4 * 8 * 8);
}

#[test]
fn a_parameter_free_shortcut_is_told_from_a_projection() {
    let (mut net, x) = stem();
    let y = net.conv(&x, 4, 3, 1);
    let pooled = net.op("MaxPool", &[&x], &[ints("kernel_shape", &[1, 1])]);
    let sum = net.add(&pooled, &y);
    let found = blocks(net, &sum);
    assert_eq!(found[0].shortcut, Shortcut::ParameterFree);
    assert_eq!(found[0].verdict, Verdict::NotIdentity);
}

#[test]
fn additions_without_weights_or_with_constants_are_no_blocks() {
    let (mut net, x) = stem();
    let bias = net.floats(&[4, 1, 1], |r| r);
    let biased = net.add(&x, &bias);
    // The inner part of a decomposed GELU: x + c * x^3.
    let cube = net.op("Mul", &[&biased, &biased], &[]);
    let scale = net.floats(&[], |r| r);
    let cube = net.op("Mul", &[&cube, &scale], &[]);
    let sum = net.add(&biased, &cube);
    let doubled = net.add(&sum, &sum);
    assert_eq!(blocks(net, &doubled), []);
}

#[test]
fn a_broadcast_operand_is_no_residual() {
    let (mut net, x) = stem();
    let mean = net.op("GlobalAveragePool", &[&x], &[]);
    let mean = net.conv(&mean, 4, 1, 1);
    let sum = net.add(&x, &mean);
    assert_eq!(blocks(net, &sum), []);
}

#[test]
fn two_inputs_of_the_model_make_no_block() {
    let (mut net, image) = Net::new(&[1, 4, 8, 8], 1);
    let y = net.conv(&image, 4, 3, 1);
    let sum = net.add(&y, "second");
    net.classify(&sum);
    let mut proto = net.proto();
    proto.graph.as_mut().unwrap().input.push(value_info("second", FLOAT, &[1, 4, 8, 8]));
    assert_eq!(find_blocks(&Model::from_proto(proto).unwrap()).unwrap(), []);
}

#[test]
fn the_outer_of_nested_blocks_names_the_inner_one() {
    let (mut net, x) = stem();
    let inner = post_block(&mut net, &x, 4, 1);
    let y = net.conv(&inner, 4, 3, 1);
    let outer = net.add(&x, &y);
    let found = blocks(net, &outer);
    let inner = found[0].name.clone();
    assert!(found[0].verdict.is_skippable());
    assert_eq!(found[1].verdict, Verdict::Nested { inner });
    assert_ne!(found[0].name, found[1].name);
}

#[test]
fn an_inner_value_that_is_read_outside_is_named_with_its_reader() {
    let (mut net, x) = stem();
    let inner = net.conv(&x, 4, 3, 1);
    let y = net.relu(&inner);
    let sum = net.add(&x, &y);
    let both = net.op("Mul", &[&sum, &inner], &[]);
    let found = blocks(net, &both);
    assert_eq!(found[0].verdict.to_string(), format!("`node_{both}` reads its inner value `{inner}`"));
}

#[test]
fn an_inner_value_that_is_an_output_is_used_outside() {
    let (mut net, x) = stem();
    let y = net.conv(&x, 4, 3, 1);
    net.output(&y, &[1, 4, 8, 8]);
    let sum = net.add(&x, &y);
    let found = blocks(net, &sum);
    assert_eq!(found[0].verdict, Verdict::UsedOutside { value: y.clone(), reader: y });
}

#[test]
fn a_shape_computed_inside_belongs_to_the_block() {
    let (mut net, x) = stem();
    let y = net.conv(&x, 4, 3, 1);
    let shape = net.op("Shape", &[&y], &[]);
    let y = net.op("Reshape", &[&y, &shape], &[]);
    let sum = net.add(&x, &y);
    assert_eq!(verdicts(&blocks(net, &sum)), ["skippable, but first of its segment"]);
}

#[test]
fn a_block_of_unknown_type_cannot_be_gated() {
    let (mut net, x) = stem();
    let x = net.op("Novelty", &[&x], &[]);
    let y = net.conv(&x, 4, 3, 1);
    let sum = net.add(&x, &y);
    assert_eq!(blocks(net, &sum)[0].verdict, Verdict::UnknownType);
}

#[test]
fn an_operator_between_blocks_ends_the_segment_but_an_activation_does_not() {
    let (mut net, x) = stem();
    let block = |net: &mut Net, x: &str| {
        let y = net.conv(x, 4, 3, 1);
        net.add(x, &y)
    };
    let x = block(&mut net, &x);
    let x = net.op("LeakyRelu", &[&x], &[]);
    let x = block(&mut net, &x);
    let gate = net.op("Sigmoid", &[&x], &[]);
    let x = net.op("Mul", &[&x, &gate], &[]);
    let x = block(&mut net, &x);
    let x = net.op("Softmax", &[&x], &[]);
    let x = block(&mut net, &x);
    let found = blocks(net, &x);
    assert_eq!(found.iter().map(|block| block.segment).collect::<Vec<_>>(), [0, 0, 0, 1]);
}

#[test]
fn what_is_no_layer_of_its_own_may_stand_between_blocks() {
    let (mut net, x) = stem();
    let block = |net: &mut Net, x: &str| {
        let y = net.conv(x, 4, 3, 1);
        net.add(x, &y)
    };
    let x = block(&mut net, &x);
    let x = net.norm(&x);
    let x = block(&mut net, &x);
    let scale = net.floats(&[4, 1, 1], |r| r);
    let x = net.op("Mul", &[&x, &scale], &[]);
    let x = block(&mut net, &x);
    let flat = net.ints(&[1, 4, 64]);
    let x = net.op("Reshape", &[&x, &flat], &[]);
    let x = net.op("Transpose", &[&x], &[ints("perm", &[0, 2, 1])]);
    let weights = net.floats(&[4, 4], |r| r);
    let y = net.op("MatMul", &[&x, &weights], &[]);
    let x = net.add(&x, &y);
    let expected = ["skippable, but first of its segment", "skippable", "skippable", "skippable"];
    net.output(&x, &[1, 64, 4]);
    let found = find_blocks(&net.model()).unwrap();
    assert_eq!(verdicts(&found), expected);
    assert_eq!([found[2].kind, found[3].kind], [BlockKind::Convolution, BlockKind::Perceptron]);
}

#[test]
fn a_convolution_between_blocks_ends_the_segment_where_it_changes_the_shape() {
    let (mut net, mut x) = stem();
    for channels in [4, 4, 8, 8] {
        let y = net.depthwise(&x, 1);
        let sum = net.add(&x, &y);
        x = net.conv(&sum, channels, 1, 1);
    }
    let found = blocks(net, &x);
    assert_eq!(found.iter().map(|block| block.segment).collect::<Vec<_>>(), [0, 0, 0, 1]);
    let first = "skippable, but first of its segment";
    assert_eq!(verdicts(&found), [first, "skippable", "skippable", first]);
}

#[test]
fn two_branches_and_the_input_are_a_block_in_one_sum_or_in_two() {
    for in_one_sum in [true, false] {
        let (mut net, mut x) = stem();
        for _ in 0..2 {
            let (a, b) = (net.conv(&x, 4, 3, 1), net.conv(&x, 4, 1, 1));
            x = if in_one_sum {
                net.op("Sum", &[&a, &x, &b], &[])
            } else {
                let both = net.add(&a, &b);
                net.add(&both, &x)
            };
        }
        let found = blocks(net, &x);
        let gated = found.iter().filter(|block| block.verdict == Verdict::Gated).count();
        let first = found.iter().filter(|block| block.verdict == Verdict::FirstOfSegment).count();
        assert_eq!((gated, first), (1, 1), "{found:?}");
    }
}

#[test]
fn a_mixer_that_pools_is_a_branch_without_weights() {
    let (mut net, mut x) = stem();
    for _ in 0..2 {
        let window = [ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])];
        let y = net.op("AveragePool", &[&x], &window);
        let y = net.op("Sub", &[&y, &x], &[]);
        x = net.add(&x, &y);
    }
    let found = blocks(net, &x);
    assert_eq!(verdicts(&found), ["skippable, but first of its segment", "skippable"]);
    assert_eq!((found[1].kind, found[1].macs, found[1].parameters), (BlockKind::Pooling, 0, 0));
}

#[test]
fn an_input_that_is_read_in_two_shapes_is_one_value() {
    let (mut net, x) = stem();
    let (image, rows) = (net.ints(&[1, 4, 8, 8]), net.ints(&[1, 4, 64]));
    let mut x = net.op("Reshape", &[&x, &rows], &[]);
    for _ in 0..2 {
        let y = net.op("Reshape", &[&x, &image], &[]);
        let z = net.op("Reshape", &[&y, &rows], &[]);
        let weights = net.floats(&[64, 64], |r| r);
        let z = net.op("MatMul", &[&z, &weights], &[]);
        let z = net.op("Reshape", &[&z, &image], &[]);
        let y = net.add(&y, &z);
        x = net.op("Reshape", &[&y, &rows], &[]);
    }
    net.output(&x, &[1, 4, 64]);
    let found = find_blocks(&net.model()).unwrap();
    assert_eq!(verdicts(&found), ["skippable, but first of its segment", "skippable"]);
}

#[test]
fn the_modules_of_torch_give_the_names() {
    let net = small_resnet();
    let rename =
        |node: &mut NodeProto, name: &str| node.name = format!("/layer1/layer1.{name}/{}", node.op_type);
    let mut proto = net.proto();
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    nodes[2..7].iter_mut().for_each(|node| rename(node, "0"));
    nodes[7..12].iter_mut().for_each(|node| rename(node, "1"));
    let found = find_blocks(&Model::from_proto(proto).unwrap()).unwrap();
    let names: Vec<_> = found.iter().map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["layer1.0", "layer1.1", "segment1.block0", "segment1.block1"]);
}
