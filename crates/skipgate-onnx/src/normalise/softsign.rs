//! `Softsign`, of which the compiler knows only the latest version.

use super::Step;
use super::body::Body;
use super::context::{Context, Parts};
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::FLOAT;

/// Writes `x / (1 + |x|)` out.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let Some(input) = node.input.first().filter(|_| node.op_type == "Softsign") else { return Step::Keep };
    if context.tensor_type(input).is_none_or(|input| input.element_type != FLOAT) {
        return Step::Keep;
    }
    let one = context.fresh(&format!("{}.one", node.output[0]));
    context.add(tensor::from_floats(one.clone(), vec![], &[1.0]));
    let mut parts = Parts::of(node);
    let magnitude = parts.add(context, "Abs", &[input], vec![]);
    let divisor = parts.add(context, "Add", &[&magnitude, &one], vec![]);
    Step::nodes(parts.finish("Div", &[input, &divisor], vec![]))
}
