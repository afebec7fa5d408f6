//! Single convolutions of many sizes, compiled, against their definition in double precision.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use skipgate_core::Target;
use skipgate_onnx::Model;
use skipgate_onnx::proto::{NodeProto, TensorProto};
use support::model::{int, ints, model, node, tensor, value};
use support::{Noise, board, board_64, run_side_by_side, scratch, skipgate, succeed, write_npy};

/// Largest error allowed, in units of the largest sum. A sum of n products is off by some multiple of sqrt(n) units
/// in the last place, 2^-24 each; n is 576 at most here.
const EXACT_TOLERANCE: f64 = 1e-6;
/// The transforms of F(4, 3) multiply by up to 8 and cancel: about ten times as much.
const FAST_TOLERANCE: f64 = 1e-5;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Activation {
    None,
    Relu,
    Relu6,
    HardSwish,
    /// `x * Sigmoid(x)`.
    Silu,
    /// `x * (1 + Erf(x / sqrt(2))) / 2`, as exporters write it.
    Gelu,
    /// `x * Clip(x + 3, 0, 6) / 6`, as exporters write `HardSwish`.
    HardSwishInParts,
}

/// A convolution, and its input again as residual where `residual`.
#[derive(Debug)]
struct Case {
    channels: usize,
    filters: usize,
    groups: usize,
    size: [usize; 2],
    taps: usize,
    stride: usize,
    /// From one tap to the next.
    dilations: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
    residual: bool,
    activation: Activation,
}

const CASE: Case = Case {
    channels: 16,
    filters: 16,
    groups: 1,
    size: [8, 12],
    taps: 3,
    stride: 1,
    dilations: [1; 2],
    pads: [1; 4],
    residual: false,
    activation: Activation::None,
};

const POINTWISE: Case = Case { channels: 10, filters: 7, size: [5, 7], taps: 1, pads: [0; 4], ..CASE };

