//! Reductions over no axes, and the logarithm of a sum of powers.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::{AttributeProto, NodeProto};
use crate::shapes::site::Site;
use crate::tensor::element_type::FLOAT;

/// Removes a reduction over no axes, which the compiler dies of in some operators.
pub(super) fn remove_empty(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if !node.op_type.starts_with("Reduce") || node.input.is_empty() {
        return Ok(Step::Keep);
    }
    if !is_over_no_axes(&context.site(node)).map_err(|problem| problem.of(node))? {
        return Ok(Step::Keep);
    }
    match node.op_type.as_str() {
        "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum" => {
            Ok(Step::alias(node, &node.input[0]))
        }
        _ => Err(unsupported(node, "it reduces over no axes")),
    }
}

fn is_over_no_axes(site: &Site) -> Result<bool, NodeProblem> {
    if !site.attributes.flag("noop_with_empty_axes")? {
        return Ok(false);
    }
    let axes = site.attributes.ints("axes")?.map(<[i64]>::is_empty);
    let given = site.known_ints(AXES).ok().map(|axes| axes.is_empty());
    Ok(axes.or(given).unwrap_or(!site.has_input(AXES)))
}

/// The input that holds the axes from operator set 18 on, of `ReduceSum` from 13 on.
const AXES: usize = 1;

/// Writes `ReduceLogSumExp` with the largest element taken out first, without which the powers are too large.
pub(super) fn log_sum_exp(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(input) = node.input.first().filter(|_| node.op_type == "ReduceLogSumExp") else {
        return Ok(Step::Keep);
    };
    if context.tensor_type(input).is_none_or(|input| input.element_type != FLOAT) {
        return Err(unsupported(node, "its input is not known to be of 32-bit floats"));
    }
    let keeps = Attributes::of(node).int_or("keepdims", 1).map_err(|problem| problem.of(node))?;
    let axes = axes_as_input(node, context)?;
    let with_axes = |value| std::iter::once(value).chain(axes.as_deref()).collect::<Vec<_>>();
    let bound = |context: &mut Context, bound| {
        context.add_floats(&format!("{}.bound", node.output[0]), vec![], &[bound])
    };
    let (least, most) = (bound(context, f32::MIN), bound(context, f32::MAX));
    let mut parts = Parts::of(node);
    let inputs: Vec<_> = node.input.iter().map(String::as_str).collect();
    let largest = parts.add(context, "ReduceMax", &inputs, keeping_dimensions(node));
    // An infinite one would make a difference that is not a number.
    let largest = parts.add(context, "Clip", &[&largest, &least, &most], vec![]);
    let below = parts.add(context, "Sub", &[input, &largest], vec![]);
    let powers = parts.add(context, "Exp", &[&below], vec![]);
    let sum = parts.add(context, "ReduceSum", &with_axes(&powers), vec![int_attribute("keepdims", keeps)]);
    let logarithm = parts.add(context, "Log", &[&sum], vec![]);
    let largest =
        if keeps == 0 { parts.add(context, "Squeeze", &with_axes(&largest), vec![]) } else { largest };
    Ok(Step::nodes(parts.finish("Add", &[&logarithm, &largest], vec![])))
}

/// The axes as `ReduceSum` and `Squeeze` take them; `None` for all.
fn axes_as_input(node: &NodeProto, context: &mut Context) -> Result<Option<String>, Error> {
    let attribute = Attributes::of(node).ints("axes").map_err(|problem| problem.of(node))?;
    if let Some(axes) = attribute {
        return Ok(Some(context.add_ints(&format!("{}.axes", node.output[0]), axes)));
    }
    Ok(node.input.get(AXES).filter(|axes| !axes.is_empty()).cloned())
}

fn keeping_dimensions(node: &NodeProto) -> Vec<AttributeProto> {
    let axes = node.attribute.iter().filter(|attribute| attribute.name == "axes").cloned();
    axes.chain([int_attribute("keepdims", 1)]).collect()
}
