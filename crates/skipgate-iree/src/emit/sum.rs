//! Sums of values that stand in frames, as calls of kernels.

use super::Emitter;
use crate::ImportError;
use crate::plan::Sum;

impl Emitter<'_, '_> {
    pub(super) fn sum(&mut self, sum: &Sum) -> Result<(), ImportError> {
        let symbol = self.kernels.sum(self.frame(sum.result)?.outer().iter().product());
        let operands = [self.memory(sum.x)?, self.memory(sum.addend)?];
        self.call(&symbol, sum.node, &operands, sum.result)
    }
}
