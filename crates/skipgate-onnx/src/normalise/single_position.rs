//! Convolutions whose windows have one position, as on an image that a pool has made one pixel.
//!
//! For one image the bias then has as many elements as the result, and the compiler starts its sums from the bias itself
//! rather than from zeros: with a bias of a few channels it fails there. Layers of one group on images have kernels that
//! take the bias, and depthwise ones do not become sums of this kind.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Rank of a batch of images.
const IMAGES: usize = 4;

/// Adds the bias behind the convolution.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, weight, bias] = &node.input[..] else { return Ok(Step::Keep) };
    let result = node.output.first().and_then(|output| context.tensor_type(output));
    let (Some(shape), false) = (result.map(|result| &result.shape), bias.is_empty()) else {
        return Ok(Step::Keep);
    };
    let has_one_position = shape.len() > 2 && shape[2..].iter().all(|&extent| extent == Some(1));
    if node.op_type != "Conv" || !has_one_position {
        return Ok(Step::Keep);
    }
    let groups = Attributes::of(node).int_or("group", 1).map_err(|problem| problem.of(node))?;
    if groups == 1 && shape.len() == IMAGES {
        return Ok(Step::Keep);
    }
    let axes: Vec<_> = (1..).take(shape.len() - 2).collect();
    let mut build = Build::of(node, context);
    let products = build.with("Conv", &[input, weight], node.attribute.clone());
    let bias = build.unsqueeze(bias, &axes);
    let result = build.op("Add", &[&products, &bias]);
    Ok(build.finish(&[&result]))
}
