//! `BatchNormalization` that no convolution takes: one product and one sum for each channel.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor;

/// Rewrites what [`fold_batch_norm`](crate::fold_batch_norm) leaves. The compiler refuses the versions of the operator
/// before 14; and as a product and a sum it is an operator whose results depend on one element each, which residual
/// blocks with the normalisation in front of their convolutions gain from.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "BatchNormalization" || node.input.len() != 5 {
        return Ok(Step::Keep);
    }
    check_mode(node)?;
    if context.is_folded(node)? {
        return Ok(Step::Keep);
    }
    let Some(rank) = context.tensor_type(&node.input[0]).map(|input| input.shape.len()) else {
        return Ok(Step::Keep);
    };
    let Some((factors, terms)) = affine(node, context)? else { return Ok(Step::Keep) };
    // One channel per row, whatever the rank: [C, 1, 1] for images.
    let mut dims = vec![1; rank.saturating_sub(1).max(1)];
    dims[0] = i64::try_from(factors.len()).unwrap_or(i64::MAX);
    let output = &node.output[0];
    let factor = context.add_floats(&format!("{output}.factor"), dims.clone(), &factors);
    let term = context.add_floats(&format!("{output}.term"), dims, &terms);
    let mut parts = Parts::of(node);
    let scaled = parts.add(context, "Mul", &[&node.input[0], &factor], vec![]);
    Ok(Step::nodes(parts.finish("Add", &[&scaled, &term], vec![])))
}

/// Training replaces the statistics by those of the batch at hand, which the compiler does not compute.
fn check_mode(node: &NodeProto) -> Result<(), Error> {
    let training = Attributes::of(node).flag("training_mode").map_err(|problem| problem.of(node))?;
    if training || node.output.iter().skip(1).any(|output| !output.is_empty()) {
        return Err(unsupported(node, "it is in training mode, which depends on the whole batch"));
    }
    Ok(())
}

/// Factors and terms of the channels.
type Affine = (Vec<f32>, Vec<f32>);

/// What the normalisation does to each channel; `None` if they are not constant floats.
fn affine(node: &NodeProto, context: &Context) -> Result<Option<Affine>, Error> {
    let mut parameters = Vec::new();
    for name in &node.input[1..] {
        let Some(tensor) = context.constant(name) else { return Ok(None) };
        let Some(values) = tensor::floats(tensor)? else { return Ok(None) };
        parameters.push(values);
    }
    let [scale, shift, mean, variance] = &parameters[..] else { return Ok(None) };
    if [shift.len(), mean.len(), variance.len()] != [scale.len(); 3] || scale.is_empty() {
        return Ok(None);
    }
    let epsilon = Attributes::of(node).float("epsilon").map_err(|problem| problem.of(node))?.unwrap_or(1e-5);
    let channel = |i: usize| {
        let factor = f64::from(scale[i]) / (f64::from(variance[i]) + f64::from(epsilon)).sqrt();
        rounded(factor, f64::from(shift[i]) - f64::from(mean[i]) * factor)
    };
    Ok(Some((0..scale.len()).map(channel).unzip()))
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in single precision")]
fn rounded(factor: f64, term: f64) -> (f32, f32) {
    (factor as f32, term as f32)
}
