//! `ConvInteger` (operator set 10) with a zero point for each filter, which the compiler does not translate.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::{NodeProto, TensorProto};
use crate::tensor::element_type::{INT32, UINT8};

/// Convolves with the filters as they are, and subtracts the zero point of each times the sum of what it reads.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, filters, zero, of_filters] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "ConvInteger"
        || context.extents(of_filters).is_none_or(|shape| shape == [1] || shape.is_empty())
    {
        return Ok(Step::Keep);
    }
    let groups = Attributes::of(node).int_or("group", 1).map_err(|problem| problem.of(node))?;
    let Some(mut shape) = context.extents(filters).filter(|shape| groups == 1 && shape.len() > 2) else {
        return Err(unsupported(
            node,
            "it has a zero point for each filter, and groups or filters of unknown size",
        ));
    };
    let count = std::mem::replace(&mut shape[0], 1);
    let ones = context.fresh(&format!("{}.ones", node.output[0]));
    let elements = usize::try_from(shape.iter().product::<i64>()).unwrap_or_default();
    context.add(TensorProto {
        name: ones.clone(),
        dims: shape.clone(),
        data_type: UINT8,
        raw_data: vec![1; elements],
        ..TensorProto::default()
    });
    let mut build = Build::of(node, context);
    let [products, sums] = [filters, &ones]
        .map(|filters| build.with("ConvInteger", &[input, filters, zero], node.attribute.clone()));
    let mut of_each = vec![1; shape.len()];
    of_each[1] = count;
    let of_filters = build.cast(of_filters, INT32);
    let of_filters = build.reshape(&of_filters, &of_each);
    let excess = build.op("Mul", &[&of_filters, &sums]);
    let result = build.op("Sub", &[&products, &excess]);
    Ok(build.finish(&[&result]))
}
