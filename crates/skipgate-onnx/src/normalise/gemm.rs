//! `Gemm` without a third matrix that counts.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Number of inputs without the matrix that is added.
const FACTORS: usize = 2;

/// Takes the third matrix from a `Gemm` that adds none of it (`beta` is 0): a product with zero is not zero for all
/// numbers.
pub(super) fn forget_addend(node: &NodeProto, _: &mut Body, _: &mut Context) -> Result<Step, Error> {
    let beta = Attributes::of(node).float("beta").map_err(|problem| problem.of(node))?;
    if node.op_type != "Gemm" || node.input.len() <= FACTORS || beta != Some(0.0) {
        return Ok(Step::Keep);
    }
    let mut plain = node.clone();
    plain.input.truncate(FACTORS);
    plain.attribute.retain(|attribute| attribute.name != "beta");
    Ok(Step::nodes(vec![plain]))
}
