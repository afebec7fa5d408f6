//! Single products of matrices and what is computed from rows, of many sizes, compiled, against their definitions in double
//! precision.

#[path = "support/mod.rs"]
mod support;

use std::process::Command;

use skipgate_core::Target;
use skipgate_onnx::Model;
use skipgate_onnx::proto::{NodeProto, TensorProto};
use support::model::{int, model, node, tensor, value};
use support::{Noise, board, board_64, run_side_by_side, scratch, skipgate};

/// Largest error allowed, in units of the largest result. A sum of n products is off by some multiple of sqrt(n) units in
/// the last place, 2^-24 each; n is 210 at most here. Attention's two products and exponentials add up.
const TOLERANCE: f64 = 2e-6;

/// What is computed from `batches` matrices of `rows` x `columns`.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// Times weights of as many columns, with a bias where there is one, and the input added where that fits.
    MatMul {
        columns: usize,
        bias: bool,
        residual: bool,
    },
    /// One matrix times weights, transposed or not.
    Gemm {
        columns: usize,
        transposed: bool,
    },
    /// The softmax of its product with itself, transposed, times itself.
    Attention,
    Softmax,
    LayerNormalization {
        bias: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Case {
    batches: usize,
    rows: usize,
    columns: usize,
    operation: Operation,
}

fn case(batches: usize, rows: usize, columns: usize, operation: Operation) -> Case {
    Case { batches, rows, columns, operation }
}

fn cases() -> Vec<Case> {
    let product = |columns, bias, residual| Operation::MatMul { columns, bias, residual };
    let gemm = |columns, transposed| Operation::Gemm { columns, transposed };
    vec![
        // Rows and columns that fill tiles and registers, that do not, and single ones.
        case(1, 16, 32, product(64, true, false)),
        case(1, 37, 19, product(19, true, true)),
        case(2, 5, 210, product(3, false, false)),
        case(3, 7, 8, product(8, false, true)),
        case(1, 1, 6, product(1, true, false)),
        case(1, 1, 64, gemm(1000, true)),
        case(1, 3, 33, gemm(10, false)),
        case(1, 6, 16, Operation::Attention),
        case(3, 29, 24, Operation::Attention),
        case(2, 50, 13, Operation::Attention),
        case(4, 1, 1, Operation::Attention),
        case(1, 1, 1000, Operation::Softmax),
        case(5, 7, 29, Operation::Softmax),
        case(1, 3, 1, Operation::Softmax),
        case(1, 9, 64, Operation::LayerNormalization { bias: true }),
        case(3, 5, 210, Operation::LayerNormalization { bias: true }),
        case(2, 3, 7, Operation::LayerNormalization { bias: false }),
    ]
}

#[test]
fn kernels_compute_matrices_on_the_host() {
    check("host", skipgate, 1);
}

#[test]
fn kernels_for_avx2_compute_matrices() {
    if Target::named("x86-64-v3").unwrap().missing_features().is_empty() {
        // The registers are others, the code is the same: a few cases of each kind.
        check("x86-64-v3", skipgate, 2);
    }
}

#[test]
fn kernels_for_the_board_compute_matrices() {
    check("odroid-xu4", board, 1);
}

#[test]
fn kernels_for_a_64_bit_board_compute_matrices() {
    check("raspberry-pi-4", board_64, 1);
}

/// Every `step`th case.
fn check(target: &str, program: fn() -> Command, step: usize) {
    let dir = scratch(&format!("matrices-{target}"));
    let examples: Vec<_> =
        (1..).zip(cases()).step_by(step).map(|(seed, case)| Example::new(case, seed)).collect();
    let networks: Vec<_> = examples.iter().map(|example| (&example.model, &example.input[..])).collect();
    let (said, found) = run_side_by_side(&dir, target, program, None, &networks);
    assert_eq!(said["manifest"]["coverage"]["generic"], serde_json::json!([]));
    let errors = examples.iter().zip(found).map(|(example, found)| {
        let error = relative_error(&found, &example.expected);
        assert!(error <= TOLERANCE, "{:?} for {target}: {error:e}", example.case);
        error
    });
    println!("{target}: largest relative error {:.1e}", errors.fold(0.0, f64::max));
}

/// A case with numbers.
struct Example {
    case: Case,
    input: Vec<f32>,
    model: Model,
    /// What follows from the definition.
    expected: Vec<f64>,
}

impl Example {
    fn new(case: Case, seed: u64) -> Self {
        let mut noise = Noise(seed);
        let mut numbers = |count: usize| (0..count).map(|_| noise.next()).collect::<Vec<_>>();
        let input = numbers(case.batches * case.rows * case.columns);
        let (weights, bias) = (numbers(case.weights()), numbers(case.result_columns()));
        let doubles: Vec<_> = input.iter().copied().map(f64::from).collect();
        let expected = case.expected(&doubles, &weights, &bias);
        Self { case, input, model: case.model(&weights, &bias), expected }
    }
}

fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences =
        found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).abs());
    differences.fold(0.0, f64::max) / expected.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

impl Case {
    fn shape(&self) -> [usize; 3] {
        [self.batches, self.rows, self.columns]
    }

    fn result_columns(&self) -> usize {
        match self.operation {
            Operation::MatMul { columns, .. } | Operation::Gemm { columns, .. } => columns,
            _ => self.columns,
        }
    }

