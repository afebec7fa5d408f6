//! The VM dialect: what a module becomes in the end.

use super::{DialectError, SEGMENT_SIZES, segments};
use crate::ir::{Op, Value};

pub(crate) const BRANCH: &str = "vm.br";
const CONDITIONAL_BRANCH: &str = "vm.cond_br";

/// A branch to one of two blocks, each of which it hands values.
pub(crate) struct ConditionalBranch<'i> {
    pub(crate) op: Op<'i>,
    /// The values handed on along the true and the false edge.
    pub(crate) edges: [Vec<Value<'i>>; 2],
}

impl<'i> ConditionalBranch<'i> {
    /// `op` as one, if it is.
    pub(crate) fn of(op: Op<'i>) -> Result<Option<Self>, DialectError> {
        if op.name() != CONDITIONAL_BRANCH {
            return Ok(None);
        }
        let sizes = segments(op, 3)?;
        let [1, on_true, _] = sizes[..] else {
            return Err(DialectError::of(op, "has no single condition"));
        };
        let operands = op.operands();
        let (first, second) = operands[1..].split_at(on_true);
        Ok(Some(Self { op, edges: [first.to_vec(), second.to_vec()] }))
    }

    /// Leaves nothing but the condition.
    pub(crate) fn hand_on_nothing(&self) {
        self.op.set_operands(&self.op.operands()[..1]);
        self.op.set_i32_array(SEGMENT_SIZES, [1, 0, 0].into_iter());
    }
}
