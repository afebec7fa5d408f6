//! Operators that give other results every time.

use super::context::Context;
use super::unsupported;
use crate::error::Error;
use crate::proto::NodeProto;

/// Refuses random numbers: a network computes one result of one input.
pub(super) fn check(node: &NodeProto, _: &Context) -> Result<(), Error> {
    match node.op_type.as_str() {
        "Bernoulli" | "Multinomial" | "RandomNormal" | "RandomNormalLike" | "RandomUniform"
        | "RandomUniformLike" => Err(unsupported(node, "it draws random numbers")),
        _ => Ok(()),
    }
}
