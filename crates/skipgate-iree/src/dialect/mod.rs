//! The operations of IREE's dialects that edits look at: names, attribute keys and the order of operands, in one place.
//!
//! IREE promises none of them, so everything here fails closed: an operation that is not known, or whose operands do not add
//! up, is a [`DialectError`] that names it.

pub(crate) mod arith;
pub(crate) mod hal;
pub(crate) mod scf;
pub(crate) mod stream;
pub(crate) mod util;
pub(crate) mod vm;

use crate::ir::{Op, Value};

/// Attribute with the number of operands of each kind.
const SEGMENT_SIZES: &str = "operandSegmentSizes";

/// The compiler's IR is not of the form that this program knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operation `{operation}` {problem}")]
pub struct DialectError {
    /// Name of the operation.
    pub operation: String,
    /// What is unexpected about it.
    pub problem: &'static str,
}

impl DialectError {
    pub(crate) fn of(op: Op, problem: &'static str) -> Self {
        Self { operation: op.name().to_owned(), problem }
    }
}

/// Sizes of the operand segments of `op`, of which there must be `count`, and which must add up.
fn segments(op: Op, count: usize) -> Result<Vec<usize>, DialectError> {
    let sizes = op.numbers(SEGMENT_SIZES).ok_or_else(|| DialectError::of(op, "has no operand segments"))?;
    let sizes: Option<Vec<usize>> = sizes.into_iter().map(|size| usize::try_from(size).ok()).collect();
    sizes
        .filter(|sizes| sizes.len() == count && sizes.iter().sum::<usize>() == op.operands().len())
        .ok_or_else(|| DialectError::of(op, "has other operand segments than expected"))
}

/// The number that `value` always is, an operand of `op`.
fn constant(op: Op, value: Value) -> Result<u64, DialectError> {
    let definition = value.definition().filter(|(definition, _)| definition.name() == arith::CONSTANT);
    let number = definition.and_then(|(definition, _)| definition.integer("value"));
    number
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| DialectError::of(op, "has a size or place that is not constant"))
}
