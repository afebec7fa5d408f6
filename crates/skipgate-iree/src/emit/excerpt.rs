//! Excerpts of images, as one copy into a tensor of zeros, channels last.

use super::{Emitter, types};
use crate::ImportError;
use crate::plan;

impl Emitter<'_, '_> {
    pub(super) fn excerpt(&mut self, excerpt: &plan::Excerpt) -> Result<(), ImportError> {
        let plan::Excerpt { node, source, result, starts, steps, sizes, low } = excerpt;
        let (memory, from) = self.memory(*source)?;
        let whole = self.frame(*result)?.clone();
        let inside = self.frame(*source)?.low();
        let starts: Vec<_> = starts.iter().zip(inside).map(|(start, low)| start + low).collect();
        let zeros = self.zeros(&whole);
        let [taken, copied] = [self.fresh(), self.fresh()];
        let (inner, to) = (types::builtin(sizes.iter().copied()), types::outer(&whole));
        let location = types::quoted(&self.plan.graph.node(*node).label());
        self.line(&format!(
            "{taken} = tensor.extract_slice {memory}{starts:?}{sizes:?}{steps:?} : {from} to {inner} loc({location})"
        ));
        self.line(&format!(
            "{copied} = tensor.insert_slice {taken} into {zeros}{low:?}{sizes:?}[1, 1, 1, 1] : {inner} into {to} \
             loc({location})"
        ));
        self.stand(*result, copied)
    }
}
