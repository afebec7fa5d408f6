//! `ConvTranspose` in groups, of which the compiler gets the sizes wrong.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;

/// Most groups that are written out.
const MAX_GROUPS: i64 = 64;

/// Writes a layer for each group.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, weight, bias @ ..] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "ConvTranspose" {
        return Ok(Step::Keep);
    }
    let groups = Attributes::of(node).int_or("group", 1).map_err(|problem| problem.of(node))?;
    let dim = |name: &str, place: usize| {
        let shape = &context.tensor_type(name)?.shape;
        i64::try_from((*shape.get(place)?)?).ok()
    };
    let (Some(channels), Some(filters)) = (dim(weight, 0), dim(weight, 1)) else { return Ok(Step::Keep) };
    if !(2..=MAX_GROUPS).contains(&groups) || channels % groups != 0 {
        return Ok(Step::Keep);
    }
    let bias = bias.first().filter(|name| !name.is_empty());
    let attributes: Vec<_> =
        node.attribute.iter().filter(|attribute| attribute.name != "group").cloned().collect();
    let size = channels / groups;
    let mut build = Build::of(node, context);
    let mut results = Vec::new();
    for group in 0..groups {
        let mut operands = vec![
            build.slice(input, 1, group * size, (group + 1) * size),
            build.slice(weight, 0, group * size, (group + 1) * size),
        ];
        if let Some(bias) = bias {
            operands.push(build.slice(bias, 0, group * filters, (group + 1) * filters));
        }
        let operands: Vec<_> = operands.iter().map(String::as_str).collect();
        results.push(build.with("ConvTranspose", &operands, attributes.clone()));
    }
    let results: Vec<_> = results.iter().map(String::as_str).collect();
    let result = build.with("Concat", &results, vec![int_attribute("axis", 1)]);
    Ok(build.finish(&[&result]))
}
