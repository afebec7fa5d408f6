//! Tensors without elements, which end the compiler. What they hold is known: nothing.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::{NodeProto, TensorProto};
use crate::shapes::TensorType;
use crate::shapes::site::axis;
use crate::tensor::element_type::{BOOL, FLOAT};

/// Lets results without elements be constants. A `Split` keeps its other parts.
pub(super) fn initializer(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let is_handed_on = node.op_type == "Identity" && context.constant(&node.input[0]).is_some();
    let mut named = node.output.iter().filter(|name| !name.is_empty());
    if is_handed_on || !named.clone().any(|name| is_empty(name, context)) {
        return Ok(Step::Keep);
    }
    if named.all(|name| is_empty(name, context)) {
        return Ok(Step::Replace { nodes: Vec::new(), aliases: emptied(node, context) });
    }
    if node.op_type == "Split" { parted(node, context) } else { Ok(Step::Keep) }
}

/// Lets a node read a constant in the place of an input of the network that has no elements.
pub(super) fn inputs(node: &NodeProto, body: &mut Body, context: &mut Context) -> Step {
    let is_given = |name: &String| {
        is_empty(name, context) && context.constant(name).is_none() && body.producer(name).is_none()
    };
    let Some(place) = node.input.iter().position(is_given) else { return Step::Keep };
    let mut changed = node.clone();
    let Some(nothing) = nothing(&node.input[place], context) else { return Step::Keep };
    changed.input[place] = nothing;
    Step::nodes(vec![changed])
}

/// Leaves tensors without elements out of a `Concat`.
pub(super) fn concat(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    if node.op_type != "Concat" || !node.input.iter().any(|name| is_empty(name, context)) {
        return Step::Keep;
    }
    let mut kept = node.clone();
    kept.input.retain(|name| !is_empty(name, context));
    match &kept.input[..] {
        [] => Step::Keep,
        [only] => Step::alias(node, only),
        _ => Step::nodes(vec![kept]),
    }
}

/// Writes a reduction of no elements as the constant that it is.
pub(super) fn reduce(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let of_nothing = node.op_type.starts_with("Reduce")
        && node.input.first().is_some_and(|name| is_empty(name, context))
        && !is_empty(&node.output[0], context);
    let result = context.tensor_type(&node.output[0]).cloned();
    let Some((ty, shape)) =
        result.filter(|_| of_nothing).and_then(|ty| ty.static_shape().map(|shape| (ty, shape)))
    else {
        return Ok(Step::Keep);
    };
    let value = match (node.op_type.as_str(), ty.element_type) {
        ("ReduceL1" | "ReduceL2" | "ReduceSum" | "ReduceSumSquare", _) | ("ReduceMax", BOOL) => 0.0,
        ("ReduceProd", _) | ("ReduceMin", BOOL) => 1.0,
        ("ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax", FLOAT) => f32::NEG_INFINITY,
        ("ReduceMin", FLOAT) => f32::INFINITY,
        _ => {
            return Err(unsupported(
                node,
                "it reduces no elements, of which it makes nothing that is defined",
            ));
        }
    };
    let mut build = Build::of(node, context);
    let one = build.scalar(value, FLOAT);
    let one = build.cast(&one, ty.element_type);
    let dims: Vec<_> = shape.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
    let dims = build.ints(&dims);
    let result = build.op("Expand", &[&one, &dims]);
    Ok(build.finish(&[&result]))
}

/// Refuses a node with a result without elements, or one that makes elements of none. What is constant is handed on.
pub(super) fn check(node: &NodeProto, context: &Context) -> Result<(), Error> {
    let of_constant = node.input.first().is_some_and(|input| context.constant(input).is_some());
    if node.op_type == "Identity" && of_constant {
        return Ok(());
    }
    if node.output.iter().any(|name| is_empty(name, context)) {
        return Err(unsupported(node, "its result has no elements"));
    }
    let reads_nothing = node.input.first().is_some_and(|name| is_empty(name, context));
    if reads_nothing && node.op_type != "ConstantOfShape" {
        return Err(unsupported(node, "it makes elements of a tensor that has none"));
    }
    Ok(())
}

fn is_empty(name: &str, context: &Context) -> bool {
    context.tensor_type(name).is_some_and(|ty| ty.shape.contains(&Some(0)))
}

/// A constant like the value `name`, which has no elements; `None` if not all of its dimensions are known.
fn nothing(name: &str, context: &mut Context) -> Option<String> {
    let ty = context.tensor_type(name)?;
    let shape = ty.static_shape()?;
    let dims = shape.into_iter().map(|dim| i64::try_from(dim).ok()).collect::<Option<Vec<_>>>()?;
    let data_type = ty.element_type;
    let name = context.fresh(&format!("{name}.nothing"));
    context.add(TensorProto { name: name.clone(), dims, data_type, ..TensorProto::default() });
    Some(name)
}

/// The results of `node` that have no elements, with the constants that they are.
fn emptied(node: &NodeProto, context: &mut Context) -> Vec<(String, String)> {
    let names: Vec<_> = node.output.iter().filter(|name| is_empty(name, context)).cloned().collect();
    names.into_iter().filter_map(|name| nothing(&name, context).map(|constant| (name, constant))).collect()
}

/// A `Split` without the parts that have no elements.
fn parted(node: &NodeProto, context: &mut Context) -> Result<Step, Error> {
    let along = Attributes::of(node).int_or("axis", 0).map_err(|problem| problem.of(node))?;
    let size = |ty: &TensorType| {
        let along = axis(along, ty.shape.len()).ok()?;
        ty.shape[along].and_then(|size| i64::try_from(size).ok())
    };
    let mut parts = Vec::new();
    for name in &node.output {
        let Some(size) = context.tensor_type(name).and_then(size) else { return Ok(Step::Keep) };
        if size > 0 {
            parts.push((name.clone(), size));
        }
    }
    let mut aliases = emptied(node, context);
    if let [(only, _)] = &parts[..] {
        aliases.push((only.clone(), node.input[0].clone()));
        return Ok(Step::Replace { nodes: Vec::new(), aliases });
    }
    let (output, sizes): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let sizes = context.add_ints(&format!("{}.sizes", output[0]), &sizes);
    let split = NodeProto {
        input: vec![node.input[0].clone(), sizes],
        output,
        attribute: vec![int_attribute("axis", along)],
        ..node.clone()
    };
    Ok(Step::Replace { nodes: vec![split], aliases })
}
