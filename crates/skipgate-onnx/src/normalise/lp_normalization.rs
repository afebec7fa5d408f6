//! `LpNormalization`, which gives zeros for zeros.

use super::body::Body;
use super::build::AXES_ARE_INPUTS;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::ints_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::FLOAT;

/// Writes the division out: the compiler divides by a norm of zero, which is not a number.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "LpNormalization" {
        return Ok(Step::Keep);
    }
    let attributes = Attributes::of(node);
    let int = |name, default| attributes.int_or(name, default).map_err(|problem| problem.of(node));
    let (axis, order) = (int("axis", -1)?, int("p", 2)?);
    let reduction = match order {
        1 => "ReduceL1",
        2 => "ReduceL2",
        _ => return Err(unsupported(node, "`p` is neither 1 nor 2")),
    };
    let input = node.input.first().map_or("", String::as_str);
    if context.tensor_type(input).is_none_or(|input| input.element_type != FLOAT) {
        return Err(unsupported(node, "its input is not known to be of 32-bit floats"));
    }
    let scalar = |context: &mut Context, name: &str, value: f32| {
        let name = context.fresh(&format!("{}.{name}", node.output[0]));
        context.add(tensor::from_floats(name.clone(), vec![], &[value]));
        name
    };
    let (zero, one) = (scalar(context, "zero", 0.0), scalar(context, "one", 1.0));
    let mut parts = Parts::of(node);
    let norm = if context.opset < AXES_ARE_INPUTS {
        parts.add(context, reduction, &[input], vec![ints_attribute("axes", vec![axis])])
    } else {
        let axes = context.add_ints(&format!("{}.axes", node.output[0]), &[axis]);
        parts.add(context, reduction, &[input, &axes], vec![])
    };
    let nothing = parts.add(context, "Equal", &[&norm, &zero], vec![]);
    let divisor = parts.add(context, "Where", &[&nothing, &one, &norm], vec![]);
    Ok(Step::nodes(parts.finish("Div", &[input, &divisor], vec![])))
}
