//! The scf dialect: structured branches.

use crate::ir::{Op, Parts, Value};

/// Moves `operations` into a branch in front of `before` that is taken if `condition` holds.
pub(crate) fn only_if<'i>(before: Op<'i>, condition: Value<'i>, operations: &[Op<'i>]) {
    let parts = Parts { operands: &[condition], regions: 2, ..Parts::default() };
    before.insert_before("scf.if", &parts).adopt(operations, "scf.yield");
}
