//! Small networks that version 0.1 compiled to wrong results or refused, each under every mask, on this machine and on
//! the board, against ONNX Runtime.

use std::env;

use skipgate_core::{CostlyGate, GateForm, Target};
use skipgate_fuzz::net::{Net, Value, Window, int, ints, signed_int, text};
use skipgate_fuzz::{Checker, Outcome};
use skipgate_iree::{Build, Compiler, Gating, Source};
use skipgate_onnx::{GateSelection, GateUnit, Model};

/// Everything that this machine can run.
fn targets() -> Vec<String> {
    let mut targets = vec!["host".to_owned()];
    if env::var_os("SKIPGATE_BOARD_PROGRAM").is_some() {
        targets.push(BOARD.to_owned());
    } else {
        eprintln!("not on the board: SKIPGATE_BOARD_PROGRAM is not set; `cargo xtask test` sets it");
    }
    targets
}

const BOARD: &str = "odroid-xu4";

/// What becomes of `model` on `targets`; `None` where there is no ONNX Runtime.
fn outcome(model: &Model, gating: &Gating, targets: &[String]) -> Option<Outcome> {
    if env::var_os("ORT_DYLIB_PATH").is_none() {
        eprintln!("skipped: ORT_DYLIB_PATH does not name ONNX Runtime's shared library");
        return None;
    }
    Some(Checker::new(targets).unwrap().check(model, gating))
}

/// With `expected` gates by default, every mask gives what ONNX Runtime computes.
fn assert_equal(model: &Model, expected: usize) {
    let gating = if expected == 0 {
        Gating::Ungated { remove: Vec::new() }
    } else {
        Gating::Selected(GateSelection::default())
    };
    match outcome(model, &gating, &targets()) {
        None => {}
        Some(Outcome::Equal { gates, .. }) => assert_eq!(gates, expected),
        Some(other) => panic!("{other}"),
    }
}

const SHAPE: [usize; 4] = [1, 3, 16, 16];

fn conv(net: &mut Net, x: &Value, filters: usize, taps: usize, stride: usize) -> Value {
    net.conv(x, filters, &Window::strided(taps, stride), 1, true)
}

fn relu(net: &mut Net, x: &Value) -> Value {
    net.map("Relu", &[x], vec![])
}

fn stem(channels: usize) -> (Net, Value) {
    let (mut net, image) = Net::new(17, &SHAPE);
    let x = conv(&mut net, &image, channels, 3, 1);
    let x = relu(&mut net, &x);
    (net, x)
}

/// `Relu(x + F(x))` with two convolutions.
fn block(net: &mut Net, x: &Value) -> Value {
    let f = conv(net, x, x.shape[1], 3, 1);
    let f = relu(net, &f);
    let f = conv(net, &f, x.shape[1], 3, 1);
    let sum = net.binary("Add", x, &f);
    relu(net, &sum)
}

/// Ends with a classifier of ten classes.
fn classify(mut net: Net, x: &Value) -> Model {
    let y = pooled(&mut net, x);
    let y = net.matmul(&y, 10);
    net.output(&y);
    net.model().unwrap()
}

fn pooled(net: &mut Net, x: &Value) -> Value {
    let channels = x.shape[1];
    let y = net.op("GlobalAveragePool", &[x], vec![], &[1, channels, 1, 1]);
    net.op("Flatten", &[&y], vec![int("axis", 1)], &[1, channels])
}

#[test]
fn the_input_of_a_gated_block_is_read_again_beside_its_output() {
    let (mut net, x) = stem(16);
    let x = block(&mut net, &x);
    let y = block(&mut net, &x);
    let both = net.concat(&[&y, &x], 1);
    assert_equal(&classify(net, &both), 1);
}

#[test]
fn blocks_are_aggregated_as_in_dla() {
    let (mut net, x) = stem(16);
    let x = block(&mut net, &x);
    let y = block(&mut net, &x);
    let both = net.concat(&[&y, &x], 1);
    let y = conv(&mut net, &both, 16, 1, 1);
    let y = relu(&mut net, &y);
    assert_equal(&classify(net, &y), 1);
}

