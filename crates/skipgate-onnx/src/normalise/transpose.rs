//! Transpositions one after the other become one.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::attributes::Attributes;
use crate::check::is_default_domain;
use crate::edit::ints_attribute;
use crate::proto::NodeProto;
use crate::shapes::layout::permutation;

/// Lets a `Transpose` of a transposed value transpose the value in front, at once. Where the two undo each other, the
/// next step finds a transposition that changes nothing.
pub(super) fn merge(node: &NodeProto, body: &mut Body, context: &mut Context) -> Step {
    if node.op_type != "Transpose" {
        return Step::Keep;
    }
    let Some(first) = node.input.first().and_then(|input| body.producer(input)) else {
        return Step::Keep;
    };
    let is_transpose = first.op_type == "Transpose" && is_default_domain(&first.domain);
    let (Some(second), Some(source)) = (order(node, context), first.input.first()) else {
        return Step::Keep;
    };
    let Some(inner) = order(first, context).filter(|inner| is_transpose && inner.len() == second.len())
    else {
        return Step::Keep;
    };
    let order: Vec<_> = second.iter().map(|&axis| inner[axis]).collect();
    if order.iter().copied().eq(0..order.len()) {
        return Step::alias(node, source);
    }
    let perm: Vec<_> = order.into_iter().filter_map(|axis| i64::try_from(axis).ok()).collect();
    let mut merged = NodeProto { input: vec![source.clone()], ..node.clone() };
    merged.attribute = vec![ints_attribute("perm", perm)];
    Step::nodes(vec![merged])
}

/// The permutation of a `Transpose`; `None` if it is not known.
fn order(node: &NodeProto, context: &Context) -> Option<Vec<usize>> {
    let written = Attributes::of(node).ints("perm").ok()?.map(<[i64]>::len);
    let rank = || context.tensor_type(node.input.first()?).map(|input| input.shape.len());
    permutation(&context.site(node), written.or_else(rank)?).ok()
}
