//! Convolution with filters of 3x3 and stride 1 by Winograd's minimal filtering, nested for two dimensions.
//!
//! Tiles of inputs are transformed, then every position of the transform is a product of tiles and filters over the
//! channels, then the results are transformed back. A workgroup does all of it for some rows of tiles, a strip at a
//! time, so that what is transformed stays in the cache.

use std::slice;

use super::code::{Code, Memory, Value};
use super::direct::WORKGROUPS;
use super::grid::Shares;
use super::output::{self, Position};
use super::product::{self, Factors, Tile, add_channels};
use super::transform::TAPS;
use super::{Body, Buffers, Convolution, Simd, Transform, divisor};

/// Tiles of a strip, at least, where a workgroup has as many: fewer would leave registers of the product unused.
const STRIP: usize = 4;

/// Rows and columns from which on F(4, 3) is faster than F(2, 3), which needs more multiplications and half the weights.
/// F(6, 3) is slower than F(4, 3) or as fast at all sizes, and rounds more. `docs/kernels.md` has the figures.
const LARGE: usize = 7;

/// Outputs of a tile for images of `size`.
pub(super) fn best_outputs(size: [usize; 2]) -> usize {
    if size[0].min(size[1]) >= LARGE { 4 } else { 2 }
}

/// The transform with tiles of `outputs`, if `convolution` can be computed with it.
pub(super) fn transform(convolution: &Convolution, simd: Simd, outputs: usize) -> Option<Transform> {
    let applies = convolution.window.groups == 1
        && convolution.window.taps == [TAPS; 2]
        && convolution.window.strides == [1, 1]
        && convolution.window.dilations == [1, 1]
        && convolution.window.channels % simd.lanes == 0
        && convolution.window.size.iter().all(|&extent| extent >= outputs);
    Transform::of_outputs(outputs).filter(|_| applies)
}

/// How the tiles of an image are shared out. Where they do not fill it, the last ones overlap those before.
struct Grid {
    /// Rows of tiles in a workgroup, a multiple of those in a strip.
    rows_of_workgroup: usize,
    rows_of_strip: usize,
    columns: usize,
    workgroups: usize,
}

impl Grid {
    fn new(convolution: &Convolution, transform: Transform) -> Self {
        let [rows, columns] = convolution.window.size.map(|extent| extent.div_ceil(transform.outputs()));
        // The fewest rows with enough tiles.
        let rows_of_strip =
            (1..=rows).find(|strip| rows % strip == 0 && strip * columns >= STRIP).unwrap_or(rows);
        let workgroups = divisor(rows / rows_of_strip, WORKGROUPS);
        Self { rows_of_workgroup: rows / workgroups, rows_of_strip, columns, workgroups }
    }

    fn tiles_of_strip(&self) -> usize {
        self.rows_of_strip * self.columns
    }
}

/// Positions of a transformed tile.
fn positions(transform: Transform) -> usize {
    transform.inputs().pow(2)
}

/// Shapes of the weights in a file and of their transform: `[tap or position][block of filters][channel][filter of the
/// block]`.
pub(super) fn weights_shapes(convolution: &Convolution, transform: Transform, simd: Simd) -> [Vec<usize>; 2] {
    let block = product::vectors(convolution, simd) * simd.lanes;
    [TAPS * TAPS, positions(transform)]
        .map(|numbers| vec![numbers, convolution.window.filters / block, convolution.window.channels, block])
}

/// The weights in the order of the file's shape.
pub(super) fn weights(
    convolution: &Convolution,
    transform: Transform,
    simd: Simd,
    weights: &[f32],
) -> Vec<f32> {
    let [shape, _] = weights_shapes(convolution, transform, simd);
    let [taps, blocks, channels, block] = shape[..] else { unreachable!("it has four dimensions") };
    let mut packed = Vec::with_capacity(weights.len());
    for (tap, first) in (0..taps).flat_map(|tap| (0..blocks).map(move |number| (tap, number * block))) {
        for channel in 0..channels {
            let filters = first..first + block;
            packed.extend(filters.map(|filter| weights[(filter * channels + channel) * taps + tap]));
        }
    }
    packed
}

/// Transforms weights, in double precision: files hold them as they are, which is a quarter of the numbers.
pub(super) fn weights_body([from, to]: &[Vec<usize>; 2], transform: Transform, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let (taps, transformed) = (code.binding(0, from), code.binding(1, to));
    let [_, blocks, channels, block] = from[..] else { unreachable!("it has four dimensions") };
    let mut shares = Shares::new(&mut code);
    shares.each(&mut code, blocks, |code, number| {
        code.repeat(channels, 1, |code, channel| {
            code.repeat(block, simd.lanes, |code, filter| {
                let at = |code: &mut Code, place: usize| {
                    vec![code.index(place), number.clone(), channel.clone(), filter.clone()]
                };
                let mut taps_of_filter = Vec::new();
                for tap in 0..TAPS * TAPS {
                    let at = at(code, tap);
                    taps_of_filter.push(code.load(&taps, &at));
                }
                let results =
                    code.in_double(&taps_of_filter, |code, taps| transform_filter(code, transform, &taps));
                for (position, result) in results.iter().enumerate() {
                    let at = at(code, position);
                    code.store(result, &transformed, &at);
                }
            });
        });
    });
    Body { text: code.finish(), workgroups: shares.workgroups() }
}

