//! The end of a kernel: residual sum, activation, quantisation, and the zeros around the result.

use std::ops::Range;

use super::code::{Code, Value};
use super::curve::Curve;
use super::{Buffers, Convolution, Place, Window};

/// 1.5 * 2^23: added to a float of less than 2^22 and subtracted again, it leaves the nearest integer, the even one of two
/// that are as near.
pub(crate) const ROUNDER: f32 = 12_582_912.0;

/// Something that is done to every sum. The numbers are bits of floats, so that steps can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The image there is added.
    Add(Place),
    Relu,
    /// Between two limits.
    Clip {
        low: u32,
        high: u32,
    },
    /// The value of a curve there takes its place.
    Curve(Curve),
    /// It is multiplied by the value of a curve there.
    TimesCurve(Curve),
    Quantize(Quantization),
}

/// Rounds to multiples of a scale, between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantization {
    /// The bits of a positive float.
    pub(crate) scale: u32,
    /// The least multiple.
    pub(crate) low: i32,
    /// The greatest.
    pub(crate) high: i32,
}

impl Quantization {
    fn apply(self, code: &mut Code, value: &Value) -> Value {
        let scale = f64::from(f32::from_bits(self.scale));
        let [inverse, low, high, rounder, scale] =
            [scale.recip(), self.low.into(), self.high.into(), ROUNDER.into(), scale]
                .map(|number| code.constant(number));
        let scaled = code.multiply(value, &inverse);
        let scaled = code.at_least(&scaled, &low);
        let scaled = code.at_most(&scaled, &high);
        let shifted = code.add(&scaled, &rounder);
        let rounded = code.subtract(&shifted, &rounder);
        code.multiply(&rounded, &scale)
    }
}

/// Where a pixel is in the buffers, by dimension but for the filters.
pub(super) struct Position {
    /// In the image that is added, if there is one.
    pub(super) residual: Option<Vec<Value>>,
    pub(super) result: Vec<Value>,
}

impl Position {
    /// The pixel at `row` and `column` of the result.
    pub(super) fn of(code: &mut Code, convolution: &Convolution, [row, column]: [&Value; 2]) -> Self {
        let at = |place: &Place, code: &mut Code| {
            vec![code.offset(row, place.low[0]), code.offset(column, place.low[1])]
        };
        Self {
            residual: convolution.residual().map(|place| at(place, code)),
            result: at(&convolution.output, code),
        }
    }
}

/// Writes `sums`, one vector behind the other, as the results of the filters from `filter` on at `position`.
pub(super) fn write(
    code: &mut Code,
    convolution: &Convolution,
    buffers: &Buffers,
    sums: &[Value],
    (position, filter): (&Position, &Value),
) {
    let at = |pixel: &[Value]| [pixel, std::slice::from_ref(filter)].concat();
    let mut results = sums.to_vec();
    for step in &convolution.steps {
        let residuals = if let Step::Add(_) = step {
            let residual = buffers.residual.as_ref().zip(position.residual.as_deref());
            let (memory, pixel) = residual.expect("what is added is bound");
            code.load_several(memory, &at(pixel), sums.len())
        } else {
            vec![]
        };
        for (number, result) in results.iter_mut().enumerate() {
            *result = apply(code, step, result, residuals.get(number));
        }
    }
    code.store_several(&results, &buffers.result, &at(&position.result));
}

fn apply(code: &mut Code, step: &Step, value: &Value, residual: Option<&Value>) -> Value {
    match step {
        Step::Add(_) => code.add(value, residual.expect("what is added is loaded")),
        Step::Relu => {
            let zero = code.constant(0.0);
            code.at_least(value, &zero)
        }
        Step::Clip { low, high } => {
            let [low, high] = [low, high].map(|bits| code.constant(f64::from(f32::from_bits(*bits))));
            let value = code.at_least(value, &low);
            code.at_most(&value, &high)
        }
        Step::Curve(curve) => curve.at(code, value),
        Step::TimesCurve(curve) => {
            let factor = curve.at(code, value);
            code.multiply(value, &factor)
        }
        Step::Quantize(quantization) => quantization.apply(code, value),
    }
}

/// Writes the zeros around the image, in the first workgroup.
pub(super) fn write_zeros(code: &mut Code, convolution: &Convolution, workgroup: &Value) {
    let Convolution { output: Place { outer, low }, window: Window { size, .. }, .. } = *convolution;
    if outer == size {
        return;
    }
    let high = [0, 1].map(|axis| low[axis] + size[axis]);
    code.only_at(workgroup, 0, |code| {
        zeros(code, convolution, [0..low[0], 0..outer[1]]);
        zeros(code, convolution, [low[0]..high[0], 0..low[1]]);
        zeros(code, convolution, [low[0]..high[0], high[1]..outer[1]]);
        zeros(code, convolution, [high[0]..outer[0], 0..outer[1]]);
    });
}

fn zeros(code: &mut Code, convolution: &Convolution, [rows, columns]: [Range<usize>; 2]) {
    if rows.is_empty() || columns.is_empty() {
        return;
    }
    let result = Buffers::result(code, convolution);
    let (zero, one_zero) = (code.constant(0.0), code.scalar(0.0));
    code.repeat(rows.len(), 1, |code, row| {
        let row = code.offset(row, rows.start);
        code.repeat(columns.len(), 1, |code, column| {
            let column = code.offset(column, columns.start);
            code.channels(convolution.window.filters, |code, filter, is_vector| {
                let at = [row.clone(), column.clone(), filter.clone()];
                if is_vector {
                    code.store(&zero, &result, &at);
                } else {
                    code.store_one(&one_zero, &result, &at);
                }
            });
        });
    });
}
