//! How products are cut into tiles and shared out among workgroups.

use super::Simd;
use super::code::{Code, Value};
use super::direct::WORKGROUPS;

/// Vectors of filters in a tile, at most: as many sums as hide how long a multiply-add takes, where there is one pixel.
const MOST_VECTORS: usize = 8;

/// Neighbouring filters that are computed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Band {
    /// The first filter.
    pub(super) first: usize,
    /// A block is what one tile computes.
    pub(super) blocks: usize,
    /// Vectors of a block.
    pub(super) vectors: usize,
    /// Floats of a vector.
    pub(super) lanes: usize,
}

impl Band {
    /// The bands of so many filters: blocks of `vectors`, then one of as many as are left, then narrower registers.
    pub(super) fn of(filters: usize, vectors: usize, mut lanes: usize) -> Vec<Self> {
        let (mut bands, mut first, mut vectors) = (Vec::new(), 0, vectors);
        while first < filters {
            let blocks = (filters - first) / (vectors * lanes);
            if blocks > 0 {
                bands.push(Self { first, blocks, vectors, lanes });
                first += blocks * vectors * lanes;
            }
            let left = filters - first;
            if left < lanes {
                lanes /= 2;
            }
            vectors = (left / lanes.max(1)).max(1);
        }
        bands
    }

    pub(super) fn filters_of_block(&self) -> usize {
        self.vectors * self.lanes
    }
}

/// Tiles of one size, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tiles {
    /// The first pixel.
    pub(super) first: usize,
    pub(super) count: usize,
    /// Pixels of each.
    pub(super) pixels: usize,
}

impl Tiles {
    /// As few tiles of at most `most` as hold `pixels`, which differ by one pixel at most.
    fn of(pixels: usize, most: usize) -> Vec<Self> {
        let count = pixels.div_ceil(most);
        let (small, larger) = (pixels / count, pixels % count);
        let sizes = [(0, larger, small + 1), (larger * (small + 1), count - larger, small)];
        let tiles = sizes.map(|(first, count, pixels)| Self { first, count, pixels });
        tiles.into_iter().filter(|tiles| tiles.count > 0).collect()
    }

    /// The first pixel of tile number `tile` of these.
    pub(super) fn pixel(&self, code: &mut Code, tile: &Value) -> Value {
        let pixel = code.multiple(tile, self.pixels);
        code.offset(&pixel, self.first)
    }
}

/// How a product of pixels and filters is cut up.
pub(super) struct Grid {
    pub(super) tiles: Vec<Tiles>,
    pub(super) bands: Vec<Band>,
}

impl Grid {
    pub(super) fn new(pixels: usize, filters: usize, simd: Simd) -> Self {
        let fewest = simd.vectors_of_block(filters / simd.lanes);
        let tiles = Tiles::of(pixels, simd.pixels(fewest));
        let largest = tiles.iter().map(|tiles| tiles.pixels).max().unwrap_or(1);
        let vectors = simd.vectors_beside(largest).clamp(fewest, MOST_VECTORS);
        Self { tiles, bands: Band::of(filters, vectors, simd.lanes) }
    }
}

/// Shares tasks out among workgroups, in turn.
pub(super) struct Shares {
    /// Number of this workgroup.
    workgroup: Value,
    /// Tasks that are given out already.
    given: usize,
}

impl Shares {
    pub(super) fn new(code: &mut Code) -> Self {
        Self { workgroup: code.workgroup(), given: 0 }
    }

    /// How many workgroups have something to do.
    pub(super) fn workgroups(&self) -> usize {
        self.given.clamp(1, WORKGROUPS)
    }

    pub(super) fn workgroup(&self) -> &Value {
        &self.workgroup
    }

    /// Calls `body` for those of `count` further tasks that are this workgroup's.
    pub(super) fn each(&mut self, code: &mut Code, count: usize, body: impl FnOnce(&mut Code, &Value)) {
        let passed = self.given % WORKGROUPS;
        let first = code.offset(&self.workgroup, (WORKGROUPS - passed) % WORKGROUPS);
        let first = if passed == 0 { first } else { code.remainder(&first, WORKGROUPS) };
        self.given += count;
        code.repeat_from(&first, count, WORKGROUPS, body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_take_every_filter_once_and_wide_registers_first() {
        let bands = |filters| -> Vec<_> {
            let bands = Band::of(filters, 2, 4);
            let mut next = 0;
            for band in &bands {
                assert_eq!(band.first, next, "of {filters}");
                next += band.blocks * band.filters_of_block();
            }
            assert_eq!(next, filters);
            bands.iter().map(|band| (band.blocks, band.vectors, band.lanes)).collect()
        };
        assert_eq!(bands(16), [(2, 2, 4)]);
        assert_eq!(bands(36), [(4, 2, 4), (1, 1, 4)]);
        assert_eq!(bands(15), [(1, 2, 4), (1, 1, 4), (1, 1, 2), (1, 1, 1)]);
        assert_eq!(bands(1), [(1, 1, 1)]);
        (1..100).for_each(|filters| drop(bands(filters)));
        let bands = Band::of(1000, 8, 16);
        assert_eq!(
            bands.iter().map(|band| (band.blocks, band.vectors, band.lanes)).collect::<Vec<_>>(),
            [(7, 8, 16), (1, 6, 16), (1, 1, 8)]
        );
    }

    #[test]
    fn tiles_take_every_pixel_once_and_differ_by_one_at_most() {
        assert_eq!(Tiles::of(32, 16), [Tiles { first: 0, count: 2, pixels: 16 }]);
        let expected = [Tiles { first: 0, count: 1, pixels: 13 }, Tiles { first: 13, count: 3, pixels: 12 }];
        assert_eq!(Tiles::of(49, 16), expected);
        for pixels in 1..200 {
            let mut next = 0;
            for tiles in Tiles::of(pixels, 16) {
                assert_eq!(tiles.first, next, "of {pixels}");
                assert!((1..=16).contains(&tiles.pixels));
                next += tiles.count * tiles.pixels;
            }
            assert_eq!(next, pixels);
        }
    }
}
