//! `Pow` with several exponents.

use super::context::Context;
use super::unsupported;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor;

/// Refuses a power whose exponent is not one constant, unless its base is constant and positive: the compiler takes the
/// logarithm of the base.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let [base, exponent] = &node.input[..] else { return Ok(()) };
    if node.op_type != "Pow" {
        return Ok(());
    }
    let exponent = context.constant(exponent).map(tensor::element_count).transpose()?;
    let base = context.constant(base).map(tensor::floats).transpose()?.flatten();
    let is_positive = base.is_some_and(|base| base.iter().all(|value| *value > 0.0));
    if exponent == Some(1) || is_positive {
        return Ok(());
    }
    Err(unsupported(
        node,
        "its exponent is not one constant, with which the compiler gets negative bases wrong",
    ))
}
