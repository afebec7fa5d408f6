//! `QuantizeLinear` and `DequantizeLinear` with a scale for each block of an axis (operator set 21), which the compiler does
//! not translate.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::site::axis;
use crate::tensor::element_type::{FLOAT, INT8, UINT8};

/// Repeats each scale and each zero point, and writes the arithmetic out.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, scale, zero @ ..] = &node.input[..] else { return Ok(Step::Keep) };
    if !matches!(node.op_type.as_str(), "DequantizeLinear" | "QuantizeLinear") {
        return Ok(Step::Keep);
    }
    let size = Attributes::of(node).int_or("block_size", 0).map_err(|problem| problem.of(node))?;
    if size == 0 {
        return Ok(Step::Keep);
    }
    let precision = Attributes::of(node).int_or("precision", 0).map_err(|problem| problem.of(node))?;
    if precision != 0 && precision != i64::from(FLOAT) {
        return Err(unsupported(node, "it has blocks, and divides other numbers than 32-bit floats"));
    }
    let quantizes = node.op_type == "QuantizeLinear";
    let integers =
        context.tensor_type(if quantizes { &node.output[0] } else { input }).map(|ty| ty.element_type);
    let floats = if quantizes { input } else { scale };
    let blocks = Blocks::of(node, size, [input, scale], context).map_err(|problem| problem.of(node))?;
    let known = blocks.filter(|_| context.is_of(floats, FLOAT) && context.is_of(scale, FLOAT)).zip(integers);
    let Some((blocks, integers @ (INT8 | UINT8))) = known else {
        return Err(unsupported(
            node,
            "it has blocks, and its sizes are not known or its elements not 8-bit integers",
        ));
    };
    let mut build = Build::of(node, context);
    let scale = blocks.repeated(&mut build, scale);
    let zero = zero.first().filter(|zero| !zero.is_empty()).map(|zero| {
        let zero = build.cast(zero, FLOAT);
        blocks.repeated(&mut build, &zero)
    });
    let result = if quantizes {
        let scaled = build.op("Div", &[input, &scale]);
        let mut rounded = build.op("Round", &[&scaled]);
        if let Some(zero) = zero {
            rounded = build.op("Add", &[&rounded, &zero]);
        }
        let (least, most) = if integers == UINT8 { (0.0, 255.0) } else { (-128.0, 127.0) };
        let [least, most] = [least, most].map(|bound| build.scalar(bound, FLOAT));
        let bounded = build.op("Clip", &[&rounded, &least, &most]);
        build.cast(&bounded, integers)
    } else {
        let mut value = build.cast(input, FLOAT);
        if let Some(zero) = zero {
            value = build.op("Sub", &[&value, &zero]);
        }
        build.op("Mul", &[&value, &scale])
    };
    Ok(build.finish(&[&result]))
}

struct Blocks {
    axis: usize,
    /// Elements of a block; the last one may be cut off.
    size: i64,
    /// Dimensions of the scale and of what is scaled.
    scales: Vec<i64>,
    values: Vec<i64>,
}

impl Blocks {
    /// `None` where they are not known or do not fit.
    fn of(
        node: &NodeProto,
        size: i64,
        inputs: [&String; 2],
        context: &Context,
    ) -> Result<Option<Self>, NodeProblem> {
        let [Some(values), Some(scales)] = inputs.map(|name| context.extents(name)) else { return Ok(None) };
        let along = Attributes::of(node).int_or("axis", 1)?;
        let Ok(axis) = axis(along, values.len()) else { return Ok(None) };
        let fits = scales.len() == values.len()
            && (0..values.len()).all(|place| place == axis || scales[place] == values[place])
            && size > 0
            && scales[axis] == (values[axis] + size - 1) / size;
        Ok(fits.then_some(Self { axis, size, scales, values }))
    }

    /// `value` with each element as often as its block has elements.
    fn repeated(&self, build: &mut Build, value: &str) -> String {
        let along = i64::try_from(self.axis).unwrap_or(i64::MAX);
        let (mut apart, mut together) = (self.scales.clone(), self.scales.clone());
        apart.insert(self.axis + 1, self.size);
        together[self.axis] *= self.size;
        let value = build.unsqueeze(value, &[along + 1]);
        let shape = build.ints(&apart);
        let value = build.op("Expand", &[&value, &shape]);
        let value = build.reshape(&value, &together);
        build.slice(&value, along, 0, self.values[self.axis])
    }
}
