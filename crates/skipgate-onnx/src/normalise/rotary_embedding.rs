//! `RotaryEmbedding`, which the compiler does not know.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::Error;
use crate::proto::NodeProto;

/// Writes the rotation of pairs of elements as products with the sines and cosines of their places.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, cosines, sines, places @ ..] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "RotaryEmbedding" {
        return Ok(Step::Keep);
    }
    let attributes = Attributes::of(node);
    let int = |name| attributes.int_or(name, 0).map_err(|problem| problem.of(node));
    let (interleaved, rotated, heads) =
        (int("interleaved")? != 0, int("rotary_embedding_dim")?, int("num_heads")?);
    let Some(shape) = context.tensor_type(input).map(|input| input.shape.clone()) else {
        return Ok(Step::Keep);
    };
    let Some(last) = shape.last().and_then(|dim| i64::try_from((*dim)?).ok()) else { return Ok(Step::Keep) };
    let flat = shape.len() == 3;
    let size = if flat { last / heads.max(1) } else { last };
    let rotated = if rotated == 0 { size } else { rotated };
    let mut build = Build::of(node, context);
    // Batch, place, head, element.
    let apart =
        if flat { build.reshape(input, &[0, 0, heads, size]) } else { build.transpose(input, &[0, 2, 1, 3]) };
    let places = places.first().filter(|name| !name.is_empty());
    let [cosines, sines] = [cosines, sines].map(|table| {
        let of_each = match places {
            Some(places) => build.with("Gather", &[table, places], vec![int_attribute("axis", 0)]),
            None => table.clone(),
        };
        build.unsqueeze(&of_each, &[2])
    });
    let turning = build.slice(&apart, 3, 0, rotated);
    let [first, second] = if interleaved {
        let pairs = build.reshape(&turning, &[0, 0, 0, rotated / 2, 2]);
        [0, 1].map(|place| {
            let one = build.slice(&pairs, 4, place, place + 1);
            build.reshape(&one, &[0, 0, 0, rotated / 2])
        })
    } else {
        [(0, rotated / 2), (rotated / 2, rotated)].map(|(start, end)| build.slice(&turning, 3, start, end))
    };
    let [real, imaginary] = [("Sub", &cosines, &sines), ("Add", &sines, &cosines)].map(|(op_type, a, b)| {
        let (a, b) = (build.op("Mul", &[&first, a]), build.op("Mul", &[&second, b]));
        build.op(op_type, &[&a, &b])
    });
    let along = |axis| vec![int_attribute("axis", axis)];
    let turned = if interleaved {
        let [real, imaginary] = [real, imaginary].map(|part| build.unsqueeze(&part, &[4]));
        let pairs = build.with("Concat", &[&real, &imaginary], along(4));
        build.reshape(&pairs, &[0, 0, 0, rotated])
    } else {
        build.with("Concat", &[&real, &imaginary], along(3))
    };
    let whole = if rotated < size {
        let rest = build.slice(&apart, 3, rotated, size);
        build.with("Concat", &[&turned, &rest], along(3))
    } else {
        turned
    };
    let result =
        if flat { build.reshape(&whole, &[0, 0, last]) } else { build.transpose(&whole, &[0, 2, 1, 3]) };
    Ok(build.finish(&[&result]))
}
