//! Convolution as it is defined.

use std::slice;

use super::code::{Code, Value};
use super::output::{self, Position};
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

/// What the inner loop goes over, for each row of a filter.
struct Run {
    /// Taps that are apart.
    taps: usize,
    /// Channels that follow one another, at each of them.
    channels: usize,
}

impl Run {
    /// Where pixels have no other channels, those of a row of taps follow one another, as if it were one tap with more
    /// channels; so even few channels fill vectors.
    fn of(convolution: &Convolution, simd: Simd) -> Self {
        let window = &convolution.window;
        let (taps, channels) = (window.taps[1], window.channels_of_group());
        if simd.joins_taps && window.groups == 1 {
            Self { taps: 1, channels: taps * channels }
        } else {
            Self { taps, channels }
        }
    }
}

pub(super) fn body(convolution: &Convolution, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let mut buffers = Buffers::bind(&mut code, convolution, &weights_shape(convolution, simd));
    let run = Run::of(convolution, simd);
    if simd.joins_taps {
        let [rows, columns] = convolution.input.outer;
        buffers.image = code.binding(0, &[rows, columns * convolution.window.channels]);
        let [blocks, tap_rows, .., block] = weights_shape(convolution, simd)[..] else {
            unreachable!("it has five dimensions")
        };
        buffers.weights = code.binding(1, &[blocks, tap_rows, run.taps, run.channels, block]);
    }
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
                    pixels(code, convolution, &buffers, tile, [&row, column, group, &block]);
                });
            });
        });
    });
    output::write_zeros(&mut code, convolution, &workgroup);
    Body { text: code.finish(), workgroups }
}

/// The results of one block of filters at some neighbouring pixels.
fn pixels(
    code: &mut Code,
    convolution: &Convolution,
    buffers: &Buffers,
    tile: Tile,
    [row, column, group, block]: [&Value; 4],
) {
    let run = Run::of(convolution, code.simd());
    let channel = code.multiple(group, convolution.window.channels_of_group());
    let filter = code.multiple(block, tile.filters(code.simd()));
    let filters: Vec<_> =
        (0..tile.vectors).map(|vector| code.offset(&filter, vector * code.simd().lanes)).collect();
    let bias: Vec<_> =
        filters.iter().map(|filter| code.load(&buffers.bias, slice::from_ref(filter))).collect();
    let start = bias.iter().cloned().cycle().take(tile.pixels * tile.vectors).collect();
    let [top, left] = convolution.first_tap(code, [row, column]);
    let sums = code.accumulate(convolution.window.taps[0], 1, start, |code, tap_row, sums| {
        let image_row = code.sum(&top, tap_row);
        code.accumulate(run.taps, 1, sums, |code, tap_column, sums| {
            let image_column = code.sum(&left, tap_column);
            let pixels: Vec<_> = (0..tile.pixels)
                .map(|pixel| {
                    let column = code.offset(&image_column, pixel * convolution.window.strides[1]);
                    place(code, convolution, [&image_row, &column, &channel])
                })
                .collect();
            let filters = [block.clone(), tap_row.clone(), tap_column.clone()];
            let none = code.index(0);
            let factors = Factors { memory: &buffers.weights, before: &filters, column: &none };
            add_channels(code, tile, run.channels, sums, (&buffers.image, &pixels), factors)
        })
    });
    for (pixel, sums) in sums.chunks(tile.vectors).enumerate() {
        let column = code.offset(column, pixel);
        let position = Position::of(code, convolution, [row, &column]);
        for (sum, filter) in sums.iter().zip(&filters) {
            output::write(code, convolution, buffers, sum, (&position, filter));
        }
    }
}

/// The place of a channel in the image, which has rows of floats where taps are joined.
fn place(code: &mut Code, convolution: &Convolution, [row, column, channel]: [&Value; 3]) -> Vec<Value> {
    if !code.simd().joins_taps {
        return vec![row.clone(), column.clone(), channel.clone()];
    }
    let column = code.multiple(column, convolution.window.channels);
    vec![row.clone(), code.sum(&column, channel)]
}
