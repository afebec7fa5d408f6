//! Convolution as it is defined.

use std::slice;

use super::code::{Code, Memory, Value};
use super::output::{self, Position, Spot};
use super::product::{self, Factors, Tile, add_channels};
use super::{Body, Buffers, Convolution, Simd, divisor};

/// Workgroups of a kernel, at most: as many as the boards that skipgate knows have fast cores.
pub(super) const WORKGROUPS: usize = 4;

/// `[block of filters][row][column][channel of the group][filter of the block]`.
pub(super) fn weights_shape(convolution: &Convolution, simd: Simd) -> Vec<usize> {
    let block = product::vectors(convolution, simd) * simd.lanes;
    let [rows, columns] = convolution.window.taps;
    vec![convolution.window.filters / block, rows, columns, convolution.window.channels_of_group(), block]
}

pub(super) fn weights(convolution: &Convolution, simd: Simd, weights: &[f32]) -> Vec<f32> {
    let [rows, columns] = convolution.window.taps;
    let [.., block] = weights_shape(convolution, simd)[..] else { unreachable!("it has five dimensions") };
    let channels = convolution.window.channels_of_group();
    let mut packed = Vec::with_capacity(weights.len());
    for first in (0..convolution.window.filters).step_by(block) {
        for tap in 0..rows * columns {
            for channel in 0..channels {
                let filters = first..first + block;
                packed.extend(
                    filters.map(|filter| weights[(filter * channels + channel) * rows * columns + tap]),
                );
            }
        }
    }
    packed
}

/// Numbers of the image that stand one behind the other, as do their factors: all channels of a row of taps, or those of a
/// group, or between gaps, at one tap.
struct Runs {
    /// In a row of taps.
    count: usize,
    length: usize,
}

impl Runs {
    fn of(convolution: &Convolution) -> Self {
        let (taps, channels) = (convolution.window.taps[1], convolution.window.channels_of_group());
        if convolution.window.groups == 1 && convolution.window.dilations[1] == 1 {
            Self { count: 1, length: taps * channels }
        } else {
            Self { count: taps, length: channels }
        }
    }
}

/// What the kernel reads and writes.
struct Layer<'a> {
    convolution: &'a Convolution,
    buffers: &'a Buffers,
    runs: Runs,
    /// `[row][column and channel]`.
    image: Memory,
    /// `[block of filters][row][run][place in it][filter of the block]`.
    weights: Memory,
}

pub(super) fn body(convolution: &Convolution, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let buffers = Buffers::bind(&mut code, convolution, &weights_shape(convolution, simd));
    let layer = Layer::new(&mut code, convolution, &buffers);
    let [rows, columns] = convolution.window.size;
    let workgroups = divisor(rows, WORKGROUPS);
    let workgroup = code.workgroup();
    let first = code.multiple(&workgroup, rows / workgroups);
    code.repeat(rows / workgroups, 1, |code, row| {
        let row = code.sum(&first, row);
        Tile::each(code, convolution, columns, |code, tile, column| {
            let blocks = convolution.window.alike_filters() / tile.filters(simd);
            code.repeat(convolution.window.groups, 1, |code, group| {
                let first = code.multiple(group, blocks);
                code.repeat(blocks, 1, |code, block| {
                    let block = code.sum(&first, block);
                    layer.pixels(code, tile, [&row, column, group, &block]);
                });
            });
        });
    });
    output::write_zeros(&mut code, convolution, &workgroup);
    Body { text: code.finish(), workgroups }
}

impl<'a> Layer<'a> {
    fn new(code: &mut Code, convolution: &'a Convolution, buffers: &'a Buffers) -> Self {
        let runs = Runs::of(convolution);
        let [rows, columns] = convolution.input.outer;
        let [blocks, tap_rows, .., block] = weights_shape(convolution, code.simd())[..] else {
            unreachable!("it has five dimensions")
        };
        let image = code.binding(0, &[rows, columns * convolution.window.channels]);
        let weights = code.binding(1, &[blocks, tap_rows, runs.count, runs.length, block]);
        Self { convolution, buffers, runs, image, weights }
    }

    /// The results of one block of filters at some neighbouring pixels.
    fn pixels(&self, code: &mut Code, tile: Tile, [row, column, group, block]: [&Value; 4]) {
        let window = &self.convolution.window;
        let filter = code.multiple(block, tile.filters(code.simd()));
        let bias = code.load_several(&self.buffers.bias, slice::from_ref(&filter), tile.vectors);
        let start = bias.iter().cloned().cycle().take(tile.pixels * tile.vectors).collect();
        let [top, left] = self.convolution.first_tap(code, [row, column]);
        let left = code.multiple(&left, window.channels);
        let channel = code.multiple(group, window.channels_of_group());
        let left = code.sum(&left, &channel);
        let sums = code.accumulate(window.taps[0], 1, start, |code, tap_row, sums| {
            let below = code.multiple(tap_row, window.dilations[0]);
            let image_row = code.sum(&top, &below);
            code.accumulate(self.runs.count, 1, sums, |code, run, sums| {
                let first = code.multiple(run, window.channels * window.dilations[1]);
                let first = code.sum(&left, &first);
                let step = window.strides[1] * window.channels;
                let pixels: Vec<_> = (0..tile.pixels)
                    .map(|pixel| vec![image_row.clone(), code.offset(&first, pixel * step)])
                    .collect();
                let before = [block.clone(), tap_row.clone(), run.clone()];
                let none = code.index(0);
                let factors = Factors { memory: &self.weights, before: &before, column: &none };
                add_channels(code, tile, self.runs.length, sums, (&self.image, &pixels), factors)
            })
        });
        let spots: Vec<_> = (0..tile.pixels)
            .map(|pixel| {
                let column = code.offset(column, pixel);
                Spot {
                    position: Position::of(code, self.convolution, [row, &column]),
                    filter: filter.clone(),
                }
            })
            .collect();
        output::write(code, self.convolution, self.buffers, &sums, &spots);
    }
}