const CASES: [Case; 46] = [
    Case { residual: true, activation: Activation::Relu, ..CASE },
    Case { channels: 64, filters: 32, activation: Activation::Relu6, ..CASE },
    // Tiles of two outputs.
    Case { channels: 32, size: [6, 10], ..CASE },
    // Tiles that overlap along one side or both.
    Case { filters: 48, size: [7, 5], activation: Activation::Relu, ..CASE },
    Case { size: [14, 8], residual: true, activation: Activation::Relu, ..CASE },
    // No tile fits.
    Case { size: [1, 5], ..CASE },
    Case { activation: Activation::HardSwish, ..CASE },
    Case { residual: true, activation: Activation::Silu, ..CASE },
    // Channels that fill no register.
    Case { channels: 3, size: [9, 9], stride: 2, activation: Activation::Relu6, ..CASE },
    Case { channels: 3, size: [16, 16], taps: 7, stride: 2, pads: [3; 4], ..CASE },
    Case { filters: 32, taps: 1, stride: 2, pads: [0; 4], ..CASE },
    // Filters that fill narrow registers only, or none, which are left to the compiler.
    Case { filters: 20, activation: Activation::Relu, ..CASE },
    Case { filters: 10, activation: Activation::Relu, ..CASE },
    // Groups as wide as registers, wider and narrower, and of other numbers of channels than filters.
    Case { channels: 32, filters: 32, groups: 2, activation: Activation::Relu, ..CASE },
    Case { channels: 64, filters: 32, groups: 4, stride: 2, ..CASE },
    Case { channels: 12, filters: 24, groups: 6, size: [5, 7], ..CASE },
    // Depthwise: rows and columns that fill tiles and that do not, all strides and sizes of filters.
    Case { groups: 16, residual: true, activation: Activation::Relu6, ..CASE },
    Case { channels: 24, filters: 24, groups: 24, size: [9, 11], stride: 2, ..CASE },
    Case { channels: 12, filters: 12, groups: 12, size: [7, 7], taps: 5, pads: [2; 4], ..CASE },
    Case { groups: 16, size: [10, 5], taps: 7, pads: [3; 4], activation: Activation::Relu, ..CASE },
    Case { groups: 16, size: [9, 9], taps: 2, stride: 3, pads: [0, 1, 0, 0], ..CASE },
    Case { size: [8, 8], pads: [0, 2, 2, 0], ..CASE },
    // Filters with gaps.
    Case { dilations: [2; 2], pads: [2; 4], residual: true, activation: Activation::Relu, ..CASE },
    Case { channels: 3, size: [9, 9], dilations: [3, 1], pads: [3, 1, 3, 1], stride: 2, ..CASE },
    Case { channels: 32, filters: 32, groups: 2, dilations: [1, 3], pads: [1, 3, 1, 3], ..CASE },
    Case {
        channels: 24,
        filters: 24,
        groups: 24,
        size: [9, 11],
        dilations: [2, 3],
        stride: 2,
        pads: [3; 4],
        ..CASE
    },
    // Depthwise filters of so many taps that they are gone over in loops.
    Case { groups: 16, size: [10, 13], taps: 8, pads: [4, 3, 3, 4], residual: true, ..CASE },
    Case { groups: 16, size: [9, 9], taps: 13, pads: [6; 4], activation: Activation::Relu, ..CASE },
    Case { groups: 16, size: [5, 6], taps: 31, pads: [15; 4], activation: Activation::Gelu, ..CASE },
    Case {
        channels: 12,
        filters: 12,
        groups: 12,
        size: [20, 17],
        taps: 9,
        stride: 2,
        dilations: [2, 1],
        pads: [8, 4, 8, 4],
        ..CASE
    },
    // Filters that fill no register, or not all: in narrower ones, down to one lane.
    Case { channels: 3, filters: 3, size: [9, 14], residual: true, activation: Activation::Relu, ..CASE },
    Case { filters: 39, taps: 5, pads: [2; 4], activation: Activation::Silu, ..CASE },
    Case { filters: 1, size: [6, 5], taps: 7, pads: [3; 4], ..CASE },
    Case { channels: 6, filters: 30, stride: 2, ..CASE },
    Case { channels: 12, filters: 12, groups: 6, residual: true, ..CASE },
    Case { channels: 12, filters: 42, groups: 3, size: [5, 7], activation: Activation::Relu, ..CASE },
    // The same, depthwise.
    Case { channels: 23, filters: 23, groups: 23, residual: true, activation: Activation::Relu6, ..CASE },
    Case { channels: 5, filters: 5, groups: 5, size: [10, 13], taps: 9, pads: [4; 4], stride: 2, ..CASE },
    // Filters of one pixel: any number of channels, filters and pixels.
    Case { activation: Activation::Gelu, ..POINTWISE },
    Case { channels: 30, filters: 41, size: [1, 1], activation: Activation::Silu, ..POINTWISE },
    Case { channels: 64, filters: 100, size: [3, 1], ..POINTWISE },
    Case { channels: 1, filters: 1, size: [9, 1], residual: true, ..POINTWISE },
    Case { channels: 17, filters: 17, residual: true, activation: Activation::HardSwishInParts, ..POINTWISE },
    // More filters than pixels, and fewer.
    Case { channels: 8, filters: 72, size: [7, 7], activation: Activation::Relu, ..POINTWISE },
    Case { channels: 6, filters: 24, size: [13, 11], ..POINTWISE },
    Case { channels: 24, filters: 10, pads: [1, 0, 2, 1], ..POINTWISE },
];

#[test]
fn kernels_compute_the_convolution_on_the_host() {
    check("host", skipgate, &CASES);
}

#[test]
fn kernels_for_avx2_compute_the_convolution() {
    if Target::named("x86-64-v3").unwrap().missing_features().is_empty() {
        // The registers are others, the code is the same: a few cases of each kind.
        check("x86-64-v3", skipgate, CASES.iter().step_by(3));
    }
}

#[test]
fn kernels_for_the_board_compute_the_convolution() {
    check("odroid-xu4", board, &CASES);
}

#[test]
fn kernels_for_a_64_bit_board_compute_the_convolution() {
    check("raspberry-pi-4", board_64, &CASES);
}

