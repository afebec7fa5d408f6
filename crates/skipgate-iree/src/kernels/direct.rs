//! Convolution as it is defined.

use std::slice;

use super::code::{Code, Memory, Value};
use super::grid::Band;
use super::output::{self, Position, Spot};
use super::product::{self, Factors, Tile, add_channels};
use super::simd::FEWEST_LANES;
use super::{Body, Buffers, Convolution, Simd, Window, divisor};

/// Workgroups of a kernel, at most: as many as the boards that skipgate knows have fast cores.
pub(super) const WORKGROUPS: usize = 4;

/// Neighbouring filters of each group that are computed alike.
struct Piece {
    band: Band,
    /// How many filters there are, where they are fewer than lanes: the others have weights of zero, and no result.
    part: Option<usize>,
}

/// The filters of each group: blocks that are alike, or, where they do not fill registers, narrower and narrower ones.
fn pieces(convolution: &Convolution, simd: Simd) -> Vec<Piece> {
    let filters = convolution.window.alike_filters();
    let whole = |band| Piece { band, part: None };
    if filters % simd.lanes == 0 {
        let vectors = product::vectors(convolution, simd);
        let blocks = filters / (vectors * simd.lanes);
        return vec![whole(Band { first: 0, blocks, vectors, lanes: simd.lanes })];
    }
    let left = filters % FEWEST_LANES;
    let mut pieces: Vec<_> =
        Band::of(filters - left, simd.vectors, simd.lanes).into_iter().map(whole).collect();
    if left > 0 {
        let band = Band { first: filters - left, blocks: 1, vectors: 1, lanes: FEWEST_LANES };
        pieces.push(Piece { band, part: Some(left) });
    }
    pieces
}

/// `[piece][block of filters][row][column][channel of the group][filter of the block]`; in each piece, group after group.
pub(super) fn weights_shape(convolution: &Convolution, simd: Simd) -> Vec<usize> {
    let Window { groups, taps: [rows, columns], .. } = convolution.window;
    let channels = convolution.window.channels_of_group();
    match &pieces(convolution, simd)[..] {
        [Piece { band, .. }] => vec![groups * band.blocks, rows, columns, channels, band.filters_of_block()],
        pieces => {
            let filters: usize = pieces.iter().map(Piece::filters).sum();
            vec![groups * filters * rows * columns * channels]
        }
    }
}

impl Piece {
    /// Filters of a group, those without a result included.
    fn filters(&self) -> usize {
        self.band.blocks * self.band.filters_of_block()
    }
}

pub(super) fn weights(convolution: &Convolution, simd: Simd, weights: &[f32]) -> Vec<f32> {
    let Window { groups, taps: [rows, columns], .. } = convolution.window;
    let (channels, filters) = (convolution.window.channels_of_group(), convolution.window.alike_filters());
    let mut packed = Vec::with_capacity(weights.len());
    for Piece { band, .. } in pieces(convolution, simd) {
        let block = band.filters_of_block();
        let of_group = |group| (0..band.blocks).map(move |number| (group, band.first + number * block));
        for (group, first) in (0..groups).flat_map(of_group) {
            for tap in 0..rows * columns {
                for channel in 0..channels {
                    let weight = |filter| {
                        let filter = Some(filter).filter(|filter| *filter < filters)? + group * filters;
                        Some(weights[(filter * channels + channel) * rows * columns + tap])
                    };
                    packed.extend((first..first + block).map(|filter| weight(filter).unwrap_or(0.0)));
                }
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
    /// With the weights of each: `[block of filters][row][run][place in it][filter of the block]`.
    pieces: Vec<(Piece, Memory)>,
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
        for piece in &layer.pieces {
            layer.row(code, piece, columns, &row);
        }
    });
    output::write_zeros(&mut code, convolution, &workgroup);
    Body { text: code.finish(), workgroups }
}

impl<'a> Layer<'a> {
    fn new(code: &mut Code, convolution: &'a Convolution, buffers: &'a Buffers) -> Self {
        let (runs, simd) = (Runs::of(convolution), code.simd());
        let [rows, columns] = convolution.input.outer;
        let image = code.binding(0, &[rows, columns * convolution.window.channels]);
        let Window { groups, taps: [tap_rows, _], .. } = convolution.window;
        let of_filter = tap_rows * runs.count * runs.length;
        let mut before = 0;
        let weights = |piece: Piece| {
            let block = piece.band.filters_of_block();
            let shape = [groups * piece.band.blocks, tap_rows, runs.count, runs.length, block];
            let memory = code.binding_behind(1, before, &shape);
            before += groups * piece.filters() * of_filter;
            (piece, memory)
        };
        let pieces = pieces(convolution, simd).into_iter().map(weights).collect();
        Self { convolution, buffers, runs, image, pieces }
    }

    /// The results of some filters along a row.
    fn row(&self, code: &mut Code, (piece, weights): &(Piece, Memory), columns: usize, row: &Value) {
        let (window, band) = (&self.convolution.window, &piece.band);
        code.with_lanes(band.lanes, |code| {
            Tile::each(code, band.vectors, columns, |code, tile, column| {
                code.repeat(window.groups, 1, |code, group| {
                    let first = code.multiple(group, band.blocks);
                    code.repeat(band.blocks, 1, |code, number| {
                        let block = code.sum(&first, number);
                        let filter = self.first_filter(code, band, [group, number, &block]);
                        self.pixels(code, tile, (piece, weights), [row, column, group, &block, &filter]);
                    });
                });
            });
        });
    }

    /// The first filter of block number `number` of a group, the `block`th of the piece.
    fn first_filter(&self, code: &mut Code, band: &Band, [group, number, block]: [&Value; 3]) -> Value {
        if band.blocks * band.filters_of_block() == self.convolution.window.alike_filters() {
            return code.multiple(block, band.filters_of_block());
        }
        let of_group = code.multiple(group, self.convolution.window.alike_filters());
        let of_group = code.offset(&of_group, band.first);
        let in_band = code.multiple(number, band.filters_of_block());
        code.sum(&of_group, &in_band)
    }

    /// The results of one block of filters at some neighbouring pixels.
    fn pixels(
        &self,
        code: &mut Code,
        tile: Tile,
        (piece, weights): (&Piece, &Memory),
        [row, column, group, block, filter]: [&Value; 5],
    ) {
        let window = &self.convolution.window;
        let bias = match piece.part {
            None => code.load_several(&self.buffers.bias, slice::from_ref(filter), tile.vectors),
            Some(count) => vec![code.load_part(&self.buffers.bias, slice::from_ref(filter), count)],
        };
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
                let factors = Factors { memory: weights, before: &before, column: &none };
                add_channels(code, tile, self.runs.length, sums, (&self.image, &pixels), factors)
            })
        });
        let spots: Vec<_> = (0..tile.pixels)
            .map(|pixel| {
                let column = code.offset(column, pixel);
                Spot {
                    position: Position::of(code, self.convolution, [row, &column]),
                    filter: filter.clone(),
                    part: piece.part,
                }
            })
            .collect();
        output::write(code, self.convolution, self.buffers, &sums, &spots);
    }
}