#[test]
fn every_block_of_a_chain_is_read_again_as_in_c2f() {
    let (mut net, x) = stem(32);
    let mut parts = net.split(&x, 1, &[16, 16]);
    for _ in 0..3 {
        let y = block(&mut net, &parts[parts.len() - 1].clone());
        parts.push(y);
    }
    let every = net.concat(&parts.iter().collect::<Vec<_>>(), 1);
    let y = conv(&mut net, &every, 16, 1, 1);
    assert_equal(&classify(net, &y), 2);
}

fn perceptron(activation: &str) -> Model {
    let (mut net, image) = Net::new(17, &[1, 8]);
    let product = |net: &mut Net, x: &Value, features: usize| {
        let weights = net.weights(&[8, features], 8);
        let bias = net.noise(&[features], 0.0, 0.5);
        net.op("Gemm", &[x, &weights, &bias], vec![], &[1, features])
    };
    let mut x = net.op("Flatten", &[&image], vec![int("axis", 1)], &[1, 8]);
    for _ in 0..4 {
        let f = product(&mut net, &x, 8);
        let f = relu(&mut net, &f);
        let f = net.matmul(&f, 8);
        let sum = net.binary("Add", &f, &x);
        x = net.map(activation, &[&sum], vec![]);
    }
    let y = product(&mut net, &x, 5);
    net.output(&y);
    net.model().unwrap()
}

#[test]
fn a_perceptron_keeps_its_activations_outside_of_the_gates() {
    assert_equal(&perceptron("Elu"), 3);
}

#[test]
fn a_perceptron_has_its_activations_inside_of_the_gates() {
    assert_equal(&perceptron("Relu"), 3);
}

#[test]
fn an_image_is_enlarged_beside_what_it_was() {
    for (mode, coordinates) in [("nearest", "asymmetric"), ("linear", "half_pixel")] {
        let (mut net, x) = stem(16);
        let x = block(&mut net, &x);
        let y = conv(&mut net, &x, 16, 3, 2);
        let y = block(&mut net, &y);
        let y = block(&mut net, &y);
        let y = net.enlarge(&y, mode, coordinates);
        let both = net.concat(&[&y, &x], 1);
        assert_equal(&classify(net, &both), 1);
    }
}

/// A `Where` on constant booleans, such as the mask of attention that looks back only.
#[test]
fn a_constant_of_booleans_chooses_elements() {
    for columns in [3, 8, 12] {
        let (mut net, image) = Net::new(17, &[1, 4, 5, columns]);
        let places: Vec<_> =
            (0..5 * columns).map(|place| u8::from(place % 3 == 0 || place % 7 == 2)).collect();
        let choice = net.bools(&[5, columns], &places);
        let zero = net.scalar(0.0);
        let y = net.op("Where", &[&choice, &image, &zero], vec![], &[1, 4, 5, columns]);
        net.output(&y);
        assert_equal(&net.model().unwrap(), 0);
    }
}

#[test]
fn the_first_channels_of_a_layer_without_a_kernel_are_taken() {
    for keeps in [[4, 6], [2, 8]] {
        let (mut net, image) = Net::new(17, &SHAPE);
        let x = conv(&mut net, &image, 10, 3, 1);
        let x = relu(&mut net, &x);
        let parts = net.split(&x, 1, &keeps);
        net.output(&parts[0]);
        assert_equal(&net.model().unwrap(), 0);
    }
}

#[test]
fn a_rounded_value_runs_everywhere() {
    let (mut net, x) = stem(5);
    let (scale, zero) = (net.scalar(0.05), net.byte(3));
    let whole = net.op("QuantizeLinear", &[&x, &scale, &zero], vec![], &x.shape);
    let rounded = net.op("DequantizeLinear", &[&whole, &scale, &zero], vec![], &x.shape);
    net.output(&rounded);
    assert_equal(&net.model().unwrap(), 0);
}

#[test]
fn integers_of_64_bits_run_everywhere() {
    let (mut net, image) = Net::new(17, &SHAPE);
    let (scale, back) = (net.scalar(1e12), net.scalar(1e-10));
    let (divisor, modulus) = (net.integers(&[7]), net.integers(&[-98_765_432_123]));
    let [float, integer] = [1, 7].map(|element_type| vec![int("to", element_type)]);
    let x = net.binary("Mul", &image, &scale);
    let x = net.map("Cast", &[&x], integer);
    let x = net.binary("Div", &x, &divisor);
    let x = net.binary("Mod", &x, &modulus);
    let x = net.map("Cast", &[&x], float.clone());
    let x = net.binary("Mul", &x, &back);
    let place = net.op("ArgMax", &[&image], vec![int("axis", 1)], &[1, 1, 16, 16]);
    let place = net.map("Cast", &[&place], float);
    let y = net.concat(&[&x, &place], 1);
    net.output(&y);
    assert_equal(&net.model().unwrap(), 0);
}