/// Transforms the columns of a filter, then the rows.
fn transform_filter(code: &mut Code, transform: Transform, taps: &[Value]) -> Vec<Value> {
    let tap = |row: usize, column: usize| taps[row * TAPS + column].clone();
    let columns: Vec<_> =
        (0..TAPS).map(|column| transform.filter(code, &[0, 1, 2].map(|row| tap(row, column)))).collect();
    let row = |row: usize| transform.filter(code, &[0, 1, 2].map(|column| columns[column][row].clone()));
    (0..transform.inputs()).flat_map(row).collect()
}

/// Shapes of the transformed inputs and outputs: `[workgroup][position][tile][channel]`.
fn transformed_shapes(convolution: &Convolution, transform: Transform) -> [Vec<usize>; 2] {
    let grid = Grid::new(convolution, transform);
    [convolution.window.channels, convolution.window.filters]
        .map(|channels| vec![grid.workgroups, positions(transform), grid.tiles_of_strip(), channels])
}

/// Floats that the kernel needs while it runs. They are one buffer, since the compiler lays out several that live equally
/// long in no particular order.
pub(super) fn scratch(convolution: &Convolution, transform: Transform) -> usize {
    transformed_shapes(convolution, transform).map(|shape| shape.iter().product::<usize>()).iter().sum()
}

pub(super) fn body(convolution: &Convolution, transform: Transform, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let [_, weights] = weights_shapes(convolution, transform, simd);
    let buffers = Buffers::bind(&mut code, convolution, &weights);
    let [inputs, products] = transformed_shapes(convolution, transform);
    let products = code.binding_behind(buffers.scratch, inputs.iter().product(), &products);
    let inputs = code.binding(buffers.scratch, &inputs);
    let grid = Grid::new(convolution, transform);
    let workgroup = code.workgroup();
    let strip = Strip {
        convolution,
        transform,
        grid: &grid,
        buffers: &buffers,
        inputs,
        products,
        workgroup: workgroup.clone(),
    };
    let first = code.multiple(&workgroup, grid.rows_of_workgroup);
    code.repeat(grid.rows_of_workgroup, grid.rows_of_strip, |code, row| {
        let row = code.sum(&first, row);
        strip.transform_inputs(code, &row);
        strip.multiply(code);
        strip.transform_outputs(code, &row);
    });
    output::write_zeros(&mut code, convolution, &workgroup);
    Body { text: code.finish(), workgroups: grid.workgroups }
}

/// Where a tile is.
struct Spot<'a> {
    /// Its number in the strip.
    tile: &'a Value,
    /// Row and column of its first output.
    first: [Value; 2],
    /// Row and column of the first output that no tile before has.
    new: [Value; 2],
}

/// Some rows of tiles.
struct Strip<'a> {
    convolution: &'a Convolution,
    transform: Transform,
    grid: &'a Grid,
    buffers: &'a Buffers,
    /// Transformed inputs.
    inputs: Memory,
    /// Transformed outputs.
    products: Memory,
    workgroup: Value,
}