    /// How many weights there are, of all operations.
    fn weights(&self) -> usize {
        match self.operation {
            Operation::MatMul { columns, .. } | Operation::Gemm { columns, .. } => self.columns * columns,
            _ => self.columns,
        }
    }

    fn model(&self, weights: &[f32], bias: &[f32]) -> skipgate_onnx::Model {
        let (mut nodes, constants) = self.nodes(weights, bias);
        nodes.push(node("Flatten", &["result"], "logits"));
        let results = self.rows * self.result_columns();
        model(nodes, constants, value("x", &self.shape()), value("logits", &[self.batches, results]))
    }

    fn nodes(&self, weights: &[f32], bias: &[f32]) -> (Vec<NodeProto>, Vec<TensorProto>) {
        let bias_of = |columns| tensor("bias", &[columns], bias);
        match self.operation {
            Operation::MatMul { columns, bias, residual } => {
                let mut nodes = vec![node("MatMul", &["x", "weights"], "product")];
                let mut last = "product";
                if bias {
                    nodes.push(node("Add", &["bias", last], "sum"));
                    last = "sum";
                }
                nodes.push(if residual {
                    node("Add", &["x", last], "result")
                } else {
                    node("Identity", &[last], "result")
                });
                (nodes, vec![tensor("weights", &[self.columns, columns], weights), bias_of(columns)])
            }
            Operation::Gemm { columns, transposed } => {
                let mut gemm = node("Gemm", &["flat", "weights", "bias"], "result");
                gemm.attribute = vec![int("transB", usize::from(transposed))];
                let mut flatten = node("Flatten", &["x"], "flat");
                flatten.attribute = vec![int("axis", 2)];
                let shape = if transposed { [columns, self.columns] } else { [self.columns, columns] };
                (vec![flatten, gemm], vec![tensor("weights", &shape, weights), bias_of(columns)])
            }
            Operation::Attention => {
                let mut transpose = node("Transpose", &["x"], "transposed");
                transpose.attribute = vec![support::model::ints("perm", &[0, 2, 1])];
                let nodes = vec![
                    transpose,
                    node("MatMul", &["x", "transposed"], "scores"),
                    node("Softmax", &["scores"], "shares"),
                    node("MatMul", &["shares", "x"], "result"),
                ];
                (nodes, vec![])
            }
            Operation::Softmax => (vec![node("Softmax", &["x"], "result")], vec![]),
            Operation::LayerNormalization { bias } => {
                let inputs = ["x", "weights", "bias"];
                let inputs = if bias { &inputs[..] } else { &inputs[..2] };
                let constants = vec![tensor("weights", &[self.columns], weights), bias_of(self.columns)];
                (vec![node("LayerNormalization", inputs, "result")], constants)
            }
        }
    }

    fn expected(&self, input: &[f64], weights: &[f32], bias: &[f32]) -> Vec<f64> {
        let (weights, bias): (Vec<f64>, Vec<f64>) =
            (weights.iter().copied().map(f64::from).collect(), bias.iter().copied().map(f64::from).collect());
        let rows = input.chunks(self.columns);
        match self.operation {
            Operation::MatMul { columns, bias: has_bias, residual } => rows
                .flat_map(|row| {
                    let products = times(row, &weights, columns);
                    let added = |column: usize| {
                        let bias = if has_bias { bias[column] } else { 0.0 };
                        bias + if residual { row[column] } else { 0.0 }
                    };
                    let sums = products.into_iter().enumerate();
                    sums.map(|(column, sum)| sum + added(column)).collect::<Vec<_>>()
                })
                .collect(),
            Operation::Gemm { columns, transposed } => {
                let weights = if transposed { transpose(&weights, self.columns) } else { weights };
                let sums = rows.flat_map(|row| times(row, &weights, columns));
                sums.enumerate().map(|(place, sum)| sum + bias[place % columns]).collect()
            }
            Operation::Attention => input
                .chunks(self.rows * self.columns)
                .flat_map(|matrix| {
                    let transposed = transpose(matrix, self.columns);
                    let attend =
                        |row| times(&softmax(&times(row, &transposed, self.rows)), matrix, self.columns);
                    matrix.chunks(self.columns).flat_map(attend).collect::<Vec<_>>()
                })
                .collect(),
            Operation::Softmax => rows.flat_map(softmax).collect(),
            Operation::LayerNormalization { bias: has_bias } => rows
                .flat_map(|row| {
                    let values = normalise(row).into_iter().zip(&weights).zip(&bias);
                    let scaled = values
                        .map(|((value, weight), bias)| value * weight + if has_bias { *bias } else { 0.0 });
                    scaled.collect::<Vec<_>>()
                })
                .collect(),
        }
    }
}

/// `row` times a matrix of so many columns.
fn times(row: &[f64], matrix: &[f64], columns: usize) -> Vec<f64> {
    let sum =
        |column: usize| row.iter().zip(matrix.chunks(columns)).map(|(value, of)| value * of[column]).sum();
    (0..columns).map(sum).collect()
}

fn transpose(matrix: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect()
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<_> = row.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// With a mean of 0 and a variance of 1.
fn normalise(row: &[f64]) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / row.len() as f64;
    row.iter().map(|value| (value - mean) / (variance + 1e-5).sqrt()).collect()
}