#[test]
fn pixels_are_shuffled_in_a_gated_block() {
    let (mut net, mut x) = stem(4);
    for _ in 0..2 {
        let y = conv(&mut net, &x, 16, 3, 2);
        let shape = x.shape.clone();
        let y = net.op("DepthToSpace", &[&y], vec![int("blocksize", 2), text("mode", "CRD")], &shape);
        let y = conv(&mut net, &y, 4, 3, 1);
        x = net.binary("Add", &y, &x);
    }
    assert_equal(&classify(net, &x), 1);
}

#[test]
fn a_second_output_is_right() {
    let (mut net, x) = stem(16);
    let x = block(&mut net, &x);
    let y = block(&mut net, &x);
    let y = block(&mut net, &y);
    let map = conv(&mut net, &y, 16, 1, 1);
    let pooled = pooled(&mut net, &y);
    let logits = net.matmul(&pooled, 10);
    net.output(&logits);
    net.output(&map);
    assert_equal(&net.model().unwrap(), 2);
}

/// A bias that reaches its layers through `Identity`, as exporters share equal tensors.
fn shared_bias() -> Model {
    let (mut net, mut x) = stem(16);
    let bias = net.noise(&[16], 0.0, 0.5);
    let layer = |net: &mut Net, x: &Value| {
        let bias = net.map("Identity", &[&bias], vec![]);
        let weights = net.weights(&[16, 16, 3, 3], 144);
        net.conv_with(x, &weights, Some(&bias), &Window::same(3), 1)
    };
    for _ in 0..3 {
        let f = layer(&mut net, &x);
        let f = relu(&mut net, &f);
        let f = layer(&mut net, &f);
        let sum = net.binary("Add", &x, &f);
        x = relu(&mut net, &sum);
    }
    classify(net, &x)
}

#[test]
fn a_bias_is_shared_through_identities() {
    assert_equal(&shared_bias(), 2);
}

#[test]
fn layers_with_a_shared_bias_have_kernels() {
    let source = Source::of(shared_bias()).unwrap();
    let build = Build::new(&source, &Gating::Default, Target::named("odroid-xu4").unwrap()).unwrap();
    let coverage = build.compile(Compiler::get().unwrap()).unwrap().manifest.coverage;
    assert!(coverage.kernels >= 7, "{coverage:?}");
}

/// Three layers of attention and perceptron.
fn transformer() -> Model {
    let (mut net, image) = Net::new(17, &SHAPE);
    let (channels, tokens) = (16, 16);
    let weights = net.weights(&[channels, 3, 4, 4], 48);
    let window = Window { taps: [4; 2], strides: [4; 2], pads: [0; 4], dilations: [1; 2] };
    let x = net.conv_with(&image, &weights, None, &window, 1);
    let x = net.reshape(&x, &[1, channels, tokens]);
    let mut x = net.transpose(&x, &[0, 2, 1]);
    for _ in 0..3 {
        let [query, key, value] = [0; 3].map(|_| net.matmul(&x, channels));
        let key = net.transpose(&key, &[0, 2, 1]);
        let scores = net.op("MatMul", &[&query, &key], vec![], &[1, tokens, tokens]);
        let weights = net.map("Softmax", &[&scores], vec![signed_int("axis", -1)]);
        let y = net.op("MatMul", &[&weights, &value], vec![], &value.shape);
        let y = net.matmul(&y, channels);
        x = net.binary("Add", &x, &y);
        let y = net.matmul(&x, 2 * channels);
        let y = relu(&mut net, &y);
        let y = net.matmul(&y, channels);
        x = net.binary("Add", &x, &y);
    }
    let y = net.mean(&x, &[1], false);
    let y = net.matmul(&y, 10);
    net.output(&y);
    net.model().unwrap()
}

#[test]
fn attention_has_gates_of_its_own() {
    assert_equal(&transformer(), 5);
    assert_free(&transformer(), &Gating::Default);
}