fn check<'c>(target: &str, program: fn() -> Command, cases: impl IntoIterator<Item = &'c Case>) {
    let dir = scratch(&format!("kernels-{target}"));
    let examples: Vec<_> = (1..).zip(cases).map(|(seed, case)| Example::new(case, seed)).collect();
    let all: Vec<_> = examples.iter().collect();
    let transformed: Vec<_> = examples.iter().filter(|example| example.case.is_transformed()).collect();
    let ways = [(&all, Some("--exact"), EXACT_TOLERANCE), (&transformed, None, FAST_TOLERANCE)];
    let [exact, fast] = ways.map(|(examples, flag, tolerance)| {
        let networks: Vec<_> = examples.iter().map(|example| (&example.model, &example.image[..])).collect();
        let (_, found) = run_side_by_side(&dir, target, program, flag, &networks);
        let errors = examples.iter().zip(found).map(|(example, found)| {
            let error = largest_error(&found, &example.expected) / example.scale;
            assert!(error <= tolerance, "{:?} for {target} {flag:?}: {error:e}", example.case);
            error
        });
        errors.fold(0.0, f64::max)
    });
    println!("{target}: largest relative error {exact:.1e} as defined, {fast:.1e} with transforms");
}

/// A case with numbers.
struct Example<'c> {
    case: &'c Case,
    image: Vec<f32>,
    model: Model,
    /// The definition's results, and the largest sum.
    expected: Vec<f64>,
    scale: f64,
}

impl<'c> Example<'c> {
    fn new(case: &'c Case, seed: u64) -> Self {
        let mut noise = Noise(seed);
        let mut numbers = |count: usize| (0..count).map(|_| noise.next()).collect::<Vec<_>>();
        let image = numbers(case.channels * case.size[0] * case.size[1]);
        let weights = numbers(case.filters * case.channels_of_group() * case.taps * case.taps);
        let bias = numbers(case.filters);
        let (expected, scale) = case.expected(&image, &weights, &bias);
        Self { case, model: case.model(&weights, &bias), image, expected, scale }
    }
}

