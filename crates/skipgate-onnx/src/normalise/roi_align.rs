//! `RoiAlign` (operator sets 10, 16 and 22), which the compiler does not know: each element of the result is the mean, or the
//! largest, of a grid of places in its part of a region.

use super::bilinear::{Between, Rows};
use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

/// From this operator set on, places are the middles of elements by default.
const HALF_PIXEL_IS_THE_DEFAULT: i64 = 16;

/// Writes the sampling as sums of elements at computed places.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [image, regions, images] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "RoiAlign" {
        return Ok(Step::Keep);
    }
    let options = Options::of(node, context.opset).map_err(|problem| problem.of(node))?;
    let Some(options) = options else {
        return Err(unsupported(
            node,
            "how many places it samples depends on its data, or its sizes or modes are not known",
        ));
    };
    let known = context.extents(image).zip(context.extents(regions));
    let Some((image_shape, region_shape)) =
        known.filter(|_| context.is_of(image, FLOAT) && context.is_of(regions, FLOAT))
    else {
        return Err(unsupported(node, "its sizes are not known, or it is not of 32-bit floats"));
    };
    let (&[batch, channels, height, width], &[count, 4]) = (&image_shape[..], &region_shape[..]) else {
        return Err(unsupported(node, "its image or its regions have other dimensions than those of ONNX"));
    };
    let mut build = Build::of(node, context);
    let apart = build.reshape(image, &[batch, 1, channels, height, width]);
    let rows = Rows::of(&mut build, &apart, channels, [height, width]);
    let starts = rows.starts(&mut build, batch);
    let starts = build.with("Gather", &[&starts, images], vec![int_attribute("axis", 0)]);
    let starts = build.reshape(&starts, &[count, 1, 1]);
    // The vertical places stand above each other, the horizontal ones side by side.
    let y =
        options.along(&mut build, regions, Direction { first: 1, parts: options.output[0], extent: height });
    let x =
        options.along(&mut build, regions, Direction { first: 0, parts: options.output[1], extent: width });
    let [down, across] = options.output.map(|parts| parts * options.grid);
    let [y_places, y_outside] = [&y.places, &y.outside].map(|each| build.reshape(each, &[count, down, 1]));
    let [x_places, x_outside] = [&x.places, &x.outside].map(|each| build.reshape(each, &[count, 1, across]));
    let (y, x) = (Between::of(&mut build, &y_places, height), Between::of(&mut build, &x_places, width));
    let [first, others @ ..] = rows.around(&mut build, &starts, [&y, &x]);
    let combine = if options.takes_largest { "Max" } else { "Add" };
    let sampled = others.iter().fold(first, |all, one| build.op(combine, &[&all, one]));
    let outside = build.op("Or", &[&y_outside, &x_outside]);
    let outside = build.unsqueeze(&outside, &[-1]);
    let nothing = build.scalar(0.0, FLOAT);
    let sampled = build.op("Where", &[&outside, &nothing, &sampled]);
    let [tall, wide] = options.output;
    let grids = build.reshape(&sampled, &[count, tall, options.grid, wide, options.grid, channels]);
    // Region, channel, part and place of its grid, downwards and across.
    let grids = build.transpose(&grids, &[0, 5, 1, 3, 2, 4]);
    let grids = build.reshape(&grids, &[count, channels, tall, wide, options.grid * options.grid]);
    let pooled = options.pool(&mut build, &grids);
    let result = build.reshape(&pooled, &[count, channels, tall, wide]);
    Ok(build.finish(&[&result]))
}

struct Options {
    /// Height and width of the result.
    output: [i64; 2],
    /// Places in each part of a region, downwards and across.
    grid: i64,
    scale: f32,
    is_half_pixel: bool,
    takes_largest: bool,
}

/// One of the two directions of an image.
struct Direction {
    /// Where a region says where it begins; two places further on it says where it ends.
    first: i64,
    /// Elements of the result.
    parts: i64,
    extent: i64,
}

