//! `MatMul` with a vector and a stack of matrices, which the compiler does not know.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::proto::NodeProto;

/// Lets the vector be a matrix of one row or column.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let [first, second] = &node.input[..] else { return Step::Keep };
    let rank = |name: &str| context.tensor_type(name).map(|ty| ty.shape.len());
    let (Some(first_rank), Some(second_rank)) = (rank(first), rank(second)) else { return Step::Keep };
    if node.op_type != "MatMul" || first_rank.min(second_rank) != 1 || first_rank.max(second_rank) < 3 {
        return Step::Keep;
    }
    let mut build = Build::of(node, context);
    let (operands, axis) = if first_rank == 1 {
        ([build.unsqueeze(first, &[0]), second.clone()], -2)
    } else {
        ([first.clone(), build.unsqueeze(second, &[1])], -1)
    };
    let product = build.op("MatMul", &[&operands[0], &operands[1]]);
    let axes = build.ints(&[axis]);
    let result = build.op("Squeeze", &[&product, &axes]);
    build.finish(&[&result])
}
