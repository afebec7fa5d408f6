//! Layers of transformers under one gate.

use skipgate_onnx::{
    BlockKind, Error, GateSelection, GateUnit, Model, ResidualBlock, Verdict, gate, remove_blocks, ungate,
};

use BlockKind::{Attention, Layer, Perceptron};

use crate::engine;
use crate::net::{Net, ints};

const SHAPE: [i64; 4] = [1, 3, 4, 4];
const TOKENS: i64 = 16;
const FEATURES: i64 = 4;

/// What stands between both blocks of a layer, and behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing, as in `ViT`.
    Tokens,
    /// A reshape to tokens, and one back to an image with the channels last behind the second sum, as in Swin.
    Image,
    /// The same, but the next layer reads the tokens in a shape of its own.
    OtherImage,
    /// A transposition that swaps rows and columns, and nothing that swaps them back.
    Swapped,
    /// A depthwise convolution, as in `TinyViT`.
    Convolution,
}

/// Multiplies tokens with weights.
fn product(net: &mut Net, x: &str) -> String {
    let weights = net.floats(&[FEATURES, FEATURES], |r| 0.6 * r);
    net.op("MatMul", &[x, &weights], &[])
}

/// Attention over tokens in the last but one of so many axes.
fn attention(net: &mut Net, x: &str, rank: i64) -> String {
    let [query, key, value] = [0; 3].map(|_| product(net, x));
    let axes: Vec<_> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
    let key = transpose(net, &key, &axes);
    let scores = net.op("MatMul", &[&query, &key], &[]);
    let weights = net.op("Softmax", &[&scores], &[]);
    let mixed = net.op("MatMul", &[&weights, &value], &[]);
    product(net, &mixed)
}

fn perceptron(net: &mut Net, x: &str) -> String {
    let y = product(net, x);
    let y = net.relu(&y);
    product(net, &y)
}

fn reshape(net: &mut Net, x: &str, shape: &[i64]) -> String {
    let shape = net.ints(shape);
    net.op("Reshape", &[x, &shape], &[])
}

fn transpose(net: &mut Net, x: &str, axes: &[i64]) -> String {
    net.op("Transpose", &[x], &[ints("perm", axes)])
}

/// A layer of this form over `x`, which is of the shape of the form.
fn layer(net: &mut Net, x: &str, form: Form, name: Option<usize>) -> String {
    let first = net.proto().graph.node.len();
    let image = [1, 4, 4, FEATURES];
    let tokens = [1, TOKENS, FEATURES];
    let rank = if matches!(form, Form::Tokens | Form::Convolution) { 3 } else { 4 };
    let y = attention(net, x, rank);
    let mut x = net.add(x, &y);
    match form {
        Form::Tokens => {}
        Form::Image | Form::OtherImage => x = reshape(net, &x, &tokens),
        Form::Swapped => x = transpose(net, &x, &[0, 2, 1, 3]),
        Form::Convolution => {
            let y = reshape(net, &x, &image);
            let y = transpose(net, &y, &[0, 3, 1, 2]);
            let y = net.depthwise(&y, 1);
            let y = transpose(net, &y, &[0, 2, 3, 1]);
            x = reshape(net, &y, &tokens);
        }
    }
    let y = perceptron(net, &x);
    let mut x = net.add(&x, &y);
    if form == Form::Image {
        x = reshape(net, &x, &image);
    }
    if let Some(number) = name {
        net.rename_from(first, &format!("/blocks/blocks.{number}/"));
    }
    if form == Form::OtherImage {
        // Two readers, so that this is no move behind the layer.
        x = reshape(net, &x, &[1, 2, 2, 4, FEATURES]);
        x = reshape(net, &x, &image);
        x = net.relu(&x);
    }
    x
}

/// A network of three layers.
fn model(form: Form, named: bool) -> Model {
    let (mut net, image) = Net::new(&SHAPE, 3);
    let x = net.conv(&image, 4, 1, 1);
    let mut x = transpose(&mut net, &x, &[0, 2, 3, 1]);
    if matches!(form, Form::Tokens | Form::Convolution) {
        x = reshape(&mut net, &x, &[1, TOKENS, FEATURES]);
    }
    for number in 0..3 {
        x = layer(&mut net, &x, form, named.then_some(number));
    }
    let y = reshape(&mut net, &x, &[1, TOKENS * FEATURES]);
    net.output(&y, &[1, TOKENS * FEATURES]);
    net.model()
}

