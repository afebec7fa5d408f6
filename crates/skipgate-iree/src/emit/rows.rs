//! What is computed from each row of a matrix alone, as calls of kernels.

use super::Emitter;
use super::kernel::floats;
use crate::ImportError;
use crate::plan::Rows;

impl Emitter<'_, '_> {
    pub(super) fn rows(&mut self, rows: &Rows) -> Result<(), ImportError> {
        let symbol = self.kernels.rows(&rows.sizes);
        let columns = rows.sizes.columns;
        let mut operands = vec![self.memory(rows.source)?];
        if let Some(scale) = rows.scale {
            let bias = rows.bias.map_or_else(|| Ok(vec![0.0; columns]), floats)?;
            operands.push(self.constant_floats(&floats(scale)?, &[columns]));
            operands.push(self.constant_floats(&bias, &[columns]));
        }
        self.call(&symbol, rows.node, &operands, rows.result)
    }
}
