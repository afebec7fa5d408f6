//! `DFT`, of which the compiler knows some forms only.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::site::axis;
use crate::tensor::element_type::FLOAT;

/// Longest transform: it is a product with a matrix.
const MAX_LENGTH: i64 = 2048;

/// Operator set from which on the axis is an input, and the last but one if it is left out.
const AXIS_IS_INPUT: i64 = 20;

/// Writes the transform as products with matrices of cosines and sines.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(input) = node.input.first().filter(|_| node.op_type == "DFT") else { return Ok(Step::Keep) };
    let Some(ty) = context.tensor_type(input).cloned() else { return Ok(Step::Keep) };
    let transform = Transform::of(node, &ty.shape, context).map_err(|problem| problem.of(node))?;
    let Some(transform) = transform.filter(|_| ty.element_type == FLOAT) else {
        return Err(unsupported(node, "its sizes are not known, too large, or not of 32-bit floats"));
    };
    Ok(transform.write(Build::of(node, context), input, ty.shape.len()))
}

struct Transform {
    /// Whether the input has real and imaginary parts.
    complex: bool,
    axis: usize,
    /// Elements of the input, of the transform, and of the result.
    extent: i64,
    length: i64,
    kept: i64,
    inverse: bool,
    /// Whether the input is one half of a transform and the result real.
    to_real: bool,
}

impl Transform {
    fn of(node: &NodeProto, shape: &[Option<usize>], context: &Context) -> Result<Option<Self>, NodeProblem> {
        let attributes = Attributes::of(node);
        let known = |place: usize| {
            let name = node.input.get(place).filter(|name| !name.is_empty())?;
            Some(match context.value(name).and_then(|value| value.ints.as_deref()) {
                Some(&[Some(value)]) => Ok(value),
                _ => Err(()),
            })
        };
        let along = if context.opset < AXIS_IS_INPUT {
            attributes.int_or("axis", 1)?
        } else {
            match known(2).transpose() {
                Ok(along) => along.unwrap_or(-2),
                Err(()) => return Ok(None),
            }
        };
        let Ok(length) = known(1).transpose() else { return Ok(None) };
        let (inverse, onesided) = (attributes.flag("inverse")?, attributes.flag("onesided")?);
        let to_real = inverse && onesided;
        let Ok(axis) = axis(along, shape.len()) else { return Ok(None) };
        let (Some(extent), Some(&Some(parts))) = (shape[axis], shape.last()) else { return Ok(None) };
        let Ok(extent) = i64::try_from(extent) else { return Ok(None) };
        let length = length.unwrap_or(if to_real { 2 * (extent - 1) } else { extent });
        if !(1..=MAX_LENGTH).contains(&length) || !(1..=2).contains(&parts) || axis + 1 == shape.len() {
            return Ok(None);
        }
        let kept = if onesided && !inverse { length / 2 + 1 } else { length };
        Ok(Some(Self { complex: parts == 2, axis, extent, length, kept, inverse, to_real }))
    }

    fn write(&self, mut build: Build, input: &str, rank: usize) -> Step {
        let (axis, last) = (signed(self.axis), signed(rank) - 1);
        // The transformed axis goes to the end; real and imaginary parts come apart.
        let mut order: Vec<_> = (0..last).filter(|place| *place != axis).collect();
        order.push(axis);
        let part = |build: &mut Build, place: i64| {
            let one = build.slice(input, -1, place, place + 1);
            let axes = build.ints(&[-1]);
            let one = build.op("Squeeze", &[&one, &axes]);
            build.transpose(&one, &order)
        };
        let real = part(&mut build, 0);
        let imaginary = self.complex.then(|| part(&mut build, 1));
        let (cosines, sines) = (self.matrix(f64::cos), self.matrix(f64::sin));
        let dims = [self.extent, self.kept];
        let [cosines, sines] = [cosines, sines].map(|values| build.floats(&dims, &values, FLOAT));
        let mut sum = |op_type: &str, first: &str, second: &str| {
            let whole = build.op("MatMul", &[&real, first]);
            match &imaginary {
                Some(imaginary) => {
                    let other = build.op("MatMul", &[imaginary, second]);
                    build.op(op_type, &[&whole, &other])
                }
                None => whole,
            }
        };
        // The sines have the sign of the exponent already.
        let mut results = vec![sum("Sub", &cosines, &sines)];
        if !self.to_real {
            results.push(sum("Add", &sines, &cosines));
        }
        let mut back: Vec<_> = (0..last).collect();
        for (place, &axis) in order.iter().enumerate() {
            back[usize::try_from(axis).unwrap_or_default()] = signed(place);
        }
        let parts: Vec<_> = results
            .iter()
            .map(|result| {
                let result = build.transpose(result, &back);
                build.unsqueeze(&result, &[-1])
            })
            .collect();
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        let result = build.with("Concat", &parts, vec![int_attribute("axis", -1)]);
        build.finish(&[&result])
    }

    /// What each element of the input, one in a row, adds to each element of the result.
    #[expect(clippy::cast_possible_truncation, reason = "the network computes in single precision")]
    fn matrix(&self, function: fn(f64) -> f64) -> Vec<f32> {
        let sign = if self.inverse { 1.0 } else { -1.0 };
        let scale = if self.inverse { 1.0 / self.length as f64 } else { 1.0 };
        let element = |from: i64, to: i64| {
            // Elements behind the length are left out.
            if from >= self.length {
                return 0.0;
            }
            let turn = (from * to % self.length) as f64 / self.length as f64;
            let weight = if self.to_real && from > 0 && 2 * from < self.length { 2.0 } else { 1.0 };
            (weight * scale * function(sign * std::f64::consts::TAU * turn)) as f32
        };
        (0..self.extent).flat_map(|from| (0..self.kept).map(move |to| element(from, to))).collect()
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
