//! `CumProd`, which the compiler does not know.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::site::axis;

/// Most elements of the axis, which are multiplied one behind the other.
const MAX_EXTENT: usize = 64;

/// Writes the products out.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, along] = &node.input[..] else { return Ok(Step::Keep) };
    let Some(ty) = context.tensor_type(input).cloned().filter(|_| node.op_type == "CumProd") else {
        return Ok(Step::Keep);
    };
    let along = context.value(along).and_then(|value| match value.ints.as_deref()? {
        &[Some(along)] => axis(along, ty.shape.len()).ok(),
        _ => None,
    });
    let Some(along) = along else { return Err(unsupported(node, "its axis is not constant")) };
    let extent = ty.shape[along].filter(|extent| (1..=MAX_EXTENT).contains(extent));
    let Some(extent) = extent else { return Err(unsupported(node, "its axis is not known to be short")) };
    let flag = |name| Attributes::of(node).flag(name).map_err(|problem| problem.of(node));
    let (exclusive, reverse) = (flag("exclusive")?, flag("reverse")?);
    let along = i64::try_from(along).unwrap_or(i64::MAX);
    let mut build = Build::of(node, context);
    let mut places: Vec<i64> = (0..).take(extent).collect();
    if reverse {
        places.reverse();
    }
    let mut elements: Vec<_> =
        places.iter().map(|&place| build.slice(input, along, place, place + 1)).collect();
    if exclusive {
        let one = build.scalar(1.0, ty.element_type);
        let shape = build.op("Shape", &[&elements[0]]);
        elements.insert(0, build.op("Expand", &[&one, &shape]));
        elements.pop();
    }
    let mut products: Vec<String> = Vec::new();
    for element in elements {
        let product = match products.last() {
            Some(last) => build.op("Mul", &[last, &element]),
            None => element,
        };
        products.push(product);
    }
    if reverse {
        products.reverse();
    }
    let products: Vec<_> = products.iter().map(String::as_str).collect();
    let result = build.with("Concat", &products, vec![int_attribute("axis", along)]);
    Ok(build.finish(&[&result]))
}
