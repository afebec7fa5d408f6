//! Windows of signals, which are constants where their size is one.

use super::body::Body;
use super::context::Context;
use super::{Step, constant, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::tensor;
use crate::tensor::element_type::FLOAT;

/// Longest window.
const MAX_LENGTH: i64 = 1 << 20;

/// Lets a window be a constant.
pub(super) fn initializer(node: &NodeProto, body: &mut Body, context: &mut Context) -> Result<Step, Error> {
    // Weights of the cosines of no, one and two turns.
    let weights = match node.op_type.as_str() {
        "BlackmanWindow" => [0.42, -0.5, 0.08],
        "HammingWindow" => [25.0 / 46.0, -21.0 / 46.0, 0.0],
        "HannWindow" => [0.5, -0.5, 0.0],
        _ => return Ok(Step::Keep),
    };
    let attributes = Attributes::of(node);
    let int = |name, default| attributes.int_or(name, default).map_err(|problem| problem.of(node));
    let (periodic, element_type) = (int("periodic", 1)? != 0, int("output_datatype", i64::from(FLOAT))?);
    let size = node.input.first().and_then(|size| context.value(size)?.ints.as_deref());
    let size = match size {
        Some(&[Some(size)]) if (1..=MAX_LENGTH).contains(&size) && element_type == i64::from(FLOAT) => size,
        _ => return Err(unsupported(node, "its size is not constant, or it is not of 32-bit floats")),
    };
    let turn = if periodic { size } else { size - 1 };
    let values: Vec<_> = (0..size).map(|place| value(weights, place, turn)).collect();
    let tensor = tensor::from_floats(String::new(), vec![size], &values);
    Ok(constant::replace(node, tensor, body, context))
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in single precision")]
fn value(weights: [f64; 3], place: i64, turn: i64) -> f32 {
    let angle = std::f64::consts::TAU * place as f64 / turn as f64;
    let [none, one, two] = weights;
    (none + one * angle.cos() + two * (2.0 * angle).cos()) as f32
}
