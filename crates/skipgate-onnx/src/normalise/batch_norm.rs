//! `BatchNormalization` that no convolution takes: one product and one sum for each channel, and in training mode (operator
//! set 14) the statistics of the batch.

use super::body::Body;
use super::build::Build;
use super::context::{Context, Parts};
use super::weights::MODE_IS_AN_ATTRIBUTE;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::FLOAT;

/// Rewrites what [`fold_batch_norm`](crate::fold_batch_norm) leaves. The compiler refuses the versions of the operator
/// before 14; and as a product and a sum it is an operator whose results depend on one element each, which residual
/// blocks with the normalisation in front of their convolutions gain from.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "BatchNormalization" || node.input.len() != 5 {
        return Ok(Step::Keep);
    }
    if is_training(node)? {
        return normalised_by_batch(node, context);
    }
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

/// Whether the statistics are those of the batch at hand. Before operator set 14, more than one output says so.
fn is_training(node: &NodeProto) -> Result<bool, Error> {
    let training = Attributes::of(node).flag("training_mode").map_err(|problem| problem.of(node))?;
    Ok(training || node.output.iter().skip(1).any(|output| !output.is_empty()))
}

/// Writes the normalisation by the mean and the variance of the batch, and what becomes of the running ones.
fn normalised_by_batch(node: &NodeProto, context: &mut Context) -> Result<Step, Error> {
    let [input, scale, shift, running @ ..] = &node.input[..] else { return Ok(Step::Keep) };
    if context.opset < MODE_IS_AN_ATTRIBUTE {
        return Err(unsupported(
            node,
            "it is in training mode, which early operator sets have other outputs for",
        ));
    }
    let rank = context.tensor_type(input).filter(|ty| ty.element_type == FLOAT).map(|ty| ty.shape.len());
    let Some(rank) = rank.filter(|rank| *rank > 1).and_then(|rank| i64::try_from(rank).ok()) else {
        return Err(unsupported(node, "it is in training mode, and not known to be of 32-bit floats"));
    };
    let attributes = Attributes::of(node);
    let float = |name| attributes.float(name).map_err(|problem| problem.of(node));
    let (epsilon, momentum) = (float("epsilon")?.unwrap_or(1e-5), float("momentum")?.unwrap_or(0.9));
    let axes: Vec<_> = (0..rank).filter(|axis| *axis != 1).collect();
    let mut build = Build::of(node, context);
    let mean = build.reduce("ReduceMean", input, &axes);
    let centred = build.op("Sub", &[input, &mean]);
    let squares = build.op("Mul", &[&centred, &centred]);
    let variance = build.reduce("ReduceMean", &squares, &axes);
    let epsilon = build.scalar(epsilon, FLOAT);
    let deviation = build.op("Add", &[&variance, &epsilon]);
    let deviation = build.op("Sqrt", &[&deviation]);
    let normal = build.op("Div", &[&centred, &deviation]);
    let mut per_channel = vec![1; axes.len() + 1];
    per_channel[1] = -1;
    let [scale, shift] = [scale, shift].map(|each| build.reshape(each, &per_channel));
    let scaled = build.op("Mul", &[&normal, &scale]);
    let mut outputs = vec![build.op("Add", &[&scaled, &shift])];
    let [kept, new] = [momentum, 1.0 - momentum].map(|share| build.scalar(share, FLOAT));
    for (running, of_batch) in running.iter().zip([mean, variance]) {
        let of_batch = build.reshape(&of_batch, &[-1]);
        let (kept, new) = (build.op("Mul", &[running, &kept]), build.op("Mul", &[&of_batch, &new]));
        outputs.push(build.op("Add", &[&kept, &new]));
    }
    Ok(build.finish(&outputs.iter().map(String::as_str).collect::<Vec<_>>()))
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