#[test]
fn attention_and_perceptron_under_one_gate_are_free() {
    let model = transformer();
    let selection = GateSelection { unit: GateUnit::Layer, gate_first: true, ..GateSelection::default() };
    let gating = Gating::Selected(selection);
    match outcome(&model, &gating, &targets()) {
        None => {}
        Some(Outcome::Equal { gates, .. }) => assert_eq!(gates, 3),
        Some(other) => panic!("{other}"),
    }
    assert_free(&model, &gating);
}

#[test]
fn a_perceptron_of_any_width_has_free_gates() {
    for width in [5, 37] {
        let (mut net, image) = Net::new(17, &SHAPE);
        let x = net.reshape(&image, &[1, SHAPE.iter().product()]);
        let mut x = net.matmul(&x, width);
        for _ in 0..3 {
            let y = net.matmul(&x, 2 * width);
            let y = relu(&mut net, &y);
            let y = net.matmul(&y, width);
            x = net.binary("Add", &x, &y);
        }
        let y = net.matmul(&x, 10);
        net.output(&y);
        let model = net.model().unwrap();
        assert_equal(&model, 2);
        assert_free(&model, &Gating::Default);
    }
}

/// No gate of `model` costs anything on the board.
fn assert_free(model: &Model, gating: &Gating) {
    let found = costly_gates(model, gating);
    assert!(found.is_empty(), "{found:?}");
}

fn costly_gates(model: &Model, gating: &Gating) -> Vec<CostlyGate> {
    let source = Source::of(model.clone()).unwrap();
    let build = Build::new(&source, gating, Target::named(BOARD).unwrap()).unwrap();
    build.compile(Compiler::get().unwrap()).unwrap().manifest.coverage.costly_gates
}

/// A kernel puts a value together at once, where the pieces are few.
#[test]
fn a_gate_in_front_of_a_concatenation_is_free() {
    let model = rolling_network(&[0, 3, 8], &[0, 5, 8]);
    assert_equal(&model, 2);
    assert_free(&model, &Gating::Default);
}

/// The compiler puts a value together piece by piece, and each piece counts as a reader of what was there before.
#[test]
fn a_gate_that_leaves_out_a_part_of_its_block_says_so() {
    let columns: Vec<_> = (0..=20).collect();
    let model = rolling_network(&columns, &columns);
    assert_equal(&model, 2);
    let found = costly_gates(&model, &Gating::Default);
    assert!(found.iter().all(|costly| costly.form == GateForm::Partial) && !found.is_empty(), "{found:?}");
}

/// Blocks that cut columns at `before` and at `behind` a layer, and put the pieces together in another order.
fn rolling_network(before: &[usize], behind: &[usize]) -> Model {
    let columns = *before.last().unwrap();
    let (mut net, image) = Net::new(17, &[1, 1, 8, columns, 16]);
    let mut x = net.matmul(&image, 16);
    for _ in 0..3 {
        let y = rolled(&mut net, &x, before);
        let y = net.matmul(&y, 16);
        let y = rolled(&mut net, &y, behind);
        x = net.binary("Add", &x, &y);
    }
    let y = net.mean(&x, &[1, 2, 3], false);
    let y = net.matmul(&y, 10);
    net.output(&y);
    net.model().unwrap()
}

/// The columns of `x` from the second cut on, and then those before.
fn rolled(net: &mut Net, x: &Value, cuts: &[usize]) -> Value {
    let mut pieces: Vec<_> = cuts.windows(2).map(|cut| net.slice(x, 3, cut[0], cut[1])).collect();
    pieces.rotate_left(1);
    net.concat(&pieces.iter().collect::<Vec<_>>(), 3)
}

#[test]
fn normalisation_in_front_of_an_activation_stays_in_an_old_model() {
    let (mut net, image) = Net::new(13, &SHAPE);
    let x = conv(&mut net, &image, 16, 3, 1);
    let mut x = relu(&mut net, &x);
    for _ in 0..3 {
        let mut f = x.clone();
        for _ in 0..2 {
            f = net.normalise(&f);
            f = relu(&mut net, &f);
            f = conv(&mut net, &f, 16, 3, 1);
        }
        x = net.binary("Add", &x, &f);
    }
    assert_equal(&classify(net, &x), 2);
}