impl Strip<'_> {
    /// Calls `body` for every tile.
    fn tiles(&self, code: &mut Code, row: &Value, body: impl FnOnce(&mut Code, &Spot)) {
        code.repeat(self.grid.rows_of_strip, 1, |code, strip_row| {
            let row = code.sum(row, strip_row);
            let (new_row, first_row) = self.outputs(code, &row, 0);
            let first = code.multiple(strip_row, self.grid.columns);
            code.repeat(self.grid.columns, 1, |code, column| {
                let tile = code.sum(&first, column);
                let (new_column, first_column) = self.outputs(code, column, 1);
                let first = [first_row.clone(), first_column];
                body(code, &Spot { tile: &tile, first, new: [new_row.clone(), new_column] });
            });
        });
    }

    /// The first new output of tile number `tile` along `axis`, and its first output.
    fn outputs(&self, code: &mut Code, tile: &Value, axis: usize) -> (Value, Value) {
        let new = code.multiple(tile, self.transform.outputs());
        if self.is_filled(axis) {
            return (new.clone(), new);
        }
        let first = code.up_to(&new, self.convolution.window.size[axis] - self.transform.outputs());
        (new, first)
    }

    /// Whether tiles fill the image along `axis`.
    fn is_filled(&self, axis: usize) -> bool {
        self.convolution.window.size[axis] % self.transform.outputs() == 0
    }

    fn transform_inputs(&self, code: &mut Code, row: &Value) {
        let (size, low) = (self.transform.inputs(), self.convolution.input.low);
        self.tiles(code, row, |code, Spot { tile, first: [row, column], .. }| {
            code.repeat(self.convolution.window.channels, code.simd().lanes, |code, channel| {
                let mut columns = Vec::new();
                for x in 0..size {
                    let column = code.offset(column, low[1] + x);
                    let inputs: Vec<_> = (0..size)
                        .map(|y| {
                            let row = code.offset(row, low[0] + y);
                            code.load(&self.buffers.image, &[row, column.clone(), channel.clone()])
                        })
                        .collect();
                    columns.push(self.transform.input(code, &inputs));
                }
                for y in 0..size {
                    let inputs: Vec<_> = columns.iter().map(|column| column[y].clone()).collect();
                    for (x, value) in self.transform.input(code, &inputs).iter().enumerate() {
                        let position = code.index(y * size + x);
                        let at = [self.workgroup.clone(), position, (*tile).clone(), channel.clone()];
                        code.store(value, &self.inputs, &at);
                    }
                }
            });
        });
    }

    /// The products at all positions.
    fn multiply(&self, code: &mut Code) {
        let simd = code.simd();
        let filters = self.convolution.window.filters;
        code.repeat(positions(self.transform), 1, |code, position| {
            let vectors = product::vectors(self.convolution, code.simd());
            Tile::each(code, vectors, self.grid.tiles_of_strip(), |code, tile, first| {
                code.repeat(filters / tile.filters(simd), 1, |code, block| {
                    let at = |code: &mut Code, number| {
                        vec![self.workgroup.clone(), position.clone(), code.offset(first, number)]
                    };
                    let places: Vec<_> = (0..tile.pixels).map(|number| at(code, number)).collect();
                    let (zero, none) = (code.constant(0.0), code.index(0));
                    let pixels: Vec<_> =
                        places.iter().map(|place| [&place[..], slice::from_ref(&none)].concat()).collect();
                    let sums = add_channels(
                        code,
                        tile,
                        self.convolution.window.channels,
                        vec![zero; tile.pixels * tile.vectors],
                        (&self.inputs, &pixels),
                        Factors {
                            memory: &self.buffers.weights,
                            before: &[position.clone(), block.clone()],
                            column: &none,
                        },
                    );
                    let filter = code.multiple(block, tile.filters(simd));
                    for (place, sums) in places.iter().zip(sums.chunks(tile.vectors)) {
                        let at = [&place[..], slice::from_ref(&filter)].concat();
                        code.store_several(sums, &self.products, &at);
                    }
                });
            });
        });
    }

    fn transform_outputs(&self, code: &mut Code, row: &Value) {
        let size = self.transform.inputs();
        self.tiles(code, row, |code, spot| {
            code.repeat(self.convolution.window.filters, code.simd().lanes, |code, filter| {
                let mut columns = Vec::new();
                for x in 0..size {
                    let mut column = Vec::new();
                    for y in 0..size {
                        let position = code.index(y * size + x);
                        let at = [self.workgroup.clone(), position, spot.tile.clone(), filter.clone()];
                        let product = code.load(&self.products, &at);
                        column.push(if (x, y) == Transform::ONE {
                            self.add_bias(code, &product, filter)
                        } else {
                            product
                        });
                    }
                    columns.push(self.transform.output(code, &column));
                }
                for y in 0..self.transform.outputs() {
                    let inputs: Vec<_> = columns.iter().map(|column| column[y].clone()).collect();
                    let row = code.offset(&spot.first[0], y);
                    let values = self.transform.output(code, &inputs);
                    self.only_new(code, 0, &row, spot, |code| {
                        for (x, value) in values.iter().enumerate() {
                            let column = code.offset(&spot.first[1], x);
                            self.only_new(code, 1, &column, spot, |code| {
                                let position = Position::of(code, self.convolution, [&row, &column]);
                                let spot = output::Spot { position, filter: filter.clone(), part: None };
                                output::write(
                                    code,
                                    self.convolution,
                                    self.buffers,
                                    slice::from_ref(value),
                                    slice::from_ref(&spot),
                                );
                            });
                        }
                    });
                }
            });
        });
    }

    /// What `body` does unless a tile before has the outputs at `place` along `axis`: a result that is written over its
    /// residual image must be written once.
    fn only_new(
        &self,
        code: &mut Code,
        axis: usize,
        place: &Value,
        spot: &Spot,
        body: impl FnOnce(&mut Code),
    ) {
        if self.is_filled(axis) {
            body(code);
        } else {
            code.only_from(place, &spot.new[axis], body);
        }
    }

    /// The transform turns a value at this position into the same one at all outputs.
    fn add_bias(&self, code: &mut Code, product: &Value, filter: &Value) -> Value {
        let bias = code.load(&self.buffers.bias, slice::from_ref(filter));
        code.add(product, &bias)
    }
}
