//! Copies of a part of an image into a larger one of zeros: padding, and shortcuts without weights.

use super::code::{Code, Memory, Value};
use super::direct::WORKGROUPS;
use super::{Body, Simd, divisor};

/// A part of an image, channels last, in the middle of zeros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Excerpt {
    /// Rows, columns and channels of the image that is read.
    pub(crate) from: [usize; 3],
    /// Whether that image has its channels first instead of last.
    pub(crate) is_planar: bool,
    /// The first row, column and channel that are taken.
    pub(crate) starts: [usize; 3],
    /// From one that is taken to the next.
    pub(crate) steps: [usize; 3],
    /// How many are taken.
    pub(crate) sizes: [usize; 3],
    /// Rows, columns and channels of the result.
    pub(crate) to: [usize; 3],
    /// Where in the result the part begins.
    pub(crate) low: [usize; 3],
}

impl Excerpt {
    /// What profiles show: sizes of the image and of the result.
    pub(super) fn name(&self) -> String {
        let [from, to] =
            [self.from, self.to].map(|[rows, columns, channels]| format!("{rows}x{columns}x{channels}"));
        format!("excerpt_{from}_{to}")
    }

    fn source_shape(&self) -> [usize; 3] {
        let [rows, columns, channels] = self.from;
        if self.is_planar { [channels, rows, columns] } else { self.from }
    }
}

pub(super) fn body(excerpt: &Excerpt, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let source = code.binding(0, &excerpt.source_shape());
    let result = code.binding(1, &excerpt.to);
    let rows = excerpt.to[0];
    let workgroups = divisor(rows, WORKGROUPS);
    let workgroup = code.workgroup();
    let first = code.multiple(&workgroup, rows / workgroups);
    let copier = Copier { excerpt, source, result };
    code.repeat(rows / workgroups, 1, |code, row| {
        let row = code.sum(&first, row);
        let inside = (excerpt.low[0], excerpt.low[0] + excerpt.sizes[0]);
        code.either_within(&row, inside, |code, is_inside| {
            if is_inside { copier.row(code, &row) } else { copier.zeros(code, [&row], 0..excerpt.to[1]) }
        });
    });
    Body { text: code.finish(), workgroups }
}

struct Copier<'a> {
    excerpt: &'a Excerpt,
    source: Memory,
    result: Memory,
}

impl Copier<'_> {
    /// A row with a part of the image.
    fn row(&self, code: &mut Code, row: &Value) {
        let Excerpt { low, sizes, to, .. } = *self.excerpt;
        let end = low[1] + sizes[1];
        self.zeros(code, [row], 0..low[1]);
        code.repeat(sizes[1], 1, |code, column| self.pixel(code, row, column));
        self.zeros(code, [row], end..to[1]);
    }

    /// Zeros in all channels of some columns of a row.
    fn zeros(&self, code: &mut Code, [row]: [&Value; 1], columns: std::ops::Range<usize>) {
        if columns.is_empty() {
            return;
        }
        code.repeat(columns.len(), 1, |code, column| {
            let column = code.offset(column, columns.start);
            self.zero_channels(code, [row, &column], 0..self.excerpt.to[2]);
        });
    }

    fn zero_channels(&self, code: &mut Code, [row, column]: [&Value; 2], channels: std::ops::Range<usize>) {
        let (zeros, zero) = (code.constant(0.0), code.scalar(0.0));
        code.channels(channels.len(), |code, channel, is_vector| {
            let at = [row.clone(), column.clone(), code.offset(channel, channels.start)];
            if is_vector {
                code.store(&zeros, &self.result, &at);
            } else {
                code.store_one(&zero, &self.result, &at);
            }
        });
    }

    /// Column number `column` of the part, in row `row` of the result.
    fn pixel(&self, code: &mut Code, row: &Value, column: &Value) {
        let Excerpt { low, sizes, to, starts, steps, is_planar, .. } = *self.excerpt;
        let target = code.offset(column, low[1]);
        self.zero_channels(code, [row, &target], 0..low[2]);
        self.zero_channels(code, [row, &target], low[2] + sizes[2]..to[2]);
        let source_row = code.less(row, low[0]);
        let [source_row, source_column] = [(source_row, 0), (column.clone(), 1)].map(|(place, axis)| {
            let place = code.multiple(&place, steps[axis]);
            code.offset(&place, starts[axis])
        });
        let copy = |code: &mut Code, channel: &Value, is_vector: bool| {
            let source_channel = code.multiple(channel, steps[2]);
            let source_channel = code.offset(&source_channel, starts[2]);
            let mut from = vec![source_row.clone(), source_column.clone(), source_channel];
            if is_planar {
                from.rotate_right(1);
            }
            let to = [row.clone(), target.clone(), code.offset(channel, low[2])];
            if is_vector {
                let value = code.load(&self.source, &from);
                code.store(&value, &self.result, &to);
            } else {
                let value = code.load_one(&self.source, &from);
                code.store_one(&value, &self.result, &to);
            }
        };
        if is_planar || steps[2] != 1 {
            code.repeat(sizes[2], 1, |code, channel| copy(code, channel, false));
        } else {
            code.channels(sizes[2], copy);
        }
    }
}
