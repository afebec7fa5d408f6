//! `Sign`, which the compiler does not come to an end with, or gets wrong, where its input is constant.

use super::Step;
use super::body::Body;
use super::context::{Context, Parts};
use crate::edit::int_attribute;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::FLOAT;

/// Writes the sign as the difference of two comparisons with zero.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let Some(input) = node.input.first().filter(|_| node.op_type == "Sign") else { return Step::Keep };
    if context.tensor_type(input).is_none_or(|input| input.element_type != FLOAT) {
        return Step::Keep;
    }
    let zero = context.fresh(&format!("{}.zero", node.output[0]));
    context.add(tensor::from_floats(zero.clone(), vec![], &[0.0]));
    let mut parts = Parts::of(node);
    let mut holds = |comparison: &str| {
        let holds = parts.add(context, comparison, &[input, &zero], vec![]);
        parts.add(context, "Cast", &[&holds], vec![int_attribute("to", FLOAT.into())])
    };
    let (above, below) = (holds("Greater"), holds("Less"));
    Step::nodes(parts.finish("Sub", &[&above, &below], vec![]))
}