#[test]
fn plain_layers_are_read_again_without_any_gate() {
    let (mut net, image) = Net::new(17, &SHAPE);
    let first = conv(&mut net, &image, 8, 3, 1);
    let first = relu(&mut net, &first);
    let mut last = first.clone();
    for _ in 0..3 {
        last = conv(&mut net, &last, 8, 3, 1);
        last = relu(&mut net, &last);
    }
    let both = net.concat(&[&last, &first], 1);
    assert_equal(&classify(net, &both), 0);
}

#[test]
fn windows_are_put_back_in_another_order() {
    let (mut net, image) = Net::new(17, &[1, 3, 8, 8]);
    let two = |net: &mut Net, x: &Value| {
        let y = net.matmul(x, 16);
        net.matmul(&y, 16)
    };
    let x = conv(&mut net, &image, 16, 3, 1);
    let x = net.transpose(&x, &[0, 2, 3, 1]);
    let f = two(&mut net, &x);
    let x = net.binary("Add", &x, &f);
    let f = two(&mut net, &x);
    let f = net.reshape(&f, &[1, 2, 2, 4, 4, 16]);
    let f = net.transpose(&f, &[0, 1, 3, 2, 4, 5]);
    let f = net.reshape(&f, &[1, 8, 8, 16]);
    let sum = net.binary("Add", &x, &f);
    let x = relu(&mut net, &sum);
    let f = two(&mut net, &x);
    let x = net.binary("Add", &x, &f);
    let y = net.mean(&x, &[1, 2], false);
    let y = net.matmul(&y, 10);
    net.output(&y);
    assert_equal(&net.model().unwrap(), 2);
}

#[test]
fn a_mean_over_a_window_that_reaches_past_the_padding_counts_what_is_there() {
    let (mut net, x) = stem(16);
    let x = block(&mut net, &x);
    let x = block(&mut net, &x);
    let window = Window::strided(3, 2);
    let y = net.pool("AveragePool", &x, &window, true, true);
    net.output(&y);
    assert_equal(&net.model().unwrap(), 1);
}

#[test]
fn an_identity_in_a_shortcut_is_no_obstacle() {
    let (mut net, mut x) = stem(16);
    for _ in 0..3 {
        let f = conv(&mut net, &x, 16, 3, 1);
        let f = relu(&mut net, &f);
        let f = conv(&mut net, &f, 16, 3, 1);
        let shortcut = net.map("Identity", &[&x], vec![]);
        let sum = net.binary("Add", &shortcut, &f);
        x = relu(&mut net, &sum);
    }
    assert_equal(&classify(net, &x), 2);
}

#[test]
fn axes_are_swapped_between_blocks() {
    // Not wrong in any version; the transposition is one that kernels write through.
    let (mut net, x) = stem(16);
    let x = block(&mut net, &x);
    let y = block(&mut net, &x);
    let y = net.op("Transpose", &[&y], vec![ints("perm", &[0, 1, 3, 2])], &[1, 16, 16, 16]);
    let y = block(&mut net, &y);
    assert_equal(&classify(net, &y), 2);
}

/// Whether the mean of `x` is positive.
fn is_positive(net: &mut Net, x: &Value) -> Value {
    let zero = net.scalar(0.0);
    let mean = net.mean(x, &[0, 1, 2, 3], false);
    net.op("Greater", &[&mean, &zero], vec![], &[])
}

#[test]
fn a_gated_block_holds_a_branch_of_its_own() {
    let (mut net, mut x) = stem(16);
    for _ in 0..2 {
        let f = conv(&mut net, &x, 16, 3, 1);
        let condition = is_positive(&mut net, &f);
        let f = net.branch(&condition, |net| conv(net, &f, 16, 3, 1), |net| net.map("Neg", &[&f], vec![]));
        let sum = net.binary("Add", &x, &f);
        x = relu(&mut net, &sum);
    }
    assert_equal(&classify(net, &x), 1);
}

#[test]
fn a_branch_stands_between_gated_blocks() {
    let (mut net, x) = stem(16);
    let x = block(&mut net, &x);
    let x = block(&mut net, &x);
    let condition = is_positive(&mut net, &x);
    let x = net.branch(&condition, |net| conv(net, &x, 16, 3, 1), |net| net.map("Neg", &[&x], vec![]));
    let x = block(&mut net, &x);
    let x = block(&mut net, &x);
    assert_equal(&classify(net, &x), 2);
}

