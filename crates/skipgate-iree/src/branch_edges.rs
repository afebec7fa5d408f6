//! Gives each branch edge that carries values a block of its own.
//!
//! IREE 3.13 compiles `vm.cond_br` so that a reference which one side uses, and the edge to the other side hands on,
//! is retained once and never released: an `If` of which one branch hands on its input would lose a buffer at every
//! call (iree-org/iree#24753). A block in between that holds nothing but the jump hands the values on where they are
//! counted correctly.

use crate::dialect::DialectError;
use crate::dialect::vm::{BRANCH, ConditionalBranch};
use crate::ir::{Ir, Op};

/// Splits every edge of a `vm.cond_br` that carries operands, in a module in the VM dialect.
pub(crate) fn split(ir: &Ir) -> Result<(), DialectError> {
    split_inside(ir.module())
}

fn split_inside(op: Op) -> Result<(), DialectError> {
    for inner in op.body() {
        split_inside(inner)?;
        if let Some(branch) = ConditionalBranch::of(inner)? {
            split_branch(&branch);
        }
    }
    Ok(())
}

/// Moves the operands of both edges of `branch` to blocks of their own.
fn split_branch(branch: &ConditionalBranch) {
    for (edge, operands) in branch.edges.iter().enumerate().filter(|(_, operands)| !operands.is_empty()) {
        branch.op.detour(edge, BRANCH, operands);
    }
    branch.hand_on_nothing();
}
