//! `CausalConvWithState`, which the compiler does not know.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

const BIAS: usize = 2;
const PAST: usize = 3;

/// Writes it as a convolution of each channel over what came before and what comes now.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, weight, ..] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "CausalConvWithState" {
        return Ok(Step::Keep);
    }
    let is_gated = match Attributes::of(node).string("activation").map_err(|problem| problem.of(node))? {
        None | Some(b"none") => false,
        Some(b"silu" | b"swish") => true,
        Some(_) => {
            let expected = "`none`, `silu` or `swish`";
            return Err(NodeProblem::Attribute { name: "activation", expected }.of(node));
        }
    };
    let types = [input, weight].map(|name| context.tensor_type(name).cloned());
    let [Some(input_type), Some(weight_type)] = types else { return Ok(Step::Keep) };
    let dims = [input_type.shape.get(1), input_type.shape.get(2), weight_type.shape.get(2)];
    let known = dims.map(|dim| i64::try_from((*dim?)?).ok());
    let [Some(channels), Some(length), Some(taps)] = known else { return Ok(Step::Keep) };
    let given = |place: usize| node.input.get(place).filter(|name| !name.is_empty());
    let mut build = Build::of(node, context);
    let all = if let Some(past) = given(PAST) {
        build.with("Concat", &[past, input], vec![int_attribute("axis", 2)])
    } else {
        let pads = build.ints(&[0, 0, taps - 1, 0, 0, 0]);
        build.op("Pad", &[input, &pads])
    };
    let operands = [Some(all.as_str()), Some(weight), given(BIAS).map(String::as_str)];
    let operands: Vec<_> = operands.into_iter().flatten().collect();
    let mut result = build.with("Conv", &operands, vec![int_attribute("group", channels)]);
    if is_gated {
        let wide = build.cast(&result, FLOAT);
        let share = build.op("Sigmoid", &[&wide]);
        let gated = build.op("Mul", &[&wide, &share]);
        result = build.cast(&gated, input_type.element_type);
    }
    let is_read = node.output.get(1).is_some_and(|output| !output.is_empty());
    // All behind what the next call needs is left out.
    let present = if is_read { build.slice(&all, 2, length, length + taps - 1) } else { String::new() };
    Ok(build.finish(&[&result, &present]))
}
