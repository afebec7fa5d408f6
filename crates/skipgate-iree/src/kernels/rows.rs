//! What is computed from each row of a matrix alone: `Softmax` and `LayerNormalization` along the last axis.

use super::code::{Code, Memory, Value};
use super::curve::exponential;
use super::grid::{Band, Shares};
use super::{Body, Simd, divisor};

/// Independent sums along a row, at most.
const SUMS: usize = 4;

/// What is done to every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowOperation {
    Softmax,
    /// To a mean of 0 and a variance of 1, then times a scale and plus a bias, which are rows themselves. `epsilon`, the bits
    /// of a float, is added to the variance.
    Normalise {
        epsilon: u32,
    },
}

/// A matrix, and what is done to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    pub(crate) columns: usize,
    pub(crate) operation: RowOperation,
}

impl Rows {
    /// What profiles show.
    pub(super) fn name(&self) -> String {
        let operation = match self.operation {
            RowOperation::Softmax => "softmax",
            RowOperation::Normalise { .. } => "normalise",
        };
        format!("{operation}_{}x{}", self.count, self.columns)
    }

    /// Bindings that are read.
    pub(super) fn read(&self) -> usize {
        match self.operation {
            RowOperation::Softmax => 1,
            RowOperation::Normalise { .. } => 3,
        }
    }
}

/// Reads binding 0, then scale and bias if there are some, and writes the last binding.
pub(super) fn body(rows: &Rows, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let shape = [rows.count, rows.columns];
    let source = code.binding(0, &shape);
    let result = code.binding(rows.read(), &shape);
    let row = Row { bands: Band::of(rows.columns, 1, simd.lanes), source, result };
    let mut shares = Shares::new(&mut code);
    match rows.operation {
        RowOperation::Softmax => {
            shares.each(&mut code, rows.count, |code, number| row.softmax(code, number));
        }
        RowOperation::Normalise { epsilon } => {
            let [scale, bias] = [1, 2].map(|number| code.binding(number, &[rows.columns]));
            let numbers = Numbers { epsilon: f32::from_bits(epsilon), columns: rows.columns };
            shares.each(&mut code, rows.count, |code, number| {
                row.normalise(code, number, numbers, [&scale, &bias]);
            });
        }
    }
    Body { text: code.finish(), workgroups: shares.workgroups() }
}

/// What a normalisation is told.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    epsilon: f32,
    columns: usize,
}

/// How vectors along a row become one.
#[derive(Debug, Clone, Copy)]
enum Together {
    Sum,
    Maximum,
}

impl Together {
    fn start(self) -> f32 {
        match self {
            Self::Sum => 0.0,
            Self::Maximum => f32::NEG_INFINITY,
        }
    }

    fn of(self, code: &mut Code, a: &Value, b: &Value) -> Value {
        match self {
            Self::Sum => code.add(a, b),
            Self::Maximum => code.at_least(a, b),
        }
    }
}

struct Row {
    /// The vectors of a row.
    bands: Vec<Band>,
    source: Memory,
    result: Memory,
}

impl Row {
    fn softmax(&self, code: &mut Code, row: &Value) {
        let largest = self.reduce(code, Together::Maximum, |code, column| {
            code.load(&self.source, &[row.clone(), column.clone()])
        });
        let sum = self.reduce(code, Together::Sum, |code, column| {
            let at = [row.clone(), column.clone()];
            let (value, largest) = (code.load(&self.source, &at), code.splat(&largest));
            let difference = code.subtract(&value, &largest);
            let power = exponential(code, &difference);
            code.store(&power, &self.result, &at);
            power
        });
        let one = code.scalar(1.0);
        let factor = code.divide_one(&one, &sum);
        self.each(code, |code, column| {
            let at = [row.clone(), column.clone()];
            let (power, factor) = (code.load(&self.result, &at), code.splat(&factor));
            let share = code.multiply(&power, &factor);
            code.store(&share, &self.result, &at);
        });
    }

    fn normalise(&self, code: &mut Code, row: &Value, numbers: Numbers, [scale, bias]: [&Memory; 2]) {
        #[expect(clippy::cast_precision_loss, reason = "rows are shorter than 2^24")]
        let columns = code.scalar(numbers.columns as f32);
        let sum = self.reduce(code, Together::Sum, |code, column| {
            code.load(&self.source, &[row.clone(), column.clone()])
        });
        let mean = code.divide_one(&sum, &columns);
        let squares = self.reduce(code, Together::Sum, |code, column| {
            let difference = self.difference(code, [row, column], &mean);
            code.multiply(&difference, &difference)
        });
        let variance = code.divide_one(&squares, &columns);
        let epsilon = code.scalar(numbers.epsilon);
        let variance = code.add_one(&variance, &epsilon);
        let (deviation, one) = (code.square_root_one(&variance), code.scalar(1.0));
        let factor = code.divide_one(&one, &deviation);
        self.each(code, |code, column| {
            let difference = self.difference(code, [row, column], &mean);
            let factor = code.splat(&factor);
            let value = code.multiply(&difference, &factor);
            let [scale, bias] = [scale, bias].map(|memory| code.load(memory, std::slice::from_ref(column)));
            let value = code.multiply_add(&value, &scale, &bias);
            code.store(&value, &self.result, &[row.clone(), column.clone()]);
        });
    }

    fn difference(&self, code: &mut Code, [row, column]: [&Value; 2], mean: &Value) -> Value {
        let value = code.load(&self.source, &[row.clone(), column.clone()]);
        let mean = code.splat(mean);
        code.subtract(&value, &mean)
    }

    /// Calls `body` with the first column of each vector.
    fn each(&self, code: &mut Code, body: impl Fn(&mut Code, &Value)) {
        for band in &self.bands {
            code.with_lanes(band.lanes, |code| {
                let round = divisor(band.blocks, SUMS) * band.lanes;
                code.repeat(band.blocks * band.lanes, round, |code, column| {
                    for offset in (0..round).step_by(band.lanes) {
                        let column = code.offset(column, band.first + offset);
                        body(code, &column);
                    }
                });
            });
        }
    }

    /// One float of what `body` gives for the first column of each vector.
    fn reduce(
        &self,
        code: &mut Code,
        together: Together,
        body: impl Fn(&mut Code, &Value) -> Value,
    ) -> Value {
        let mut results = Vec::new();
        for band in &self.bands {
            code.with_lanes(band.lanes, |code| {
                let vectors = divisor(band.blocks, SUMS);
                let start = code.constant(together.start().into());
                let (end, round) = (band.blocks * band.lanes, vectors * band.lanes);
                let sums = code.accumulate(end, round, vec![start; vectors], |code, column, sums| {
                    let with_next = |(number, sum): (usize, &Value)| {
                        let column = code.offset(column, band.first + number * band.lanes);
                        let next = body(code, &column);
                        together.of(code, &next, sum)
                    };
                    sums.iter().enumerate().map(with_next).collect()
                });
                results.push(code.fold(sums, |code, a, b| together.of(code, a, b)));
            });
        }
        let one_lane = |code: &mut Code, a: &Value, b: &Value| {
            let (mut result, [a, b]) = (String::new(), [a, b].map(Clone::clone));
            code.with_lanes(1, |code| {
                let [a, b] = [a, b].map(|float| code.splat(&float));
                let both = together.of(code, &a, &b);
                result = code.first_lane(&both);
            });
            result
        };
        results.into_iter().reduce(|a, b| one_lane(code, &a, &b)).expect("a row has a column")
    }
}