fn layers(model: &Model) -> Vec<ResidualBlock> {
    GateUnit::Layer.find(model).unwrap()
}

fn names(blocks: &[ResidualBlock]) -> Vec<&str> {
    blocks.iter().map(|block| block.name.as_str()).collect()
}

#[test]
fn attention_and_perceptron_become_one_block_with_the_costs_of_both() {
    for form in [Form::Tokens, Form::Image, Form::OtherImage] {
        let model = model(form, false);
        let (blocks, layers) = (GateUnit::Block.find(&model).unwrap(), layers(&model));
        assert_eq!((blocks.len(), layers.len()), (6, 3), "{form:?}");
        assert_eq!(names(&layers), ["segment0.layer0", "segment0.layer1", "segment0.layer2"]);
        assert_eq!(layers[0].verdict, Verdict::FirstOfSegment);
        assert_eq!((layers[1].kind, &layers[1].verdict), (BlockKind::Layer, &Verdict::Gated));
        for (number, layer) in layers.iter().enumerate() {
            let parts = &blocks[2 * number..2 * number + 2];
            assert_eq!(layer.macs, parts.iter().map(|part| part.macs).sum::<u64>());
            assert_eq!(layer.parameters, parts.iter().map(|part| part.parameters).sum::<u64>());
        }
    }
}

#[test]
fn what_stands_between_both_belongs_to_the_layer() {
    let model = model(Form::Convolution, false);
    let (blocks, layers) = (GateUnit::Block.find(&model).unwrap(), layers(&model));
    assert_eq!(layers.len(), 3);
    let convolution = (4 * (9 + 1), 4 * 9 * 16);
    assert_eq!(layers[1].parameters, blocks[2].parameters + blocks[3].parameters + convolution.0);
    assert_eq!(layers[1].macs, blocks[2].macs + blocks[3].macs + convolution.1);
}

#[test]
fn what_does_not_end_as_it_starts_is_no_layer() {
    let model = model(Form::Swapped, false);
    assert_eq!(layers(&model), GateUnit::Block.find(&model).unwrap());
}

#[test]
fn other_blocks_keep_gates_of_their_own() {
    let (mut net, x) = Net::new(&SHAPE, 1);
    let x = net.conv(&x, 4, 1, 1);
    let x = transpose(&mut net, &x, &[0, 2, 3, 1]);
    let mut x = reshape(&mut net, &x, &[1, TOKENS, FEATURES]);
    for attends in [false, true, true, false, false] {
        let y = if attends { attention(&mut net, &x, 3) } else { perceptron(&mut net, &x) };
        x = net.add(&x, &y);
    }
    net.output(&x, &[1, TOKENS, FEATURES]);
    let found = layers(&net.model());
    let kinds: Vec<_> = found.iter().map(|block| block.kind).collect();
    assert_eq!(kinds, [Perceptron, Attention, Layer, Perceptron]);
    let names = names(&found);
    assert_eq!(names, ["segment0.block0", "segment0.block1", "segment0.layer0", "segment0.block4"]);
}

#[test]
fn a_sum_that_is_read_elsewhere_keeps_its_layer_apart() {
    let (mut net, x) = Net::new(&SHAPE, 1);
    let x = net.conv(&x, 4, 1, 1);
    let x = transpose(&mut net, &x, &[0, 2, 3, 1]);
    let x = reshape(&mut net, &x, &[1, TOKENS, FEATURES]);
    let y = attention(&mut net, &x, 3);
    let sum = net.add(&x, &y);
    let y = perceptron(&mut net, &sum);
    let y = net.add(&sum, &y);
    let both = net.op("Mul", &[&y, &sum], &[]);
    net.output(&both, &[1, TOKENS, FEATURES]);
    let kinds: Vec<_> = layers(&net.model()).iter().map(|block| block.kind).collect();
    assert_eq!(kinds, [BlockKind::Attention, BlockKind::Perceptron]);
}

