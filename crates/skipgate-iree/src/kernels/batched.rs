//! Products of two computed stacks of matrices, such as attention's.

use super::code::{Code, Memory, Value};
use super::grid::{Band, Grid, Shares};
use super::product::{Factors, Tile, add_channels};
use super::{Body, Simd};

/// So many products of `rows` x `common` and `common` x `columns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Product {
    pub(crate) batches: usize,
    pub(crate) rows: usize,
    pub(crate) common: usize,
    pub(crate) columns: usize,
}

impl Product {
    /// What profiles show.
    pub(super) fn name(&self) -> String {
        let Self { batches, rows, common, columns } = self;
        format!("product_{batches}x{rows}x{common}x{columns}")
    }
}

/// Multiplies bindings 0 and 1 into binding 2.
pub(super) fn body(product: &Product, simd: Simd) -> Body {
    let mut code = Code::new(simd);
    let &Product { batches, rows, common, columns } = product;
    let kernel = Kernel {
        product,
        first: code.binding(0, &[batches, rows, common]),
        second: code.binding(1, &[batches, common, columns]),
        result: code.binding(2, &[batches, rows, columns]),
    };
    let grid = Grid::new(rows, columns, simd);
    let mut shares = Shares::new(&mut code);
    for tiles in &grid.tiles {
        shares.each(&mut code, batches * tiles.count, |code, task| {
            let (batch, tile) = (code.quotient(task, tiles.count), code.remainder(task, tiles.count));
            let row = tiles.pixel(code, &tile);
            for band in &grid.bands {
                code.repeat(band.blocks, 1, |code, block| {
                    code.with_lanes(band.lanes, |code| {
                        kernel.tile(code, band, tiles.pixels, [&batch, &row, block]);
                    });
                });
            }
        });
    }
    Body { text: code.finish(), workgroups: shares.workgroups() }
}

struct Kernel<'a> {
    product: &'a Product,
    first: Memory,
    second: Memory,
    result: Memory,
}

impl Kernel<'_> {
    /// The results of one block of columns in `rows` rows.
    fn tile(&self, code: &mut Code, band: &Band, rows: usize, [batch, row, block]: [&Value; 3]) {
        let tile = Tile { pixels: rows, vectors: band.vectors };
        let column = code.multiple(block, band.filters_of_block());
        let column = code.offset(&column, band.first);
        let (zero, none) = (code.constant(0.0), code.index(0));
        let rows: Vec<_> = (0..rows).map(|number| code.offset(row, number)).collect();
        let vectors: Vec<_> = rows.iter().map(|row| vec![batch.clone(), row.clone(), none.clone()]).collect();
        let factors = Factors { memory: &self.second, before: std::slice::from_ref(batch), column: &column };
        let start = vec![zero; rows.len() * band.vectors];
        let image = (&self.first, &vectors[..]);
        let sums = add_channels(code, tile, self.product.common, start, image, factors);
        for (row, sums) in rows.iter().zip(sums.chunks(band.vectors)) {
            code.store_several(sums, &self.result, &[batch.clone(), row.clone(), column.clone()]);
        }
    }
}
