//! Products of pixels and filters: convolutions of 1x1, and matrix products, whose rows are pixels.
//!
//! Pixels are numbered row by row, and a tile takes the next ones, wherever rows end: so few tiles are smaller than the
//! registers have room for.

use super::code::{Code, Memory, Value};
use super::grid::{Band, Grid, Shares};
use super::output::{self, Position, Spot};
use super::product::{Factors, Tile, add_channels};
use super::{Body, Buffers, Convolution, Place, Simd};

fn grid(convolution: &Convolution, simd: Simd) -> Grid {
    Grid::new(convolution.window.size.iter().product(), convolution.window.filters, simd)
}

/// `[band][block of filters][channel][filter of the block]`.
pub(super) fn weights(convolution: &Convolution, simd: Simd, weights: &[f32]) -> Vec<f32> {
    let channels = convolution.window.channels;
    let mut packed = Vec::with_capacity(weights.len());
    for band in grid(convolution, simd).bands {
        let block = band.filters_of_block();
        for first in (0..band.blocks).map(|number| band.first + number * block) {
            for channel in 0..channels {
                packed.extend((first..first + block).map(|filter| weights[filter * channels + channel]));
            }
        }
    }
    packed
}

pub(super) fn weights_shape(convolution: &Convolution) -> Vec<usize> {
    vec![convolution.window.filters * convolution.window.channels]
}

pub(super) fn body(convolution: &Convolution, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let grid = grid(convolution, simd);
    let buffers = Buffers::of_vectors(&mut code, convolution, &weights_shape(convolution));
    let weights: Vec<_> = grid.bands.iter().map(|band| band_weights(&mut code, convolution, band)).collect();
    let product = Product { convolution, buffers, grid, weights };
    let mut shares = Shares::new(&mut code);
    // What is larger is read once, and what is read again and again stays in the cache.
    if convolution.window.filters > convolution.window.size.iter().product() {
        product.by_filters(&mut code, &mut shares);
    } else {
        product.by_pixels(&mut code, &mut shares);
    }
    output::write_zeros(&mut code, convolution, shares.workgroup());
    Body { text: code.finish(), workgroups: shares.workgroups() }
}

/// The weights of `band` as `[block][channel][filter of the block]`.
fn band_weights(code: &mut Code, convolution: &Convolution, band: &Band) -> Memory {
    let channels = convolution.window.channels;
    code.binding_behind(1, band.first * channels, &[band.blocks, channels, band.filters_of_block()])
}

struct Product<'a> {
    convolution: &'a Convolution,
    buffers: Buffers,
    grid: Grid,
    /// By band.
    weights: Vec<Memory>,
}

impl Product<'_> {
    fn by_pixels(&self, code: &mut Code, shares: &mut Shares) {
        for tiles in &self.grid.tiles {
            shares.each(code, tiles.count, |code, tile| {
                let pixel = tiles.pixel(code, tile);
                for (band, weights) in self.grid.bands.iter().zip(&self.weights) {
                    code.repeat(band.blocks, 1, |code, block| {
                        self.block(code, (band, weights), tiles.pixels, [&pixel, block]);
                    });
                }
            });
        }
    }

    fn by_filters(&self, code: &mut Code, shares: &mut Shares) {
        for (band, weights) in self.grid.bands.iter().zip(&self.weights) {
            shares.each(code, band.blocks, |code, block| {
                for tiles in &self.grid.tiles {
                    code.repeat(tiles.count, 1, |code, tile| {
                        let pixel = tiles.pixel(code, tile);
                        self.block(code, (band, weights), tiles.pixels, [&pixel, block]);
                    });
                }
            });
        }
    }

    /// The results of one block of filters at `pixels` pixels.
    fn block(&self, code: &mut Code, (band, weights): (&Band, &Memory), pixels: usize, place: [&Value; 2]) {
        code.with_lanes(band.lanes, |code| self.tile(code, (band, weights), pixels, place));
    }

    fn tile(
        &self,
        code: &mut Code,
        (band, weights): (&Band, &Memory),
        pixels: usize,
        [pixel, block]: [&Value; 2],
    ) {
        let Convolution { window, input, .. } = self.convolution;
        let tile = Tile { pixels, vectors: band.vectors };
        let filter = code.multiple(block, band.filters_of_block());
        let filter = code.offset(&filter, band.first);
        let bias = code.load_several(&self.buffers.bias, std::slice::from_ref(&filter), band.vectors);
        let start = bias.iter().cloned().cycle().take(pixels * band.vectors).collect();
        let pixels: Vec<_> = (0..pixels).map(|number| code.offset(pixel, number)).collect();
        // Of the first channel of a pixel, and of the first filter of a block.
        let none = code.index(0);
        let inputs: Vec<_> = pixels
            .iter()
            .map(|pixel| vec![number_in(code, input, window.size, pixel), none.clone()])
            .collect();
        let image = (&self.buffers.image, &inputs[..]);
        let factors = Factors { memory: weights, before: std::slice::from_ref(block), column: &none };
        let sums = add_channels(code, tile, window.channels, start, image, factors);
        let spots: Vec<_> = pixels.iter().map(|pixel| self.spot(code, pixel, &filter)).collect();
        output::write(code, self.convolution, &self.buffers, &sums, &spots);
    }

    fn spot(&self, code: &mut Code, pixel: &Value, filter: &Value) -> Spot {
        let at = |place: &Place, code: &mut Code| {
            vec![number_in(code, place, self.convolution.window.size, pixel)]
        };
        let position = Position {
            residual: self.convolution.residual().map(|place| at(place, code)),
            result: at(&self.convolution.output, code),
        };
        Spot { position, filter: filter.clone(), part: None }
    }
}

/// The number of `pixel`, which counts those of an image of `size`, in the larger image that it is in.
fn number_in(code: &mut Code, place: &Place, size: [usize; 2], pixel: &Value) -> Value {
    let gap = place.outer[1] - size[1];
    let start = place.low[0] * place.outer[1] + place.low[1];
    if gap == 0 || size[0] == 1 {
        return code.offset(pixel, start);
    }
    let row = code.quotient(pixel, size[1]);
    let skipped = code.multiple(&row, gap);
    let number = code.sum(pixel, &skipped);
    code.offset(&number, start)
}
