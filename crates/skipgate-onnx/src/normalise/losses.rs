//! `NegativeLogLikelihoodLoss` and `SoftmaxCrossEntropyLoss`, which the compiler does not know.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::INT64;

/// Writes the loss as a choice of one element for each place, weighted and summed.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let of_scores = match node.op_type.as_str() {
        "NegativeLogLikelihoodLoss" => false,
        "SoftmaxCrossEntropyLoss" => true,
        _ => return Ok(Step::Keep),
    };
    let [scores, target, weight @ ..] = &node.input[..] else { return Ok(Step::Keep) };
    let reduction = Reduction::of(node).map_err(|problem| problem.of(node))?;
    let ignored = Attributes::of(node).int("ignore_index").map_err(|problem| problem.of(node))?;
    let Some(ty) = context.tensor_type(scores).cloned() else { return Ok(Step::Keep) };
    if ty.shape.len() < 2 {
        return Err(unsupported(node, "its input has no dimension of classes"));
    }
    let mut build = Build::of(node, context);
    let along_classes = || vec![int_attribute("axis", 1)];
    let logarithms =
        if of_scores { build.with("LogSoftmax", &[scores], along_classes()) } else { scores.clone() };
    let target = build.cast(target, INT64);
    let ignored = ignored.map(|ignored| {
        let ignored = build.int_tensor(&[], &[ignored]);
        build.op("Equal", &[&target, &ignored])
    });
    // A class that is ignored may be none that there is.
    let class = match &ignored {
        Some(ignored) => {
            let first = build.int_tensor(&[], &[0]);
            build.op("Where", &[ignored, &first, &target])
        }
        None => target,
    };
    let places = build.unsqueeze(&class, &[1]);
    let chosen = build.with("GatherElements", &[&logarithms, &places], along_classes());
    let axis = build.ints(&[1]);
    let chosen = build.op("Squeeze", &[&chosen, &axis]);
    let mut loss = build.op("Neg", &[&chosen]);
    let weight = weight.first().filter(|name| !name.is_empty());
    let mut weights =
        weight.map(|weight| build.with("Gather", &[weight, &class], vec![int_attribute("axis", 0)]));
    if let Some(weights) = &weights {
        loss = build.op("Mul", &[&loss, weights]);
    }
    if let Some(ignored) = &ignored {
        let [zero, one] = [0.0, 1.0].map(|value| build.scalar(value, ty.element_type));
        loss = build.op("Where", &[ignored, &zero, &loss]);
        weights = Some(build.op("Where", &[ignored, &zero, weights.as_deref().unwrap_or(&one)]));
    }
    let all = || vec![int_attribute("keepdims", 0)];
    let loss = match (reduction, weights) {
        (Reduction::None, _) => loss,
        (Reduction::Sum, _) => build.with("ReduceSum", &[&loss], all()),
        (Reduction::Mean, None) => build.with("ReduceMean", &[&loss], all()),
        (Reduction::Mean, Some(weights)) => {
            let [loss, weights] = [loss, weights].map(|value| build.with("ReduceSum", &[&value], all()));
            build.op("Div", &[&loss, &weights])
        }
    };
    Ok(build.finish(&[&loss, &logarithms]))
}

#[derive(Clone, Copy)]
enum Reduction {
    Mean,
    None,
    Sum,
}

impl Reduction {
    fn of(node: &NodeProto) -> Result<Self, NodeProblem> {
        match Attributes::of(node).string("reduction")?.unwrap_or(b"mean") {
            b"mean" => Ok(Self::Mean),
            b"none" => Ok(Self::None),
            b"sum" => Ok(Self::Sum),
            _ => Err(NodeProblem::Attribute { name: "reduction", expected: "`mean`, `none` or `sum`" }),
        }
    }
}
