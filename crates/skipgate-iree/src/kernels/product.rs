//! The inner loop of all kernels: pixels times filters, with all sums in registers.

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
        let most = code.simd().sums / vectors;
        code.pieces(pixels, most, |code, pixels, first| body(code, Self { pixels, vectors }, first));
    }

    pub(super) fn filters(self, simd: Simd) -> usize {
        self.vectors * simd.lanes
    }
}

/// Vectors of filters in a tile of `convolution`: the kernels' weights come in blocks of them.
pub(super) fn vectors(convolution: &Convolution, simd: Simd) -> usize {
    divisor(convolution.window.alike_filters() / simd.lanes, simd.vectors)
}

/// Adds to `sums`, pixel by pixel, what `channels` channels give. `pixels` say where the first channel of each pixel is: the
/// last index is the channel. `filters` say where the vectors of that channel are: the last index but one, which comes
/// behind them, is the channel.
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
        let mut rows = Vec::new();
        for pixel in pixels.iter().filter(|_| by_lane) {
            let at = at_channel(code, pixel, channel);
            rows.push(code.load(image, &at));
        }
        for lane in 0..step {
            let channel = code.offset(channel, lane);
            let vectors: Vec<_> = (0..tile.vectors)
                .map(|vector| {
                    let column = code.index(vector * simd.lanes);
                    code.load(weights, &[filters, &[channel.clone(), column]].concat())
                })
                .collect();
            for (number, pixel) in pixels.iter().enumerate() {
                let factor = if let Some(row) = rows.get(number) {
                    code.lane(row, lane)
                } else {
                    let at = at_channel(code, pixel, &channel);
                    code.load_splat(image, &at)
                };
                for (sum, vector) in sums[number * tile.vectors..].iter_mut().zip(&vectors) {
                    *sum = code.multiply_add(&factor, vector, sum);
                }
            }
        }
        sums
    })
}

/// The place of channel number `channel` behind the one at `place`, whose last index is the channel.
fn at_channel(code: &mut Code, place: &[Value], channel: &Value) -> Vec<Value> {
    let (first, pixel) = place.split_last().expect("a place has a channel");
    let channel = code.sum(first, channel);
    pixel.iter().cloned().chain([channel]).collect()
}
