//! The end of a kernel: residual sum, activation, and the zeros around the result.

use std::ops::Range;

use super::code::{Code, Memory, Value};
use super::{Buffers, Convolution, Place};

/// What is done to every result. The numbers are bits of floats, so that activations can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Activation {
    Identity,
    Relu,
    /// Between two limits.
    Clip {
        low: u32,
        high: u32,
    },
}

impl Activation {
    fn apply(self, code: &mut Code, value: &Value) -> Value {
        match self {
            Self::Identity => value.clone(),
            Self::Relu => {
                let zero = code.constant(0.0);
                code.at_least(value, &zero)
            }
            Self::Clip { low, high } => {
                let [low, high] = [low, high].map(|bits| code.constant(f64::from(f32::from_bits(bits))));
                let value = code.at_least(value, &low);
                code.at_most(&value, &high)
            }
        }
    }
}

/// Writes `sum` as the result at `row`, `column` and `filter`.
pub(super) fn write(
    code: &mut Code,
    convolution: &Convolution,
    buffers: &Buffers,
    sum: &Value,
    [row, column, filter]: [&Value; 3],
) {
    let mut sum = sum.clone();
    if let (Some(place), Some(residual)) = (&convolution.residual, &buffers.residual) {
        let at = [code.offset(row, place.low[0]), code.offset(column, place.low[1]), filter.clone()];
        let residual = code.load(residual, &at);
        sum = code.add(&sum, &residual);
    }
    let result = convolution.activation.apply(code, &sum);
    let low = convolution.output.low;
    let at = [code.offset(row, low[0]), code.offset(column, low[1]), filter.clone()];
    code.store(&result, &buffers.result, &at);
}

/// Writes the zeros around the image, in the first workgroup.
pub(super) fn write_zeros(code: &mut Code, convolution: &Convolution, result: &Memory, workgroup: &Value) {
    let Convolution { output: Place { outer, low }, size, .. } = *convolution;
    if convolution.in_place || outer == size {
        return;
    }
    let high = [0, 1].map(|axis| low[axis] + size[axis]);
    code.only_at(workgroup, 0, |code| {
        zeros(code, convolution, result, [0..low[0], 0..outer[1]]);
        zeros(code, convolution, result, [low[0]..high[0], 0..low[1]]);
        zeros(code, convolution, result, [low[0]..high[0], high[1]..outer[1]]);
        zeros(code, convolution, result, [high[0]..outer[0], 0..outer[1]]);
    });
}

fn zeros(code: &mut Code, convolution: &Convolution, result: &Memory, [rows, columns]: [Range<usize>; 2]) {
    if rows.is_empty() || columns.is_empty() {
        return;
    }
    let zero = code.constant(0.0);
    let lanes = code.simd().lanes;
    code.repeat(rows.len(), 1, |code, row| {
        let row = code.offset(row, rows.start);
        code.repeat(columns.len(), 1, |code, column| {
            let column = code.offset(column, columns.start);
            code.repeat(convolution.filters, lanes, |code, filter| {
                code.store(&zero, result, &[row.clone(), column.clone(), filter.clone()]);
            });
        });
    });
}