fn results(dir: &Path, model: &Path, input: &Path, target: &str, program: fn() -> Command) -> Vec<f32> {
    let (artifact, output) = (dir.join("artifact"), dir.join("output.npy"));
    let mut compile = skipgate();
    compile.arg("compile").arg(model).args(["--ungated", "--target", target, "--output"]).arg(&artifact);
    succeed(&mut compile);
    let mut run = program();
    run.arg("run").arg(artifact).arg("--input").arg(input).arg("--output").arg(&output);
    succeed(&mut run);
    let bytes = fs_err::read(output).unwrap();
    npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The share of the normal distribution below `x`.
fn normal(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// A curve from 0 to 1 that kernels compute.
struct Curve {
    name: &'static str,
    at: fn(f64) -> f64,
    /// How far a share may be off from its curve's own.
    error: fn(f64, f64) -> f64,
    tolerance: f64,
    /// What the test's network has behind its layer; a `Sigmoid` alone if nothing.
    activation: Activation,
}

/// Relative to itself; exponents end at -87.
const SIGMOID: Curve = Curve {
    name: "sigmoid",
    at: sigmoid,
    error: |found, expected| if expected < 1e-37 { found } else { (found - expected).abs() / expected },
    tolerance: 1e-6,
    activation: Activation::None,
};
/// In `Gelu`.
const NORMAL: Curve = Curve {
    name: "normal distribution",
    at: normal,
    error: |found, expected| (found - expected).abs(),
    tolerance: 3e-7,
    activation: Activation::Gelu,
};

#[test]
fn curves_are_right_for_all_numbers_on_the_host() {
    check_curves("host", skipgate);
}

#[test]
fn curves_are_right_for_all_numbers_with_avx2() {
    if Target::named("x86-64-v3").unwrap().missing_features().is_empty() {
        check_curves("x86-64-v3", skipgate);
    }
}

#[test]
fn curves_are_right_for_all_numbers_on_the_board() {
    check_curves("odroid-xu4", board);
}

#[test]
fn curves_are_right_for_all_numbers_on_a_64_bit_board() {
    check_curves("raspberry-pi-4", board_64);
}

fn check_curves(target: &str, program: fn() -> Command) {
    for curve in [SIGMOID, NORMAL] {
        check_curve(&curve, target, program);
    }
}

/// A layer that hands on its input, and a curve behind it, for numbers that are none, infinite and in between.
fn check_curve(curve: &Curve, target: &str, program: fn() -> Command) {
    const SIDE: usize = 32;
    let dir = scratch(&format!("{}-{target}", curve.name));
    let count = 4 * SIDE * SIDE;
    let mut image: Vec<f32> = (0..count).map(|number| number as f32 * 200.0 / count as f32 - 100.0).collect();
    image[..3].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    let activation = curve.activation;
    let case = Case {
        channels: 4,
        filters: 4,
        groups: 4,
        size: [SIDE; 2],
        taps: 1,
        pads: [0; 4],
        activation,
        ..CASE
    };
    let mut proto = case.model(&[1.0; 4], &[0.0; 4]).proto().clone();
    let is_product = activation == Activation::Gelu;
    if !is_product {
        let graph = proto.graph.as_mut().unwrap();
        let behind = graph.node.iter_mut().find(|node| node.op_type == "Identity").unwrap();
        *behind = node("Sigmoid", &["sum"], "activated");
    }
    let (model, input) = (dir.join("model.onnx"), dir.join("input.npy"));
    Model::from_proto(proto).unwrap().save(&model).unwrap();
    write_npy(&input, &[1, 4, SIDE as u64, SIDE as u64], &image);
    let found = results(&dir, &model, &input, target, program);
    assert!(found[0].is_nan(), "{}", found[0]);
    if is_product {
        assert!(found[1] == f32::INFINITY, "{}", found[1]);
    } else {
        assert!((found[1] - 1.0).abs() < 1e-6 && found[2] < 1e-37, "{:?}", &found[1..3]);
    }
    let mut worst = 0f64;
    for (&x, &found) in image.iter().zip(&found).skip(3).filter(|(x, _)| **x != 0.0) {
        let (number, found) = (f64::from(x), f64::from(found));
        let share = if is_product { found / number } else { found };
        worst = worst.max((curve.error)(share, (curve.at)(number)));
    }
    println!("{target}: largest error of the {} {worst:.1e}", curve.name);
    assert!(worst <= curve.tolerance, "{worst:e} for {target}");
}

fn largest_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let errors = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).abs());
    errors.fold(0.0, f64::max)
}

impl Activation {
    /// The nodes behind `input`, their constants, and the name of what they give.
    fn nodes(self, input: &str) -> (Vec<NodeProto>, Vec<TensorProto>, &'static str) {
        let scalar = |name: &str, value: f32| tensor(name, &[], &[value]);
        let (nodes, constants) = match self {
            Self::None => (vec![node("Identity", &[input], "activated")], vec![]),
            Self::Relu => (vec![node("Relu", &[input], "activated")], vec![]),
            Self::Relu6 => (
                vec![node("Clip", &[input, "zero", "six"], "activated")],
                vec![scalar("zero", 0.0), scalar("six", 6.0)],
            ),
            Self::HardSwish => (vec![node("HardSwish", &[input], "activated")], vec![]),
            Self::Silu => (
                vec![node("Sigmoid", &[input], "curve"), node("Mul", &[input, "curve"], "activated")],
                vec![],
            ),
            Self::Gelu => (
                vec![
                    node("Div", &[input, "root"], "scaled"),
                    node("Erf", &["scaled"], "curve"),
                    node("Add", &["curve", "one"], "risen"),
                    node("Mul", &[input, "risen"], "product"),
                    node("Mul", &["product", "half"], "activated"),
                ],
                vec![scalar("root", std::f32::consts::SQRT_2), scalar("one", 1.0), scalar("half", 0.5)],
            ),
            Self::HardSwishInParts => (
                vec![
                    node("Add", &[input, "three"], "risen"),
                    node("Clip", &["risen", "zero", "six"], "curve"),
                    node("Mul", &[input, "curve"], "product"),
                    node("Div", &["product", "six"], "activated"),
                ],
                vec![scalar("zero", 0.0), scalar("three", 3.0), scalar("six", 6.0)],
            ),
        };
        (nodes, constants, "activated")
    }
}

