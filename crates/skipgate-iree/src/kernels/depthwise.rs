//! Depthwise convolution: each channel has a filter of its own.

use std::collections::BTreeMap;
use std::slice;

use super::code::{Code, Value};
use super::direct::WORKGROUPS;
use super::grid::Band;
use super::output::{self, Position, Spot};
use super::{Body, Buffers, Convolution, Simd, Window, divisor};

/// Most taps of a filter, 7x7, that there is code for one by one. Larger filters are gone over in loops.
const MOST_TAPS_WRITTEN_OUT: usize = 49;

/// Rows of results that are computed at once: each row of the image is read once for all of them.
const HEIGHT: usize = 2;

/// `[row][column][channel]`.
pub(super) fn weights_shape(convolution: &Convolution) -> Vec<usize> {
    let [rows, columns] = convolution.window.taps;
    vec![rows, columns, convolution.window.channels]
}

pub(super) fn weights(convolution: &Convolution, weights: &[f32]) -> Vec<f32> {
    let taps = convolution.window.taps.iter().product();
    (0..taps).flat_map(|tap| weights.iter().skip(tap).step_by(taps)).copied().collect()
}

pub(super) fn body(convolution: &Convolution, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let buffers = Buffers::bind(&mut code, convolution, &weights_shape(convolution));
    let [rows, columns] = convolution.window.size;
    let workgroups = divisor(rows, WORKGROUPS);
    let workgroup = code.workgroup();
    let first = code.multiple(&workgroup, rows / workgroups);
    let height = if is_written_out(&convolution.window) { HEIGHT } else { 1 };
    code.pieces(rows / workgroups, height, |code, height, row| {
        let row = code.sum(&first, row);
        code.pieces(columns, simd.sums / height, |code, width, column| {
            let tile = Tile { convolution, buffers: &buffers, size: [height, width] };
            for band in Band::of(convolution.window.channels, 1, simd.lanes) {
                code.with_lanes(band.lanes, |code| {
                    code.repeat(band.blocks * band.lanes, band.lanes, |code, channel| {
                        let channel = code.offset(channel, band.first);
                        tile.compute(code, [&row, column, &channel]);
                    });
                });
            }
        });
    });
    output::write_zeros(&mut code, convolution, &workgroup);
    Body { text: code.finish(), workgroups }
}

fn is_written_out(window: &Window) -> bool {
    window.taps.iter().product::<usize>() <= MOST_TAPS_WRITTEN_OUT
}

/// Neighbouring results of one vector of channels.
struct Tile<'a> {
    convolution: &'a Convolution,
    buffers: &'a Buffers,
    /// Rows and columns.
    size: [usize; 2],
}

impl Tile<'_> {
    fn compute(&self, code: &mut Code, [row, column, channel]: [&Value; 3]) {
        let [top, left] = self.convolution.first_tap(code, [row, column]);
        let [height, width] = self.size;
        let bias = code.load(&self.buffers.bias, slice::from_ref(channel));
        let bias = vec![bias; height * width];
        let sums = if is_written_out(&self.convolution.window) {
            self.add_rows(code, bias, [&top, &left, channel])
        } else {
            self.add_in_loops(code, bias, [&top, &left, channel])
        };
        let spots: Vec<_> = (0..sums.len())
            .map(|place| {
                let (row, column) = (code.offset(row, place / width), code.offset(column, place % width));
                Spot {
                    position: Position::of(code, self.convolution, [&row, &column]),
                    filter: channel.clone(),
                    part: None,
                }
            })
            .collect();
        output::write(code, self.convolution, self.buffers, &sums, &spots);
    }

    /// Adds all taps, which are written out one by one.
    fn add_rows(
        &self,
        code: &mut Code,
        mut sums: Vec<Value>,
        [top, left, channel]: [&Value; 3],
    ) -> Vec<Value> {
        let Window { taps, strides, dilations, .. } = &self.convolution.window;
        let last = (self.size[0] - 1) * strides[0] + (taps[0] - 1) * dilations[0] + 1;
        for image_row in 0..last {
            let at = code.offset(top, image_row);
            self.add_row(code, &mut sums, image_row, [&at, left, channel]);
        }
        sums
    }

    /// Adds all taps in loops, to the results of one row.
    fn add_in_loops(
        &self,
        code: &mut Code,
        sums: Vec<Value>,
        [top, left, channel]: [&Value; 3],
    ) -> Vec<Value> {
        let Window { taps, strides, dilations, .. } = &self.convolution.window;
        code.accumulate(taps[0], 1, sums, |code, tap_row, sums| {
            let below = code.multiple(tap_row, dilations[0]);
            let row = code.sum(top, &below);
            code.accumulate(taps[1], 1, sums, |code, tap_column, sums| {
                let aside = code.multiple(tap_column, dilations[1]);
                let left = code.sum(left, &aside);
                let tap = [tap_row.clone(), tap_column.clone(), channel.clone()];
                let weight = code.load(&self.buffers.weights, &tap);
                let add = |(place, sum): (usize, &Value)| {
                    let column = code.offset(&left, place * strides[1]);
                    let pixel = code.load(&self.buffers.image, &[row.clone(), column, channel.clone()]);
                    code.multiply_add(&pixel, &weight, sum)
                };
                sums.iter().enumerate().map(add).collect()
            })
        })
    }

    /// Adds what row number `image_row` of the tile's part of the image gives. Pixels are loaded when the first tap needs
    /// them, so that few are in registers at a time.
    fn add_row(
        &self,
        code: &mut Code,
        sums: &mut [Value],
        image_row: usize,
        [row, left, channel]: [&Value; 3],
    ) {
        let Window { taps: [tap_rows, tap_columns], strides: [down, right], dilations, .. } =
            self.convolution.window;
        let width = self.size[1];
        let tap_row = |result: &usize| {
            let below = image_row.checked_sub(result * down)?;
            Some(below / dilations[0]).filter(|tap| below % dilations[0] == 0 && *tap < tap_rows)
        };
        let results: Vec<_> =
            (0..self.size[0]).filter_map(|result| Some((result, tap_row(&result)?))).collect();
        let mut pixels = BTreeMap::new();
        for tap_column in 0..tap_columns {
            for &(result, tap_row) in &results {
                let tap = [code.index(tap_row), code.index(tap_column), channel.clone()];
                let weight = code.load(&self.buffers.weights, &tap);
                for place in 0..width {
                    let column = place * right + tap_column * dilations[1];
                    let pixel: &Value = pixels.entry(column).or_insert_with(|| {
                        let column = code.offset(left, column);
                        code.load(&self.buffers.image, &[row.clone(), column, channel.clone()])
                    });
                    let sum = &mut sums[result * width + place];
                    *sum = code.multiply_add(pixel, &weight, sum);
                }
            }
        }
    }
}
