//! Operators of the domain `ai.onnx.ml` (versions 1 to 5) that are plain ones: `ArrayFeatureExtractor` and `Binarizer`.
//!
//! They wait for the types of what they read, which another one of them may have to give first.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

const DOMAIN: &str = "ai.onnx.ml";

/// Writes them in operators of ONNX itself.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.domain != DOMAIN {
        return Ok(Step::Keep);
    }
    match node.op_type.as_str() {
        "ArrayFeatureExtractor" => Ok(extract(node, context)),
        "Binarizer" => binarize(node, context),
        _ => Ok(Step::Keep),
    }
}

/// The elements of the last dimension that are listed; a single dimension becomes two.
fn extract(node: &NodeProto, context: &mut Context) -> Step {
    let [input, places] = &node.input[..] else { return Step::Keep };
    let Some(rank) = context.tensor_type(input).map(|input| input.shape.len()) else { return Step::Keep };
    let mut build = Build::of(node, context);
    let places = build.reshape(places, &[-1]);
    let mut result = build.with("Gather", &[input, &places], vec![int_attribute("axis", -1)]);
    if rank == 1 {
        result = build.unsqueeze(&result, &[0]);
    }
    build.finish(&[&result])
}

/// Ones for the numbers above a threshold, and zeros.
fn binarize(node: &NodeProto, context: &mut Context) -> Result<Step, Error> {
    let Some(ty) = node.input.first().and_then(|input| context.tensor_type(input)) else {
        return Ok(Step::Keep);
    };
    if ty.element_type != FLOAT {
        return Err(unsupported(node, "its input is not of 32-bit floats"));
    }
    let threshold = Attributes::of(node).float("threshold").map_err(|problem| problem.of(node))?;
    let mut build = Build::of(node, context);
    let threshold = build.scalar(threshold.unwrap_or(0.0), FLOAT);
    let is_above = build.op("Greater", &[&node.input[0], &threshold]);
    let result = build.cast(&is_above, FLOAT);
    Ok(build.finish(&[&result]))
}