impl Case {
    fn channels_of_group(&self) -> usize {
        self.channels / self.groups
    }

    /// Whether the compilation may do something else than what `--exact` does.
    fn is_transformed(&self) -> bool {
        self.groups == 1 && self.taps == 3 && self.stride == 1 && self.dilations == [1; 2]
    }

    /// Rows and columns of the result.
    fn result_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let covered = (self.taps - 1) * self.dilations[axis] + 1;
            (self.size[axis] + self.pads[axis] + self.pads[axis + 2] - covered) / self.stride + 1
        })
    }

    /// The definition: all results, and the largest sum in front of the activation.
    fn expected(&self, image: &[f32], weights: &[f32], bias: &[f32]) -> (Vec<f64>, f64) {
        let [rows, columns] = self.result_size();
        let pixel = |channel: usize, row: usize, column: usize| {
            let row = row.checked_sub(self.pads[0]).filter(|row| *row < self.size[0]);
            let column = column.checked_sub(self.pads[1]).filter(|column| *column < self.size[1]);
            row.zip(column).map_or(0.0, |(row, column)| {
                f64::from(image[(channel * self.size[0] + row) * self.size[1] + column])
            })
        };
        let (mut results, mut largest) = (Vec::new(), 0f64);
        for (filter, &bias) in bias.iter().enumerate() {
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                let mut sum = f64::from(bias);
                let first = filter / (self.filters / self.groups) * self.channels_of_group();
                for channel in 0..self.channels_of_group() {
                    for (y, x) in (0..self.taps).flat_map(|y| (0..self.taps).map(move |x| (y, x))) {
                        let weight = weights
                            [((filter * self.channels_of_group() + channel) * self.taps + y) * self.taps + x];
                        let [row, column] = [
                            row * self.stride + y * self.dilations[0],
                            column * self.stride + x * self.dilations[1],
                        ];
                        let value = pixel(first + channel, row, column);
                        sum += f64::from(weight) * value;
                    }
                }
                if self.residual {
                    sum += pixel(filter, row + self.pads[0], column + self.pads[1]);
                }
                largest = largest.max(sum.abs());
                results.push(match self.activation {
                    Activation::None => sum,
                    Activation::Relu => sum.max(0.0),
                    Activation::Relu6 => sum.clamp(0.0, 6.0),
                    Activation::HardSwish | Activation::HardSwishInParts => {
                        sum * (sum / 6.0 + 0.5).clamp(0.0, 1.0)
                    }
                    Activation::Silu => sum * sigmoid(sum),
                    Activation::Gelu => sum * normal(sum),
                });
            }
        }
        (results, largest)
    }

    fn model(&self, weights: &[f32], bias: &[f32]) -> Model {
        let filters = [self.filters, self.channels_of_group(), self.taps, self.taps];
        let mut initializer =
            vec![tensor("weights", &filters, weights), tensor("bias", &[self.filters], bias)];
        let mut convolution = node("Conv", &["image", "weights", "bias"], "sum");
        convolution.attribute = vec![
            ints("strides", &[self.stride; 2]),
            ints("dilations", &self.dilations),
            ints("pads", &self.pads),
            int("group", self.groups),
        ];
        let mut nodes = vec![convolution];
        let mut last = "sum";
        if self.residual {
            nodes.push(node("Add", &[last, "image"], "total"));
            last = "total";
        }
        let (activation, constants, last) = self.activation.nodes(last);
        nodes.extend(activation);
        initializer.extend(constants);
        nodes.push(node("Flatten", &[last], "logits"));
        let [rows, columns] = self.result_size();
        let input = value("image", &[1, self.channels, self.size[0], self.size[1]]);
        model(nodes, initializer, input, value("logits", &[1, self.filters * rows * columns]))
    }
}
