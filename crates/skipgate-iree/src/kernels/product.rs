//! The inner loop of all kernels: pixels times filters, with all sums in registers.

use std::slice;

use super::code::{Code, Memory, Value};
use super::{Convolution, Simd, divisor};

/// Sums that are computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) pixels: usize,
    /// Vectors of filters.
    pub(super) vectors: usize,
}

impl Tile {
    /// Calls `body` for tiles that together are `pixels` pixels, with the first pixel of each: as large ones as registers
    /// have room for, and one with what is left.
    pub(super) fn each(
        code: &mut Code,
        convolution: &Convolution,
        pixels: usize,
        mut body: impl FnMut(&mut Code, Self, &Value),
    ) {
        let vectors = vectors(convolution, code.simd());
        let full = Self { pixels: pixels.min(code.simd().sums / vectors), vectors };
        let rest = Self { pixels: pixels % full.pixels, vectors };
        let end = pixels - rest.pixels;
        code.repeat(end, full.pixels, |code, first| body(code, full, first));
        if rest.pixels > 0 {
            let first = code.index(end);
            body(code, rest, &first);
        }
    }

    pub(super) fn filters(self, simd: Simd) -> usize {
        self.vectors * simd.lanes
    }
}

/// Vectors of filters in a tile of `convolution`: the kernels' weights come in blocks of them.
pub(super) fn vectors(convolution: &Convolution, simd: Simd) -> usize {
    divisor(convolution.filters / simd.lanes, simd.vectors)
}

/// Adds to `sums`, pixel by pixel, what `channels` channels give. `pixel` says where channel 0 of a pixel is, `weights`
/// where the vectors of channel 0 are; the last index of the one and the last but one of the other are the channel.
pub(super) fn add_channels(
    code: &mut Code,
    tile: Tile,
    channels: usize,
    sums: Vec<Value>,
    (image, pixels): (&Memory, &[Vec<Value>]),
    (weights, filters): (&Memory, &[Value]),
) -> Vec<Value> {
    let simd = code.simd();
    let by_lane = simd.by_lane && channels % simd.lanes == 0;
    let step = if by_lane { simd.lanes } else { divisor(channels, 4) };
    code.accumulate(channels, step, sums, |code, channel, mut sums| {
        let at = |pixel: &Vec<Value>, channel: &Value| [&pixel[..], slice::from_ref(channel)].concat();
        let rows: Vec<_> = if by_lane {
            pixels.iter().map(|pixel| code.load(image, &at(pixel, channel))).collect()
        } else {
            vec![]
        };
        for lane in 0..step {
            let channel = code.offset(channel, lane);
            let vectors: Vec<_> = (0..tile.vectors)
                .map(|vector| {
                    let column = code.index(vector * simd.lanes);
                    code.load(weights, &[filters, &[channel.clone(), column]].concat())
                })
                .collect();
            for (number, pixel) in pixels.iter().enumerate() {
                let factor = match rows.get(number) {
                    Some(row) => code.lane(row, lane),
                    None => code.load_splat(image, &at(pixel, &channel)),
                };
                for (sum, vector) in sums[number * tile.vectors..].iter_mut().zip(&vectors) {
                    *sum = code.multiply_add(&factor, vector, sum);
                }
            }
        }
        sums
    })
}