#[test]
fn the_module_around_both_gives_the_name_that_selects_and_removes() {
    let model = model(Form::OtherImage, true);
    assert_eq!(names(&layers(&model)), ["blocks.0", "blocks.1", "blocks.2"]);
    let select = |gate: &[&str], no_gate: &[&str]| {
        let patterns = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let selection = GateSelection {
            unit: GateUnit::Layer,
            gate: patterns(gate),
            no_gate: patterns(no_gate),
            ..GateSelection::default()
        };
        let gated = skipgate_onnx::gate(&model, &selection)?.gates()?;
        Ok::<_, Error>(gated.into_iter().map(|gate| gate.block).collect::<Vec<_>>())
    };
    assert_eq!(select(&["blocks.0"], &["*.2"]).unwrap(), ["blocks.0", "blocks.1"]);
    assert!(matches!(select(&["blocks.0#1"], &[]), Err(Error::UnknownBlock { .. })));
    assert!(matches!(remove_blocks(&model, &["blocks.3"]), Err(Error::UnknownBlock { .. })));
}

#[test]
fn layers_and_blocks_can_be_removed_together() {
    if !engine::is_available() {
        return;
    }
    let image = Net::new(&SHAPE, 9).0.random_values(SHAPE.iter().product());
    for form in [Form::Tokens, Form::Image, Form::OtherImage] {
        let model = model(form, true);
        let run = |names: &[&str]| engine::run(&remove_blocks(&model, names).unwrap(), &SHAPE, &image, None);
        let [found, expected, all] =
            [&["blocks.1", "blocks.2#1"][..], &["blocks.1#1", "blocks.1#2", "blocks.2#1"], &[]].map(run);
        assert!(engine::difference(&found, &expected) <= 1e-6, "{form:?}");
        assert!(engine::difference(&found, &all) > 1e-3, "{form:?}");
    }
}

#[test]
fn a_gated_layer_equals_the_model_without_its_blocks() {
    if !engine::is_available() {
        return;
    }
    let (mut net, _) = Net::new(&SHAPE, 9);
    let image = net.random_values(SHAPE.iter().product());
    let run = |model: &Model, mask: Option<&[bool]>| engine::run(model, &SHAPE, &image, mask);
    for form in [Form::Tokens, Form::Image, Form::OtherImage, Form::Convolution, Form::Swapped] {
        let model = model(form, false);
        let selection = GateSelection { unit: GateUnit::Layer, gate_first: true, ..GateSelection::default() };
        let gated = gate(&model, &selection).unwrap();
        let gates = gated.gates().unwrap();
        assert_eq!(gates.len(), if form == Form::Swapped { 6 } else { 3 }, "{form:?}");
        let blocks = GateUnit::Block.find(&model).unwrap();
        for bits in 0..1 << gates.len() {
            let mask: Vec<_> = (0..gates.len()).map(|gate| bits >> gate & 1 == 1).collect();
            let skipped =
                gates.iter().zip(&mask).filter(|(_, run)| !**run).map(|(gate, _)| gate.block.as_str());
            let found = run(&gated, Some(&mask));
            let pruned = run(&remove_blocks(&model, &skipped.collect::<Vec<_>>()).unwrap(), None);
            assert!(engine::difference(&found, &pruned) <= 1e-6, "{form:?} {mask:?}");
            let open = run(&ungate(&gated, &mask.clone().into()).unwrap(), None);
            assert!(engine::difference(&open, &pruned) <= 1e-6, "{form:?} {mask:?}");
            if matches!(form, Form::Tokens | Form::Image | Form::OtherImage) {
                // Both blocks of a layer apart give the same.
                let parts = blocks.iter().zip(0..).filter(|(_, place)| !mask[place / 2]);
                let parts: Vec<_> = parts.map(|(block, _)| block.name.as_str()).collect();
                let apart = run(&remove_blocks(&model, &parts).unwrap(), None);
                assert!(engine::difference(&found, &apart) <= 1e-6, "{form:?} {mask:?}");
            }
        }
    }
}
