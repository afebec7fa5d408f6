//! Sums of values that stand in frames, as calls of kernels.

use super::{Emitter, types};
use crate::ImportError;
use crate::plan::Sum;

impl Emitter<'_, '_> {
    pub(super) fn sum(&mut self, sum: &Sum) -> Result<(), ImportError> {
        let ((x, ty), (addend, _)) = (self.memory(sum.x)?, self.memory(sum.addend)?);
        let symbol = self.kernels.sum(self.frame(sum.result)?.outer().iter().product());
        let (result, location) = (self.fresh(), types::quoted(&self.plan.graph.node(sum.node).label()));
        self.line(&format!(
            "{result} = flow.dispatch @{symbol}::@{symbol}({x}, {addend}) : ({ty}, {ty}) -> {ty} loc({location})"
        ));
        self.stand(sum.result, result)
    }
}
