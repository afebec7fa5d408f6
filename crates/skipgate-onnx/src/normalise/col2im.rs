//! `Col2Im`, of which the compiler knows too little.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::ints_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

/// Most elements of the filters that put blocks into the image.
const MAX_FILTER: i64 = 1 << 16;

/// Writes it as a transposed convolution with filters of a single one each.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [input, image, block] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "Col2Im" {
        return Ok(Step::Keep);
    }
    let sizes = Sizes::of(node, input, [image, block], context).map_err(|problem| problem.of(node))?;
    let Some(sizes) = sizes else {
        return Err(unsupported(node, "its sizes are not constant, too large, or not of 32-bit floats"));
    };
    let elements: i64 = sizes.block.iter().product();
    let filters: Vec<_> =
        (0..elements * elements).map(|at| f32::from(u8::from(at / elements == at % elements))).collect();
    let mut build = Build::of(node, context);
    // Every channel of the image is an image of its own.
    let apart: Vec<_> = [-1, elements].into_iter().chain(sizes.positions.iter().copied()).collect();
    let apart = build.reshape(input, &apart);
    let dims: Vec<_> = [elements, 1].into_iter().chain(sizes.block.iter().copied()).collect();
    let filters = build.floats(&dims, &filters, FLOAT);
    let attributes = vec![
        ints_attribute("strides", sizes.strides),
        ints_attribute("dilations", sizes.dilations),
        ints_attribute("pads", sizes.pads),
        ints_attribute("output_padding", sizes.rest),
    ];
    let images = build.with("ConvTranspose", &[&apart, &filters], attributes);
    let shape: Vec<_> = [sizes.batch, -1].into_iter().chain(sizes.image).collect();
    let result = build.reshape(&images, &shape);
    Ok(build.finish(&[&result]))
}

struct Sizes {
    batch: i64,
    image: Vec<i64>,
    block: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
    /// Blocks along each dimension.
    positions: Vec<i64>,
    /// What no block reaches at the end of each dimension.
    rest: Vec<i64>,
}

impl Sizes {
    fn of(
        node: &NodeProto,
        input: &str,
        [image, block]: [&str; 2],
        context: &Context,
    ) -> Result<Option<Self>, NodeProblem> {
        let known = |name: &str| {
            let values = context.value(name)?.ints.clone()?.into_iter().collect::<Option<Vec<_>>>()?;
            values.iter().all(|value| (1..=i64::from(u16::MAX)).contains(value)).then_some(values)
        };
        let (Some(image), Some(block)) = (known(image), known(block)) else { return Ok(None) };
        let Some(ty) = context.tensor_type(input) else { return Ok(None) };
        let batch = ty.shape.first().copied().flatten().and_then(|batch| i64::try_from(batch).ok());
        let Some(batch) = batch.filter(|_| ty.element_type == FLOAT) else { return Ok(None) };
        let rank = image.len();
        let attributes = Attributes::of(node);
        let list = |name, count: usize, default| {
            let given = attributes.ints(name)?.map(<[i64]>::to_vec);
            Ok::<_, NodeProblem>(given.unwrap_or_else(|| vec![default; count]))
        };
        let (strides, dilations) = (list("strides", rank, 1)?, list("dilations", rank, 1)?);
        let pads = list("pads", 2 * rank, 0)?;
        let is_sound = block.len() == rank
            && [&strides, &dilations]
                .iter()
                .all(|each| each.len() == rank && each.iter().all(|value| *value > 0))
            && pads.len() == 2 * rank
            && pads.iter().all(|pad| *pad >= 0);
        let elements = block.iter().try_fold(1i64, |product, size| product.checked_mul(*size));
        if !is_sound
            || elements.and_then(|elements| elements.checked_mul(elements)).is_none_or(|n| n > MAX_FILTER)
        {
            return Ok(None);
        }
        let free = |axis: usize| {
            image[axis] + pads[axis] + pads[rank + axis] - dilations[axis] * (block[axis] - 1) - 1
        };
        let positions = (0..rank).map(|axis| free(axis) / strides[axis] + 1).collect();
        let rest = (0..rank).map(|axis| free(axis) % strides[axis]).collect();
        let fits = (0..rank).all(|axis| free(axis) >= 0);
        Ok(fits.then_some(Self { batch, image, block, strides, dilations, pads, positions, rest }))
    }
}
