//! The end of a kernel: residual sum, activation, quantisation, and the zeros around the result.

use std::ops::Range;
use std::slice;

use super::code::{Code, Value, each, each_pair};
use super::curve::Curve;
use super::{Buffers, Convolution, Place, Window};

/// 1.5 * 2^23: added to a float of less than 2^22 and subtracted again, it leaves the nearest integer, the even one of two
/// that are as near.
pub(crate) const ROUNDER: f32 = 12_582_912.0;

/// Vectors of results that are computed side by side: with more, 32-bit Arm's registers overflow.
const TOGETHER: usize = 2;

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

/// Where some vectors of results belong that stand one behind the other.
pub(super) struct Spot {
    pub(super) position: Position,
    /// That of the first one.
    pub(super) filter: Value,
    /// How many lanes of a single vector are results, where it has more lanes than there are filters left.
    pub(super) part: Option<usize>,
}

impl Spot {
    fn at(&self, pixel: &[Value]) -> Vec<Value> {
        [pixel, slice::from_ref(&self.filter)].concat()
    }
}

/// Writes `sums`, equally many at each spot.
pub(super) fn write(
    code: &mut Code,
    convolution: &Convolution,
    buffers: &Buffers,
    sums: &[Value],
    spots: &[Spot],
) {
    let vectors = sums.len() / spots.len();
    let together = (TOGETHER / vectors).max(1);
    for (sums, spots) in sums.chunks(together * vectors).zip(spots.chunks(together)) {
        write_together(code, convolution, buffers, sums, spots);
    }
}

fn write_together(
    code: &mut Code,
    convolution: &Convolution,
    buffers: &Buffers,
    sums: &[Value],
    spots: &[Spot],
) {
    let vectors = sums.len() / spots.len();
    let mut results = sums.to_vec();
    for step in &convolution.steps {
        let mut residuals = Vec::new();
        for spot in spots.iter().filter(|_| matches!(step, Step::Add(_))) {
            let residual = buffers.residual.as_ref().zip(spot.position.residual.as_deref());
            let (memory, pixel) = residual.expect("what is added is bound");
            residuals.extend(match spot.part {
                None => code.load_several(memory, &spot.at(pixel), vectors),
                Some(count) => vec![code.load_part(memory, &spot.at(pixel), count)],
            });
        }
        results = apply(code, step, &results, &residuals);
    }
    for (spot, results) in spots.iter().zip(results.chunks(vectors)) {
        let at = spot.at(&spot.position.result);
        match spot.part {
            None => code.store_several(results, &buffers.result, &at),
            Some(count) => code.store_part(&results[0], &buffers.result, &at, count),
        }
    }
}

/// What `step` makes of `values`.
fn apply(code: &mut Code, step: &Step, values: &[Value], residuals: &[Value]) -> Vec<Value> {
    match step {
        Step::Add(_) => each_pair(values, residuals, |value, residual| code.add(value, residual)),
        Step::Relu => {
            let zero = code.constant(0.0);
            each(values, |value| code.at_least(value, &zero))
        }
        Step::Clip { low, high } => {
            let [low, high] = [low, high].map(|bits| code.constant(f64::from(f32::from_bits(*bits))));
            let values = each(values, |value| code.at_least(value, &low));
            each(&values, |value| code.at_most(value, &high))
        }
        Step::Curve(curve) => curve.at(code, values),
        Step::TimesCurve(curve) => {
            let factors = curve.at(code, values);
            each_pair(values, &factors, |value, factor| code.multiply(value, factor))
        }
        Step::Quantize(quantization) => each(values, |value| quantization.apply(code, value)),
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
