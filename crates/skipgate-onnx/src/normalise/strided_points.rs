//! Windows of one element that step over elements between them.
//!
//! The compiler fuses a depthwise convolution of this kind, or a pool, with what its result is added to, as if it were
//! arithmetic on each element, and then fails at what it has fused.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// What is said of windows in attributes that go once the elements between them are gone.
const WINDOW: [&str; 3] = ["auto_pad", "pads", "strides"];

/// Takes the elements first that windows stand on.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let (Some(input), true) = (node.input.first(), is_point(node, context)) else { return Ok(Step::Keep) };
    let attributes = Attributes::of(node);
    let strides = attributes.ints("strides").map_err(|problem| problem.of(node))?.unwrap_or_default();
    let pads = attributes.ints("pads").map_err(|problem| problem.of(node))?.unwrap_or_default();
    let Some(sizes) = spatial_sizes(input, context).filter(|sizes| sizes.len() == strides.len()) else {
        return Ok(Step::Keep);
    };
    let steps_over_some =
        strides.iter().all(|&stride| stride > 0) && strides.iter().any(|&stride| stride > 1);
    if !steps_over_some || pads.iter().any(|&pad| pad != 0) {
        return Ok(Step::Keep);
    }
    let axes: Vec<_> = (2..).take(sizes.len()).collect();
    let mut build = Build::of(node, context);
    let bounds = [&vec![0; sizes.len()], &sizes, &axes, strides].map(|values| build.ints(values));
    let mut operands = vec![input.as_str()];
    operands.extend(bounds.iter().map(String::as_str));
    let points = build.op("Slice", &operands);
    let result = if node.op_type == "Conv" {
        let mut operands = vec![points.as_str()];
        operands.extend(node.input[1..].iter().map(String::as_str));
        let is_of_window = |name: &str| WINDOW.contains(&name);
        let rest = node.attribute.iter().filter(|attribute| !is_of_window(&attribute.name)).cloned();
        build.with("Conv", &operands, rest.collect())
    } else {
        points
    };
    Ok(build.finish(&[&result]))
}

/// Whether `node` computes each element from one alone: a depthwise convolution or a pool.
fn is_point(node: &NodeProto, context: &Context) -> bool {
    match node.op_type.as_str() {
        "Conv" => {
            let weight = node.input.get(1).and_then(|weight| context.tensor_type(weight));
            weight.is_some_and(|weight| weight.shape.iter().skip(1).all(|&extent| extent == Some(1)))
        }
        "AveragePool" | "MaxPool" => {
            let kernel = Attributes::of(node).ints("kernel_shape").ok().flatten();
            node.output.len() == 1 && kernel.is_some_and(|kernel| kernel.iter().all(|&extent| extent == 1))
        }
        _ => false,
    }
}

fn spatial_sizes(input: &str, context: &Context) -> Option<Vec<i64>> {
    let sizes = context.tensor_type(input)?.shape.get(2..)?;
    sizes.iter().map(|&size| i64::try_from(size?).ok()).collect()
}
