//! Products of computed matrices, as calls of kernels.

use super::Emitter;
use crate::ImportError;
use crate::plan::Product;

impl Emitter<'_, '_> {
    pub(super) fn product(&mut self, product: &Product) -> Result<(), ImportError> {
        let symbol = self.kernels.product(&product.sizes);
        let operands = [self.memory(product.first)?, self.memory(product.second)?];
        self.call(&symbol, product.node, &operands, product.result)
    }
}
