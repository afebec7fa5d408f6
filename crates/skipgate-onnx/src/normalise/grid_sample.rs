//! `GridSample`, of which the compiler knows some forms only: it takes another element than the nearest one, and reads outside
//! of an image for places there.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::TensorType;
use crate::tensor::element_type::{FLOAT, INT64};

/// The parameter of the cubic that ONNX takes.
const CUBIC: f32 = -0.75;

/// Writes the sampling as sums of elements at computed places.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let [image, grid] = &node.input[..] else { return Ok(Step::Keep) };
    if node.op_type != "GridSample" {
        return Ok(Step::Keep);
    }
    let options = Options::of(node).map_err(|problem| problem.of(node))?;
    let Some(ty) = context.tensor_type(image).cloned() else { return Ok(Step::Keep) };
    let known = |shape: Option<Vec<usize>>| {
        shape?
            .into_iter()
            .map(|dim| i64::try_from(dim).ok().filter(|dim| *dim > 0))
            .collect::<Option<Vec<_>>>()
    };
    let grid_shape = known(context.tensor_type(grid).and_then(TensorType::static_shape));
    let (Some(image_shape), Some(grid_shape)) = (known(ty.static_shape()), grid_shape) else {
        return Err(unsupported(node, "its sizes are not known"));
    };
    let extents = image_shape.get(2..).unwrap_or_default().to_vec();
    let is_sound = grid_shape.len() == image_shape.len() && (1..=3).contains(&extents.len());
    if ty.element_type != FLOAT || !is_sound || options.mode == Mode::Cubic && extents.len() != 2 {
        return Err(unsupported(node, "its elements or dimensions are not those that can be written out"));
    }
    let places = grid_shape[1..grid_shape.len() - 1].iter().product();
    let sizes = Sizes { batch: image_shape[0], channels: image_shape[1], extents, places };
    let mut result_shape = image_shape[..2].to_vec();
    result_shape.extend(&grid_shape[1..grid_shape.len() - 1]);
    let mut writer = Writer { build: Build::of(node, context), options, sizes };
    let sum = writer.write(image, grid);
    let result = writer.build.reshape(&sum, &result_shape);
    Ok(writer.build.finish(&[&result]))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Cubic,
    Linear,
    Nearest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    Border,
    Reflection,
    Zeros,
}

#[derive(Clone, Copy)]
struct Options {
    mode: Mode,
    padding: Padding,
    /// Whether -1 and 1 are the middles of the outermost elements, and not their outer edges.
    corners: bool,
}

impl Options {
    fn of(node: &NodeProto) -> Result<Self, NodeProblem> {
        let attributes = Attributes::of(node);
        let mode = match attributes.string("mode")?.unwrap_or(b"linear") {
            b"cubic" | b"bicubic" => Mode::Cubic,
            b"linear" | b"bilinear" => Mode::Linear,
            b"nearest" => Mode::Nearest,
            _ => {
                return Err(NodeProblem::Attribute {
                    name: "mode",
                    expected: "`linear`, `nearest` or `cubic`",
                });
            }
        };
        let padding = match attributes.string("padding_mode")?.unwrap_or(b"zeros") {
            b"border" => Padding::Border,
            b"reflection" => Padding::Reflection,
            b"zeros" => Padding::Zeros,
            _ => {
                let expected = "`zeros`, `border` or `reflection`";
                return Err(NodeProblem::Attribute { name: "padding_mode", expected });
            }
        };
        Ok(Self { mode, padding, corners: attributes.flag("align_corners")? })
    }
}

struct Sizes {
    batch: i64,
    channels: i64,
    extents: Vec<i64>,
    /// Places that are sampled of each image.
    places: i64,
}

/// An element along one dimension that is read for each place: where it is, and its share.
#[derive(Clone)]
struct Tap {
    place: String,
    /// `None` for a whole element.
    weight: Option<String>,
}

struct Writer<'n, 'c, 'm> {
    build: Build<'n, 'c, 'm>,
    options: Options,
    sizes: Sizes,
}

