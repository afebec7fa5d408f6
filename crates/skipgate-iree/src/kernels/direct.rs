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

pub(super) fn body(convolution: &Convolution, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let buffers = Buffers::bind(&mut code, convolution, &weights_shape(convolution, simd));
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
    let channels = convolution.window.channels_of_group();
    let channel = code.multiple(group, channels);
    let filter = code.multiple(block, tile.filters(code.simd()));
    let filters: Vec<_> =
        (0..tile.vectors).map(|vector| code.offset(&filter, vector * code.simd().lanes)).collect();
    let bias: Vec<_> =
        filters.iter().map(|filter| code.load(&buffers.bias, slice::from_ref(filter))).collect();
    let start = bias.iter().cloned().cycle().take(tile.pixels * tile.vectors).collect();
    let [top, left] = convolution.first_tap(code, [row, column]);
    let [tap_rows, tap_columns] = convolution.window.taps;
    let sums = code.accumulate(tap_rows, 1, start, |code, tap_row, sums| {
        let image_row = code.sum(&top, tap_row);
        code.accumulate(tap_columns, 1, sums, |code, tap_column, sums| {
            let image_column = code.sum(&left, tap_column);
            let pixels: Vec<_> = (0..tile.pixels)
                .map(|pixel| {
                    let column = code.offset(&image_column, pixel * convolution.window.strides[1]);
                    vec![image_row.clone(), column, channel.clone()]
                })
                .collect();
            let filters = [block.clone(), tap_row.clone(), tap_column.clone()];
            let none = code.index(0);
            let factors = Factors { memory: &buffers.weights, before: &filters, column: &none };
            add_channels(code, tile, channels, sums, (&buffers.image, &pixels), factors)
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
