//! Concatenations, as calls of kernels.

use super::Emitter;
use crate::ImportError;
use crate::plan::Concat;

impl Emitter<'_, '_> {
    pub(super) fn concat(&mut self, concat: &Concat) -> Result<(), ImportError> {
        let symbol = self.kernels.concat(&concat.sizes);
        let operands: Result<Vec<_>, _> =
            concat.operands.iter().map(|&operand| self.memory(operand)).collect();
        self.call(&symbol, concat.node, &operands?, concat.result)
    }
}
