//! `FlexAttention` of the domain `ai.onnx.preview` (version 1): attention whose scores and probabilities are changed by graphs
//! of the model.

use std::collections::HashMap;

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::unroll::instance;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, FLOAT16};

const DOMAIN: &str = "ai.onnx.preview";

/// Writes it out: products of matrices with a softmax between them, and the graphs in front of that and behind it.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [queries, keys, values] = &node.input[..] else { return Ok(Step::Keep) };
    if node.domain != DOMAIN || node.op_type != "FlexAttention" {
        return Ok(Step::Keep);
    }
    let options = Options::of(node).map_err(|problem| problem.of(node))?;
    let shapes = [queries, keys, values].map(|name| context.extents(name));
    let [Some(of_queries), Some(of_keys), Some(of_values)] = shapes else {
        return Err(unsupported(node, "its sizes are not known"));
    };
    let (&[batch, heads, length, size], &[_, shared, memory, _], &[.., depth]) =
        (&of_queries[..], &of_keys[..], &of_values[..])
    else {
        return Err(unsupported(node, "its inputs are not of 4 dimensions"));
    };
    let element_type = context.tensor_type(queries).map(|ty| ty.element_type);
    let Some(element_type @ (FLOAT | FLOAT16)) = element_type.filter(|_| heads % shared == 0) else {
        return Err(unsupported(node, "it is not of floats, or its heads cannot be shared out"));
    };
    if options.precision.is_some_and(|precision| precision != i64::from(FLOAT)) {
        return Err(unsupported(node, "its softmax is computed in other numbers than 32-bit floats"));
    }
    let mut build = Build::of(node, context);
    // Queries that share keys and values stand below each other.
    let rows = heads / shared * length;
    let [queries, keys, values] = [queries, keys, values].map(|value| build.cast(value, FLOAT));
    let queries = build.reshape(&queries, &[batch, shared, rows, size]);
    let keys = build.transpose(&keys, &[0, 1, 3, 2]);
    let scores = build.op("MatMul", &[&queries, &keys]);
    let scale = build.scalar(options.scale.unwrap_or(1.0 / (size as f32).sqrt()), FLOAT);
    let scores = build.op("Mul", &[&scores, &scale]);
    let scores = build.reshape(&scores, &[batch, heads, length, memory]);
    let scores = modified(node, "score_mod", scores, &mut build)?;
    let shares = build.with("Softmax", &[&scores], vec![int_attribute("axis", 3)]);
    let shares = modified(node, "prob_mod", shares, &mut build)?;
    let shares = build.reshape(&shares, &[batch, shared, rows, memory]);
    let result = build.op("MatMul", &[&shares, &values]);
    let result = build.reshape(&result, &[batch, heads, length, depth]);
    let result = build.cast(&result, element_type);
    Ok(build.finish(&[&result]))
}

struct Options {
    scale: Option<f32>,
    precision: Option<i64>,
}

impl Options {
    fn of(node: &NodeProto) -> Result<Self, NodeProblem> {
        let attributes = Attributes::of(node);
        Ok(Self { scale: attributes.float("scale")?, precision: attributes.int("softmax_precision")? })
    }
}

/// What the graph `name` of `node`, if there is one, makes of `value`.
fn modified(node: &NodeProto, name: &'static str, value: String, build: &mut Build) -> Result<String, Error> {
    let Some(graph) = Attributes::of(node).graph(name).map_err(|problem| problem.of(node))? else {
        return Ok(value);
    };
    let [input] = &graph.input[..] else {
        return Err(unsupported(node, "its graphs do not take one tensor each"));
    };
    let outputs = instance(graph, HashMap::from([(input.name.clone(), value)]), build)?;
    outputs.into_iter().next().ok_or_else(|| unsupported(node, "its graphs do not give one tensor each"))
}
