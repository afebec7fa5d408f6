//! Which ONNX nodes each dispatch computes.

use skipgate_core::Dispatch;

use super::{Mark, nodes};
use crate::dialect::hal::DISPATCH;
use crate::ir::{Ir, Op};

/// The dispatches of `function`, in the order of their commands, which do not depend on the mask yet.
pub(crate) fn dispatches(ir: &Ir, function: &str) -> Vec<Dispatch> {
    let functions = ir.module().body().filter(|op| op.text("sym_name") == Some(function));
    functions.flat_map(|function| function.body().filter(|op| op.name() == DISPATCH).map(describe)).collect()
}

fn describe(op: Op) -> Dispatch {
    Dispatch { gate: Mark::of(op).map(|mark| mark.gate), nodes: nodes([op]) }
}
