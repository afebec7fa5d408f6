//! Gives each branch edge that carries values a block of its own.
//!
//! IREE 3.13 compiles `vm.cond_br` so that a reference which one side uses, and the edge to the other side hands on,
//! is retained once and never released: an `If` of which one branch hands on its input would lose a buffer at every
//! call (iree-org/iree#24753). A block in between that holds nothing but the jump hands the values on where they are
//! counted correctly.

use crate::ir::{Ir, Op};

const SEGMENT_SIZES: &str = "operandSegmentSizes";

/// Splits every edge of a `vm.cond_br` that carries operands, in a module in the VM dialect.
pub(crate) fn split(ir: &Ir) {
    split_inside(ir.module());
}

fn split_inside(op: Op) {
    for inner in op.body() {
        split_inside(inner);
        if inner.name() == "vm.cond_br" {
            split_branch(inner);
        }
    }
}

/// Moves the operands of both edges of `branch` to blocks of their own. Its operands are the condition, those of the
/// true edge and those of the false edge, counted in its segment sizes.
fn split_branch(branch: Op) {
    let operands = branch.operands();
    let sizes = branch.numbers(SEGMENT_SIZES).unwrap_or_default();
    let mut first = 1;
    for (edge, &size) in sizes.iter().skip(1).enumerate() {
        let end = first + usize::try_from(size).unwrap_or(0);
        if first < end {
            branch.detour(edge, "vm.br", &operands[first..end]);
        }
        first = end;
    }
    branch.set_operands(&operands[..1]);
    branch.set_i32_array(SEGMENT_SIZES, [1, 0, 0].into_iter());
}
