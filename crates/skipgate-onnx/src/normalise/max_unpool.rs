//! `MaxUnpool` (operator sets 9, 11 and 22), which the compiler does not know.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

/// Puts the elements where they came from, among zeros.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [values, places, ..] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "MaxUnpool" {
        return Ok(Step::Keep);
    }
    let shape = unpooled(node, values, context).map_err(|problem| problem.of(node))?;
    let Some(shape) = shape else {
        return Err(unsupported(node, "its sizes are not known, or it is not of 32-bit floats"));
    };
    let site = context.site(node);
    if site.has_input(2) && site.known_ints(2).ok().as_ref() != Some(&shape) {
        return Err(unsupported(
            node,
            "the shape that it asks for is another one than its places count in, which engines compute in two ways",
        ));
    }
    let mut build = Build::of(node, context);
    let nothing = zeros(&mut build, shape.iter().product());
    let [values, places] = [values, places].map(|each| build.reshape(each, &[-1]));
    let all = build.with("ScatterElements", &[&nothing, &places, &values], vec![int_attribute("axis", 0)]);
    let result = build.reshape(&all, &shape);
    Ok(build.finish(&[&result]))
}

fn zeros(build: &mut Build, count: i64) -> String {
    let zero = build.scalar(0.0, FLOAT);
    let count = build.ints(&[count]);
    build.op("Expand", &[&zero, &count])
}

/// The shape that pooling began with; `None` where it is not known.
fn unpooled(node: &NodeProto, values: &str, context: &Context) -> Result<Option<Vec<i64>>, NodeProblem> {
    let Some(shape) = context.extents(values).filter(|_| context.is_of(values, FLOAT)) else {
        return Ok(None);
    };
    let attributes = Attributes::of(node);
    let name = "kernel_shape";
    let kernel = attributes.ints(name)?.ok_or(NodeProblem::MissingAttribute { name })?;
    let rank = kernel.len();
    let list = |name, count: usize, default| {
        let given = attributes.ints(name)?.map(<[i64]>::to_vec);
        Ok::<_, NodeProblem>(given.unwrap_or_else(|| vec![default; count]))
    };
    let (strides, pads) = (list("strides", rank, 1)?, list("pads", 2 * rank, 0)?);
    if shape.len() != rank + 2 || strides.len() != rank || pads.len() != 2 * rank {
        return Ok(None);
    }
    let extent = |axis: usize| {
        let reached = (shape[axis + 2] - 1).checked_mul(strides[axis])?.checked_add(kernel[axis])?;
        reached.checked_sub(pads[axis])?.checked_sub(pads[axis + rank]).filter(|extent| *extent > 0)
    };
    let extents: Option<Vec<_>> = (0..rank).map(extent).collect();
    Ok(extents.map(|extents| [&shape[..2], &extents].concat()))
}