#[test]
fn blocks_stand_directly_on_a_stem_of_six_channels() {
    let (mut net, image) = Net::new(17, &SHAPE);
    let mut x = conv(&mut net, &image, 6, 3, 1);
    for _ in 0..3 {
        let f = conv(&mut net, &x, 6, 3, 1);
        let f = relu(&mut net, &f);
        let f = conv(&mut net, &f, 6, 3, 1);
        x = net.binary("Add", &x, &f);
    }
    assert_equal(&classify(net, &x), 2);
}

/// The compiler computes equal layers once: then a gated block's is read outside of it.
#[test]
fn a_layer_of_a_gated_block_stands_outside_of_it_too() {
    let (mut net, x) = stem(16);
    let x = block(&mut net, &x);
    let weights = net.weights(&[16, 16, 3, 3], 144);
    let inside = net.conv_with(&x, &weights, None, &Window::same(3), 1);
    let f = relu(&mut net, &inside);
    let f = conv(&mut net, &f, 16, 3, 1);
    let sum = net.binary("Add", &x, &f);
    let y = relu(&mut net, &sum);
    let outside = net.conv_with(&x, &weights, None, &Window::same(3), 1);
    let outside = relu(&mut net, &outside);
    let both = net.binary("Add", &y, &outside);
    assert_equal(&classify(net, &both), 1);
}

/// A slice of a tensor is read where it lies, which need not be where a vector register may be loaded from at once.
#[test]
fn a_gated_block_adds_to_part_of_a_tensor() {
    let (mut net, image) = Net::new(17, &[1, 3, 6, 4]);
    let both = conv(&mut net, &image, 2, 3, 1);
    let parts = net.split(&both, 1, &[1, 1]);
    let f = conv(&mut net, &parts[1], 1, 3, 1);
    let condition = is_positive(&mut net, &f);
    let f = net.branch(&condition, |net| relu(net, &f), |net| net.map("Neg", &[&f], vec![]));
    let sum = net.binary("Add", &parts[1], &f);
    net.output(&sum);
    let first = GateSelection { gate_first: true, ..GateSelection::default() };
    match outcome(&net.model().unwrap(), &Gating::Selected(first), &targets()) {
        None | Some(Outcome::Equal { gates: 1, .. }) => {}
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn a_layer_of_groups_on_one_pixel_has_a_bias() {
    let (mut net, x) = stem(16);
    let y = net.mean(&x, &[2, 3], true);
    let y = net.conv(&y, 8, &Window::same(1), 2, true);
    let y = relu(&mut net, &y);
    let y = net.conv(&y, 16, &Window::same(1), 4, true);
    let y = net.map("Sigmoid", &[&y], vec![]);
    let y = net.binary("Mul", &x, &y);
    assert_equal(&classify(net, &y), 0);
}

#[test]
fn a_layer_on_one_place_of_a_line_has_a_bias() {
    let (mut net, x) = Net::new(17, &[1, 4, 3]);
    let weights = net.weights(&[5, 4, 3], 12);
    let bias = net.noise(&[5], 0.0, 0.5);
    let y = net.op("Conv", &[&x, &weights, &bias], vec![], &[1, 5, 1]);
    net.output(&y);
    assert_equal(&net.model().unwrap(), 0);
}

/// As in networks with parallel branches before those are put together.
#[test]
fn branches_that_look_at_every_second_element_are_added() {
    for pool in ["", "MaxPool"] {
        let (mut net, x) = stem(16);
        let wide = net.conv(&x, 16, &Window::strided(3, 2), 16, true);
        let points = Window::strided(1, 2);
        let narrow = match pool {
            "" => net.conv(&x, 16, &points, 16, true),
            pool => net.pool(pool, &x, &points, false, false),
        };
        let sum = net.binary("Add", &wide, &narrow);
        assert_equal(&classify(net, &sum), 0);
    }
}

/// The second one's input is copied from where the first one finds it into one with more room.
#[test]
fn filters_of_several_sizes_read_one_value() {
    for (first, second) in [(3, 5), (7, 3)] {
        let (mut net, x) = stem(16);
        let x = net.map("Sigmoid", &[&x], vec![]);
        let a = conv(&mut net, &x, 16, first, 1);
        let b = conv(&mut net, &x, 16, second, 1);
        let both = net.concat(&[&a, &b], 1);
        net.output(&both);
        assert_equal(&net.model().unwrap(), 0);
    }
}