/// Places that are sampled along one direction, and whether each is too far from the image.
struct Places {
    places: String,
    outside: String,
}

impl Options {
    /// `None` for what is not computed.
    fn of(node: &NodeProto, opset: i64) -> Result<Option<Self>, NodeProblem> {
        let attributes = Attributes::of(node);
        let default =
            if opset < HALF_PIXEL_IS_THE_DEFAULT { &b"output_half_pixel"[..] } else { b"half_pixel" };
        let is_half_pixel = match attributes.string("coordinate_transformation_mode")?.unwrap_or(default) {
            b"half_pixel" => true,
            b"output_half_pixel" => false,
            _ => return Ok(None),
        };
        let takes_largest = match attributes.string("mode")?.unwrap_or(b"avg") {
            b"avg" => false,
            b"max" => true,
            _ => return Ok(None),
        };
        let output = [attributes.int_or("output_height", 1)?, attributes.int_or("output_width", 1)?];
        let grid = attributes.int_or("sampling_ratio", 0)?;
        let scale = attributes.float("spatial_scale")?.unwrap_or(1.0);
        let is_sound = [output[0], output[1], grid].iter().all(|size| (1..=MAX_PARTS).contains(size));
        Ok(is_sound.then_some(Self { output, grid, scale, is_half_pixel, takes_largest }))
    }

    /// The places that are sampled of each region, part by part.
    fn along(
        &self,
        build: &mut Build,
        regions: &str,
        Direction { first, parts, extent }: Direction,
    ) -> Places {
        let scale = build.scalar(self.scale, FLOAT);
        let offset = build.scalar(if self.is_half_pixel { 0.5 } else { 0.0 }, FLOAT);
        let [start, end] = [first, first + 2].map(|place| {
            let edge = build.slice(regions, 1, place, place + 1);
            let edge = build.op("Mul", &[&edge, &scale]);
            build.op("Sub", &[&edge, &offset])
        });
        let mut size = build.op("Sub", &[&end, &start]);
        if !self.is_half_pixel {
            let one = build.scalar(1.0, FLOAT);
            size = build.op("Max", &[&size, &one]);
        }
        let count = build.scalar(parts as f32, FLOAT);
        let part = build.op("Div", &[&size, &count]);
        let places = (0..parts * self.grid).map(|place| (place / self.grid) as f32).collect::<Vec<_>>();
        let within = (0..parts * self.grid).map(|place| (place % self.grid) as f32 + 0.5).collect::<Vec<_>>();
        let [places, within] =
            [places, within].map(|values| build.floats(&[1, parts * self.grid], &values, FLOAT));
        let before = build.op("Mul", &[&places, &part]);
        let within = build.op("Mul", &[&within, &part]);
        let grid = build.scalar(self.grid as f32, FLOAT);
        let within = build.op("Div", &[&within, &grid]);
        let place = build.op("Add", &[&start, &before]);
        let places = build.op("Add", &[&place, &within]);
        let (least, most) = (build.scalar(-1.0, FLOAT), build.scalar(extent as f32, FLOAT));
        let is_before = build.op("Less", &[&places, &least]);
        let is_behind = build.op("Greater", &[&places, &most]);
        Places { outside: build.op("Or", &[&is_before, &is_behind]), places }
    }

    /// What becomes of the places of each grid, the last dimension.
    fn pool(&self, build: &mut Build, grids: &str) -> String {
        if self.takes_largest {
            return build.reduce("ReduceMax", grids, &[4]);
        }
        let sum = build.reduce("ReduceSum", grids, &[4]);
        let count = build.scalar((self.grid * self.grid) as f32, FLOAT);
        build.op("Div", &[&sum, &count])
    }
}

/// Most elements of the result along one dimension, and of a grid.
const MAX_PARTS: i64 = 1 << 12;
