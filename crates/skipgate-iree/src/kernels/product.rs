//! The inner loop of all kernels: pixels times filters, with all sums in registers.

use super::arm::Set;
use super::code::{Code, Memory, Value};
use super::{Convolution, Simd, arm, divisor};

/// Channels of a round of the inner loop, where factors are loaded one by one.
const ROUND: usize = 4;

/// Sums that are computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) pixels: usize,
    /// Vectors of filters.
    pub(super) vectors: usize,
}

impl Tile {
    /// Calls `body` for tiles of so many vectors of filters that together are `pixels` pixels, with the first pixel of each: as
    /// large ones as registers have room for, and one with what is left.
    pub(super) fn each(
        code: &mut Code,
        vectors: usize,
        pixels: usize,
        mut body: impl FnMut(&mut Code, Self, &Value),
    ) {
        let most = code.simd().pixels(vectors);
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
/// last index is the channel.
pub(super) fn add_channels(
    code: &mut Code,
    tile: Tile,
    channels: usize,
    sums: Vec<Value>,
    (image, pixels): (&Memory, &[Vec<Value>]),
    factors: Factors,
) -> Vec<Value> {
    let simd = code.simd();
    let step = if simd.by_lane { simd.lanes } else { ROUND };
    let whole = channels - channels % step;
    let inner = Inner { tile, image, pixels, factors };
    let mut sums = match code.arm_quads() {
        _ if whole == 0 => sums,
        Some(set) => inner.add_by_arm_loop(code, set, whole / arm::LANES, &sums),
        None => {
            code.accumulate(whole, step, sums, |code, channel, sums| inner.add(code, step, channel, sums))
        }
    };
    for channel in whole..channels {
        let channel = code.index(channel);
        sums = inner.add(code, 1, &channel, sums);
    }
    sums
}

/// Where the vectors of filters are.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    pub(super) memory: &'a Memory,
    /// What comes before the last two indices, which are the channel and the filter.
    pub(super) before: &'a [Value],
    /// The first filter.
    pub(super) column: &'a Value,
}

/// What the inner loop reads.
struct Inner<'a> {
    tile: Tile,
    image: &'a Memory,
    pixels: &'a [Vec<Value>],
    factors: Factors<'a>,
}

impl Inner<'_> {
    /// Adds what so many rounds of channels give.
    fn add_by_arm_loop(&self, code: &mut Code, set: Set, rounds: usize, sums: &[Value]) -> Vec<Value> {
        let Factors { memory, before, column } = self.factors;
        let inner = arm::Loop { set, tile: self.tile, rounds, stride: memory.width() * size_of::<f32>() };
        let first = [before, &[code.index(0), column.clone()]].concat();
        code.arm_loop(&inner, sums, (self.image, self.pixels), (memory, &first))
    }

    /// Adds what `count` channels from `first` on give.
    fn add(&self, code: &mut Code, count: usize, first: &Value, mut sums: Vec<Value>) -> Vec<Value> {
        let simd = code.simd();
        let mut rows = Vec::new();
        for pixel in self.pixels.iter().filter(|_| simd.by_lane && count == simd.lanes) {
            let at = at_channel(code, pixel, first);
            rows.push(code.load(self.image, &at));
        }
        for lane in 0..count {
            let channel = code.offset(first, lane);
            let at = [self.factors.before, &[channel.clone(), self.factors.column.clone()]].concat();
            let vectors = code.load_several(self.factors.memory, &at, self.tile.vectors);
            for (number, pixel) in self.pixels.iter().enumerate() {
                let factor = if let Some(row) = rows.get(number) {
                    code.lane(row, lane)
                } else {
                    let at = at_channel(code, pixel, &channel);
                    code.load_splat(self.image, &at)
                };
                for (sum, vector) in sums[number * self.tile.vectors..].iter_mut().zip(&vectors) {
                    *sum = code.multiply_add(&factor, vector, sum);
                }
            }
        }
        sums
    }
}

/// The place of channel number `channel` behind the one at `place`, whose last index is the channel.
fn at_channel(code: &mut Code, place: &[Value], channel: &Value) -> Vec<Value> {
    let (first, pixel) = place.split_last().expect("a place has a channel");
    let channel = code.sum(first, channel);
    pixel.iter().cloned().chain([channel]).collect()
}
