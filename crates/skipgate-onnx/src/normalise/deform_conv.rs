//! `DeformConv` (operator sets 19 and 22), which the compiler does not know: a convolution each of whose filters' elements is
//! moved to a place of its own.

use super::bilinear::{Between, Rows};
use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

/// Samples the image for each element of the filters, and sums that by a product of matrices.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [image, filters, offsets, optional @ ..] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "DeformConv" {
        return Ok(Step::Keep);
    }
    let sizes = Sizes::of(node, [image, filters, offsets], context).map_err(|problem| problem.of(node))?;
    let Some(sizes) = sizes else {
        return Err(unsupported(
            node,
            "its sizes are not known or do not fit, or it is not one of images of 32-bit floats",
        ));
    };
    let given = |place: usize| optional.get(place).filter(|name| !name.is_empty());
    let (bias, mask) = (given(0), given(1));
    let mut build = Build::of(node, context);
    let Sizes { batch, channels, groups, offset_groups, filter, output, .. } = sizes;
    let (elements, places) = (filter[0] * filter[1], output[0] * output[1]);
    let sampled = sizes.sample(&mut build, image, offsets);
    let mut sampled =
        build.reshape(&sampled, &[batch, offset_groups, elements, places, channels / offset_groups]);
    if let Some(mask) = mask {
        let mask = build.reshape(mask, &[batch, offset_groups, elements, places, 1]);
        sampled = build.op("Mul", &[&sampled, &mask]);
    }
    // Image, group, channel and element of the filter, place.
    let columns = build.transpose(&sampled, &[0, 1, 4, 2, 3]);
    let columns = build.reshape(&columns, &[batch, groups, channels / groups * elements, places]);
    let rows = build.reshape(filters, &[1, groups, sizes.filters / groups, channels / groups * elements]);
    let result = build.op("MatMul", &[&rows, &columns]);
    let mut result = build.reshape(&result, &[batch, sizes.filters, output[0], output[1]]);
    if let Some(bias) = bias {
        let bias = build.reshape(bias, &[1, sizes.filters, 1, 1]);
        result = build.op("Add", &[&result, &bias]);
    }
    Ok(build.finish(&[&result]))
}

struct Sizes {
    batch: i64,
    channels: i64,
    /// Height and width.
    image: [i64; 2],
    filters: i64,
    /// Height and width of a filter.
    filter: [i64; 2],
    output: [i64; 2],
    groups: i64,
    offset_groups: i64,
    strides: [i64; 2],
    dilations: [i64; 2],
    /// Padding in front of each dimension.
    before: [i64; 2],
}

impl Sizes {
    /// `None` for what is not computed.
    fn of(node: &NodeProto, inputs: [&String; 3], context: &Context) -> Result<Option<Self>, NodeProblem> {
        let shapes = inputs.map(|name| context.extents(name).filter(|_| context.is_of(name, FLOAT)));
        let [Some(image), Some(weight), Some(offsets)] = shapes else { return Ok(None) };
        let (&[batch, channels, height, width], &[filters, of_group, rows, columns], &[_, moves, tall, wide]) =
            (&image[..], &weight[..], &offsets[..])
        else {
            return Ok(None);
        };
        let attributes = Attributes::of(node);
        let pair = |name| {
            let values = attributes.ints(name)?.unwrap_or(&[1, 1]);
            Ok::<_, NodeProblem>(
                <[i64; 2]>::try_from(values).ok().filter(|pair| pair.iter().all(|value| *value > 0)),
            )
        };
        let pads = attributes.ints("pads")?.unwrap_or(&[0; 4]);
        let (Some(strides), Some(dilations), &[top, left, bottom, right]) =
            (pair("strides")?, pair("dilations")?, pads)
        else {
            return Ok(None);
        };
        let [groups, offset_groups] =
            [attributes.int_or("group", 1)?, attributes.int_or("offset_group", 1)?].map(|count| count.max(1));
        let (filter, image) = ([rows, columns], [height, width]);
        let positions = |axis: usize, pads: i64| {
            let room = image[axis] + pads - dilations[axis] * (filter[axis] - 1) - 1;
            (room >= 0).then(|| room / strides[axis] + 1)
        };
        let fits = [positions(0, top + bottom), positions(1, left + right)] == [Some(tall), Some(wide)]
            && of_group * groups == channels
            && filters % groups == 0
            && channels % offset_groups == 0
            && moves == 2 * offset_groups * rows * columns;
        let (output, before) = ([tall, wide], [top, left]);
        Ok(fits.then_some(Self {
            batch,
            channels,
            image,
            filters,
            filter,
            output,
            groups,
            offset_groups,
            strides,
            dilations,
            before,
        }))
    }

    /// What each element of the filters reads at each place: image and offset group, element, place and channel.
    fn sample(&self, build: &mut Build, image: &str, offsets: &str) -> String {
        let Self { batch, channels, offset_groups, filter, output, .. } = *self;
        let (images, elements) = (batch * offset_groups, filter[0] * filter[1]);
        // With zeros around the image, a place outside of it is one between zeros.
        let padded = [0, 0, 1, 1, 0, 0, 1, 1];
        let pads = build.ints(&padded);
        let padded = build.op("Pad", &[image, &pads]);
        let extents = self.image.map(|extent| extent + 2);
        let apart = [batch, offset_groups, channels / offset_groups, extents[0], extents[1]];
        let apart = build.reshape(&padded, &apart);
        let rows = Rows::of(build, &apart, channels / offset_groups, extents);
        let starts = rows.starts(build, images);
        let starts = build.reshape(&starts, &[images, 1, 1, 1]);
        let offsets = build.reshape(offsets, &[images, elements, 2, output[0], output[1]]);
        let [y, x] = [0, 1].map(|axis| {
            let places = self.undeformed(axis);
            let dims: [i64; 4] =
                if axis == 0 { [1, elements, output[0], 1] } else { [1, elements, 1, output[1]] };
            let places = build.floats(&dims, &places, FLOAT);
            let number = i64::from(axis == 1);
            let moved = build.slice(&offsets, 2, number, number + 1);
            let moved = build.reshape(&moved, &[images, elements, output[0], output[1]]);
            let places = build.op("Add", &[&places, &moved]);
            Between::of(build, &places, extents[axis])
        });
        let [first, others @ ..] = rows.around(build, &starts, [&y, &x]);
        others.iter().fold(first, |sum, one| build.op("Add", &[&sum, one]))
    }

    /// Where each element of a filter is at each place along `axis` of the padded image, before it is moved.
    fn undeformed(&self, axis: usize) -> Vec<f32> {
        let elements = 0..self.filter[0] * self.filter[1];
        let places = |element: i64| {
            let inside = if axis == 0 { element / self.filter[1] } else { element % self.filter[1] };
            let first = inside * self.dilations[axis] - self.before[axis] + 1;
            (0..self.output[axis]).map(move |place| (place * self.strides[axis] + first) as f32)
        };
        elements.flat_map(places).collect()
    }
}