impl Writer<'_, '_, '_> {
    fn write(&mut self, image: &str, grid: &str) -> String {
        let Sizes { batch, channels, places, .. } = self.sizes;
        let extents = self.sizes.extents.clone();
        let dimensions = i64::try_from(extents.len()).unwrap_or(i64::MAX);
        let elements = extents.iter().product();
        let flat = self.build.reshape(image, &[batch, channels, elements]);
        let grid = self.build.reshape(grid, &[batch, places, dimensions]);
        // The last dimension comes first in the grid.
        let mut all: Vec<Vec<Tap>> = vec![Vec::new()];
        for (&extent, number) in extents.iter().zip((0..dimensions).rev()) {
            let of_dimension = self.build.slice(&grid, 2, number, number + 1);
            let of_dimension = self.build.reshape(&of_dimension, &[batch, 1, places]);
            let taps = self.taps(&of_dimension, extent);
            all = all
                .iter()
                .flat_map(|before| taps.iter().map(|tap| [before.clone(), vec![tap.clone()]].concat()))
                .collect();
        }
        let parts: Vec<_> = all.iter().map(|taps| self.part(&flat, taps, &extents)).collect();
        parts.into_iter().reduce(|sum, part| self.build.op("Add", &[&sum, &part])).unwrap_or_default()
    }

    fn scalar(&mut self, value: f32) -> String {
        self.build.scalar(value, FLOAT)
    }

    fn with(&mut self, op_type: &str, value: &str, scalar: f32) -> String {
        let scalar = self.scalar(scalar);
        self.build.op(op_type, &[value, &scalar])
    }

    fn clip(&mut self, value: &str, most: f32) -> String {
        let (least, most) = (self.scalar(0.0), self.scalar(most));
        self.build.op("Clip", &[value, &least, &most])
    }

    /// The elements that are read along a dimension.
    fn taps(&mut self, grid: &str, extent: i64) -> Vec<Tap> {
        let size = extent as f32;
        let moved = self.with("Add", grid, 1.0);
        let place = if self.options.corners {
            self.with("Mul", &moved, (size - 1.0) / 2.0)
        } else {
            let scaled = self.with("Mul", &moved, size / 2.0);
            self.with("Sub", &scaled, 0.5)
        };
        if self.options.mode == Mode::Cubic {
            return self.cubic(&place, extent);
        }
        let place = self.inside(&place, extent);
        if self.options.mode == Mode::Nearest {
            return vec![Tap { place: self.build.op("Round", &[&place]), weight: None }];
        }
        let first = self.build.op("Floor", &[&place]);
        let share = self.build.op("Sub", &[&place, &first]);
        let one = self.scalar(1.0);
        let rest = self.build.op("Sub", &[&one, &share]);
        let second = self.with("Add", &first, 1.0);
        vec![Tap { place: first, weight: Some(rest) }, Tap { place: second, weight: Some(share) }]
    }

    /// The four elements around a place, weighted by a cubic.
    fn cubic(&mut self, place: &str, extent: i64) -> Vec<Tap> {
        let first = self.build.op("Floor", &[place]);
        let share = self.build.op("Sub", &[place, &first]);
        let one = self.scalar(1.0);
        let rest = self.build.op("Sub", &[&one, &share]);
        let mut taps = Vec::new();
        let offsets = [(-1.0, &share, false), (0.0, &share, true), (1.0, &rest, true), (2.0, &rest, false)];
        for (offset, distance, is_near) in offsets {
            let weight = if is_near {
                self.polynomial(distance, [CUBIC + 2.0, -(CUBIC + 3.0), 0.0, 1.0])
            } else {
                let distance = self.with("Add", distance, 1.0);
                self.polynomial(&distance, [CUBIC, -5.0 * CUBIC, 8.0 * CUBIC, -4.0 * CUBIC])
            };
            let place = self.with("Add", &first, offset);
            taps.push(Tap { place: self.inside(&place, extent), weight: Some(weight) });
        }
        taps
    }

    /// A cubic of `value`, the highest coefficient first.
    fn polynomial(&mut self, value: &str, coefficients: [f32; 4]) -> String {
        let [first, rest @ ..] = coefficients;
        let mut sum = self.scalar(first);
        for coefficient in rest {
            let product = self.build.op("Mul", &[&sum, value]);
            sum = self.with("Add", &product, coefficient);
        }
        sum
    }

    /// Where a place outside of the image is taken from; it stays outside where there are zeros.
    fn inside(&mut self, place: &str, extent: i64) -> String {
        let last = extent as f32 - 1.0;
        match self.options.padding {
            Padding::Zeros => place.to_owned(),
            Padding::Border => self.clip(place, last),
            Padding::Reflection => {
                let low = if self.options.corners { 0.0 } else { -0.5 };
                let span = last - 2.0 * low;
                if span <= 0.0 {
                    return self.with("Mul", place, 0.0);
                }
                let distance = self.with("Sub", place, low);
                let distance = self.build.op("Abs", &[&distance]);
                // Forth and back again is twice the span.
                let turns = self.with("Div", &distance, 2.0 * span);
                let turns = self.build.op("Floor", &[&turns]);
                let turns = self.with("Mul", &turns, 2.0 * span);
                let forth = self.build.op("Sub", &[&distance, &turns]);
                let both = self.scalar(2.0 * span);
                let back = self.build.op("Sub", &[&both, &forth]);
                let nearest = self.build.op("Min", &[&forth, &back]);
                let reflected = self.with("Add", &nearest, low);
                self.clip(&reflected, last)
            }
        }
    }

    /// The elements at one combination of taps, weighted.
    fn part(&mut self, flat: &str, taps: &[Tap], extents: &[i64]) -> String {
        let places: Vec<_> = taps
            .iter()
            .zip(extents)
            .map(|(tap, extent)| self.clip(&tap.place, *extent as f32 - 1.0))
            .collect();
        let index = self.index(&places, extents);
        let axis = vec![crate::edit::int_attribute("axis", 2)];
        let mut elements = self.build.with("GatherElements", &[flat, &index], axis);
        if self.options.padding == Padding::Zeros {
            elements = self.with_zeros_outside(&elements, taps, &places);
        }
        let weights: Vec<_> = taps.iter().filter_map(|tap| tap.weight.as_deref()).collect();
        let Some((first, rest)) = weights.split_first() else { return elements };
        let weight = rest
            .iter()
            .fold((*first).to_owned(), |product, weight| self.build.op("Mul", &[&product, weight]));
        self.build.op("Mul", &[&elements, &weight])
    }

    /// The index of the element at `places` in an image without dimensions, for all channels.
    fn index(&mut self, places: &[String], extents: &[i64]) -> String {
        let mut index: Option<String> = None;
        for (place, &extent) in places.iter().zip(extents) {
            let place = self.build.cast(place, INT64);
            // A place that is no number became any integer.
            let (first, last) = (self.build.ints(&[0]), self.build.ints(&[extent - 1]));
            let place = self.build.op("Max", &[&place, &first]);
            let place = self.build.op("Min", &[&place, &last]);
            index = Some(match index {
                Some(index) => {
                    let extent = self.build.ints(&[extent]);
                    let index = self.build.op("Mul", &[&index, &extent]);
                    self.build.op("Add", &[&index, &place])
                }
                None => place,
            });
        }
        let Sizes { batch, channels, places, .. } = self.sizes;
        let shape = self.build.ints(&[batch, channels, places]);
        self.build.op("Expand", &[index.as_deref().unwrap_or_default(), &shape])
    }

    /// `elements`, and zeros where one of the places had to be moved into the image. A weight of zero is not enough, since
    /// the elements that were read may be infinite.
    fn with_zeros_outside(&mut self, elements: &str, taps: &[Tap], moved: &[String]) -> String {
        let zero = self.scalar(0.0);
        taps.iter().zip(moved).fold(elements.to_owned(), |elements, (tap, moved)| {
            let is_inside = self.build.op("Equal", &[moved, &tap.place]);
            self.build.op("Where", &[&is_inside, &elements, &zero])
        })
    }
}
