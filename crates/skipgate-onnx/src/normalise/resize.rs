//! `Resize` as what it is: each element along an axis is a sum of a few elements of that axis, with weights that depend
//! on its place alone.
//!
//! The formulas are those of the ONNX specification (operator `Resize`), in single precision as in ONNX Runtime,
//! where halves are met exactly.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::{NodeProto, TensorProto};
use crate::shapes::resize::{SIZES, Stretch, WHOLE, stretches};
use crate::shapes::site::Site;
use crate::tensor::element_type::{BOOL, FLOAT};

/// Most elements of an axis, whose places become constants.
const MAX_EXTENT: usize = 1 << 16;

/// Most elements of the input that one of the result is a sum of, along one axis.
const MAX_TAPS: usize = 64;

/// The input with the part of each axis that is taken.
const REGIONS: usize = 1;

/// Writes the resizing axis by axis: whole repetitions as an `Expand`, everything else as `Gather` nodes whose results are
/// weighted and summed.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "Resize" {
        return Ok(Step::Keep);
    }
    let method = Method::of(node).map_err(|problem| problem.of(node))?;
    let method = method.map_err(|reason| unsupported(node, reason))?;
    let input = node.input.first().map_or("", String::as_str);
    let known = stretches(&context.site(node)).ok();
    let Some((mut known, input_type)) = known.zip(context.tensor_type(input)) else {
        return Err(unsupported(node, "the size of its input or of its result is not known"));
    };
    if method.coordinates == Coordinates::Crop && !take_regions(&mut known, &context.site(node)) {
        return Err(unsupported(
            node,
            "the part of its input that it takes, or the size of its result, is not constant",
        ));
    }
    if input_type.element_type != FLOAT && !matches!(method.filter, Filter::Nearest(_)) {
        return Err(unsupported(node, "it interpolates other numbers than 32-bit floats"));
    }
    if known.iter().any(|stretch| stretch.input.max(stretch.output) > MAX_EXTENT || stretch.output == 0) {
        return Err(unsupported(node, "an axis has too many elements, or none"));
    }
    if known.iter().any(is_cropped_alone) {
        return Err(unsupported(
            node,
            "it takes a part of an axis and keeps its size, which engines compute in two ways",
        ));
    }
    let by_corners = matches!(method.coordinates, Coordinates::AlignCorners | Coordinates::Crop);
    if by_corners && known.iter().any(is_fractional) {
        return Err(unsupported(
            node,
            "it aligns the corners of a result whose size is not whole, which engines compute in two ways",
        ));
    }
    let (shape, element_type) = (input_type.shape.clone(), input_type.element_type);
    let has_outside =
        method.coordinates == Coordinates::Crop && known.iter().any(|stretch| method.leaves(stretch));
    if has_outside && element_type != FLOAT {
        return Err(unsupported(node, "it takes more than its input, which is not of 32-bit floats"));
    }
    let mut parts = Parts::of(node);
    let mut value = input.to_owned();
    let changed: Vec<_> = known.iter().filter(|stretch| method.changes(stretch)).collect();
    if changed.iter().any(|stretch| method.count(stretch) > MAX_TAPS) {
        return Err(unsupported(node, "it sums too many elements"));
    }
    if let Some(repeated) = repetitions(&method, &known, &shape) {
        value = repeat(&repeated, &value, context, &mut parts);
    } else {
        for stretch in changed {
            value = along(&method, stretch, shape.len(), &value, context, &mut parts);
        }
    }
    if has_outside {
        for stretch in known.iter().filter(|stretch| method.leaves(stretch)) {
            value = extrapolated(&method, stretch, shape.len(), &value, context, &mut parts);
        }
    }
    Ok(Step::nodes(parts.finish("Identity", &[&value], vec![])))
}

/// Gives each axis the part of it that is taken, if those are constant and sizes say how large the result is: with scales,
/// engines have results of different sizes.
fn take_regions(stretches: &mut [Stretch], site: &Site) -> bool {
    let (Ok(regions), true) = (site.floats(REGIONS), site.has_input(SIZES)) else { return false };
    let count = stretches.len();
    if regions.len() != 2 * count {
        return false;
    }
    for (place, stretch) in stretches.iter_mut().enumerate() {
        stretch.region = [regions[place], regions[place + count]];
    }
    regions.iter().all(|place| place.is_finite())
}

/// Whether a part of an axis gets the size of the whole. ONNX Runtime takes the axis as it is then, in some modes.
fn is_cropped_alone(stretch: &Stretch) -> bool {
    stretch.input == stretch.output && stretch.region != WHOLE
}

/// Whether the scale of an axis gives no whole number of elements.
fn is_fractional(stretch: &Stretch) -> bool {
    let size = stretch.input as f32 * stretch.scale;
    // Scales that sizes were divided by are not exact.
    (size - size.round()).abs() > 1e-3
}

/// How places of the result become places of the input, and what is taken there.
#[derive(Debug, Clone, Copy)]
struct Method {
    coordinates: Coordinates,
    filter: Filter,
    /// Whether elements outside of the image have no weight; else its edge goes on.
    excludes_outside: bool,
    /// Whether the filter of a smaller result reaches over as many elements of the input as are between its own.
    antialias: bool,
    /// What stands outside of the image where a part of the result is taken from there.
    outside: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    /// A part of the input, whose corners are aligned.
    Crop,
}

#[derive(Debug, Clone, Copy)]
enum Filter {
    Nearest(Rounding),
    Linear,
    /// With the coefficient `cubic_coeff_a`.
    Cubic(f32),
}

#[derive(Debug, Clone, Copy)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// One element of the input with its weight.
type Tap = (usize, f32);

impl Method {
    /// The inner error is what nothing here computes.
    fn of(node: &NodeProto) -> Result<Result<Self, &'static str>, NodeProblem> {
        let attributes = Attributes::of(node);
        let rounding = match attributes.string("nearest_mode")?.unwrap_or(b"round_prefer_floor") {
            b"round_prefer_floor" => Rounding::PreferFloor,
            b"round_prefer_ceil" => Rounding::PreferCeil,
            b"floor" => Rounding::Floor,
            b"ceil" => Rounding::Ceil,
            _ => return Ok(Err("its `nearest_mode` is not known")),
        };
        let filter = match attributes.string("mode")?.unwrap_or(b"nearest") {
            b"nearest" => Filter::Nearest(rounding),
            b"linear" => Filter::Linear,
            b"cubic" => Filter::Cubic(attributes.float("cubic_coeff_a")?.unwrap_or(-0.75)),
            _ => return Ok(Err("its `mode` is not known")),
        };
        let mode = attributes.string("coordinate_transformation_mode")?.unwrap_or(b"half_pixel");
        let coordinates = match mode {
            b"half_pixel" => Coordinates::HalfPixel,
            b"half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            b"pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            b"align_corners" => Coordinates::AlignCorners,
            b"asymmetric" => Coordinates::Asymmetric,
            b"tf_crop_and_resize" => Coordinates::Crop,
            _ => return Ok(Err("its `coordinate_transformation_mode` is not known")),
        };
        let antialias = attributes.flag("antialias")?;
        if antialias && matches!(filter, Filter::Nearest(_)) {
            return Ok(Err("it has `antialias` without a filter"));
        }
        let excludes_outside =
            attributes.flag("exclude_outside")? && (antialias || matches!(filter, Filter::Cubic(_)));
        let outside = attributes.float("extrapolation_value")?.unwrap_or(0.0);
        Ok(Ok(Self { coordinates, filter, excludes_outside, antialias, outside }))
    }

    /// Most elements of the input that one of the result is made up of.
    fn count(&self, stretch: &Stretch) -> usize {
        (0..stretch.output).map(|place| self.taps(stretch, place).len()).max().unwrap_or(0)
    }

    /// Whether a part of the result is taken from outside of the image.
    fn leaves(&self, stretch: &Stretch) -> bool {
        (0..stretch.output).any(|place| self.is_outside(stretch, place))
    }

    #[expect(clippy::cast_precision_loss, reason = "places are below `MAX_EXTENT`")]
    fn is_outside(&self, stretch: &Stretch, place: usize) -> bool {
        let source = self.source(stretch, place);
        source < 0.0 || source > (stretch.input - 1) as f32
    }

    /// Whether anything happens along an axis.
    fn changes(&self, stretch: &Stretch) -> bool {
        !(0..stretch.output).all(|place| self.taps(stretch, place) == [(place, 1.0)])
            || stretch.input != stretch.output
    }

    /// The place of the input that element `place` of the result is taken from.
    #[expect(clippy::cast_precision_loss, reason = "places are below `MAX_EXTENT`")]
    fn source(&self, stretch: &Stretch, place: usize) -> f32 {
        let [x, input, output] = [place, stretch.input, stretch.output].map(|size| size as f32);
        let half_pixel = (x + 0.5) / stretch.scale - 0.5;
        match self.coordinates {
            Coordinates::HalfPixel => half_pixel,
            Coordinates::HalfPixelSymmetric => {
                let adjustment = output / (stretch.scale * input);
                let offset = input / 2.0 * (1.0 - adjustment);
                offset + half_pixel
            }
            Coordinates::PytorchHalfPixel if stretch.output > 1 => half_pixel,
            Coordinates::AlignCorners if stretch.output > 1 => x * (input - 1.0) / (output - 1.0),
            Coordinates::PytorchHalfPixel | Coordinates::AlignCorners => 0.0,
            Coordinates::Asymmetric => x / stretch.scale,
            Coordinates::Crop => {
                let ([start, end], last) = (stretch.region, input - 1.0);
                if stretch.output > 1 {
                    start * last + x * (end - start) * last / (output - 1.0)
                } else {
                    0.5 * (start + end) * last
                }
            }
        }
    }

    /// The elements of the input that make up element `place` of the result.
    fn taps(&self, stretch: &Stretch, place: usize) -> Vec<Tap> {
        let is_same = stretch.input == stretch.output && (stretch.scale - 1.0).abs() < f32::EPSILON;
        if is_same && self.coordinates != Coordinates::Crop {
            return vec![(place, 1.0)];
        }
        let source = self.source(stretch, place);
        let weights = match self.filter {
            _ if self.antialias => self.filter.stretched(source, stretch.scale.min(1.0)),
            Filter::Nearest(rounding) => vec![(rounding.apply(source), 1.0)],
            Filter::Linear => {
                let source = source.max(0.0);
                let share = source - source.floor();
                vec![(source.floor(), 1.0 - share), (source.floor() + 1.0, share)]
            }
            Filter::Cubic(a) => cubic(source, a),
        };
        self.within(&weights, stretch.input)
    }

    /// Brings places outside of the image onto its edge, or leaves them out. Each place is there once, and none without
    /// weight.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "they are clamped to places below `MAX_EXTENT`"
    )]
    fn within(&self, weights: &[(f32, f32)], input: usize) -> Vec<Tap> {
        let last = (input - 1) as f32;
        let mut taps: Vec<Tap> = Vec::new();
        for &(place, weight) in weights {
            let inside = place.clamp(0.0, last);
            let is_outside = place < 0.0 || place > last;
            if self.excludes_outside && is_outside || weight == 0.0 {
                continue;
            }
            let inside = inside as usize;
            match taps.iter_mut().find(|(known, _)| *known == inside) {
                Some((_, sum)) => *sum += weight,
                None => taps.push((inside, weight)),
            }
        }
        if self.excludes_outside {
            let sum: f32 = taps.iter().map(|(_, weight)| weight).sum();
            for (_, weight) in &mut taps {
                *weight /= sum;
            }
        }
        taps
    }
}

impl Filter {
    /// The elements around `source` with their weights, by a filter that is as much wider as `scale` is below 1.
    fn stretched(self, source: f32, scale: f32) -> Vec<(f32, f32)> {
        let reach = if matches!(self, Self::Cubic(_)) { 2.0 } else { 1.0 } / scale;
        let (first, last) = ((source - reach).floor() + 1.0, (source + reach).ceil() - 1.0);
        let places = std::iter::successors(Some(first), |place| Some(place + 1.0));
        let weighted: Vec<_> = places
            .take_while(|place| *place <= last)
            .map(|place| (place, self.weight((place - source) * scale)))
            .collect();
        let sum: f32 = weighted.iter().map(|(_, weight)| weight).sum();
        weighted.into_iter().map(|(place, weight)| (place, weight / sum)).collect()
    }

    /// The weight of an element at a distance.
    fn weight(self, distance: f32) -> f32 {
        match self {
            Self::Cubic(a) => keys(distance.abs(), a),
            _ => 1.0 - distance.abs(),
        }
    }
}

impl Rounding {
    #[expect(clippy::float_cmp, reason = "halves are exact")]
    fn apply(self, source: f32) -> f32 {
        let is_half = source - source.floor() == 0.5;
        match self {
            Self::PreferFloor if is_half => source.floor(),
            Self::PreferCeil if is_half => source.ceil(),
            Self::PreferFloor | Self::PreferCeil => source.round(),
            Self::Floor => source.floor(),
            Self::Ceil => source.ceil(),
        }
    }
}

/// The four neighbours of `source` with their weights (Keys' cubic convolution).
fn cubic(source: f32, a: f32) -> Vec<(f32, f32)> {
    let (first, share) = (source.floor(), source - source.floor());
    let weights = [share + 1.0, share, 1.0 - share, 2.0 - share].map(|distance| keys(distance, a));
    [-1.0, 0.0, 1.0, 2.0].into_iter().zip(weights).map(|(offset, weight)| (first + offset, weight)).collect()
}

/// Keys' cubic at a distance of 0 to 2.
fn keys(distance: f32, a: f32) -> f32 {
    if distance > 1.0 {
        ((a * distance - 5.0 * a) * distance + 8.0 * a) * distance - 4.0 * a
    } else {
        ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0
    }
}

/// A dimension with the number of times that each of its elements is there afterwards.
type Repeated = (usize, usize);

/// All dimensions, if each element is repeated as often as the others along its axis.
fn repetitions(method: &Method, stretches: &[Stretch], shape: &[Option<usize>]) -> Option<Vec<Repeated>> {
    let mut repeated = shape.iter().map(|dim| Some(((*dim)?, 1))).collect::<Option<Vec<_>>>()?;
    for stretch in stretches {
        let times = stretch.output / stretch.input;
        let is_regular = stretch.output % stretch.input == 0
            && (0..stretch.output).all(|place| method.taps(stretch, place) == [(place / times, 1.0)]);
        if !is_regular {
            return None;
        }
        repeated[stretch.axis].1 = times;
    }
    Some(repeated)
}

/// Gives each repeated dimension one behind it, along which its elements are repeated, and makes both of them one.
fn repeat(repeated: &[Repeated], value: &str, context: &mut Context, parts: &mut Parts) -> String {
    if repeated.iter().all(|(_, times)| *times == 1) {
        return value.to_owned();
    }
    let (mut apart, mut expanded, mut together) = (vec![], vec![], vec![]);
    for &(extent, times) in repeated {
        together.push(signed(extent * times));
        apart.push(signed(extent));
        expanded.push(signed(extent));
        if times > 1 {
            apart.push(1);
            expanded.push(signed(times));
        }
    }
    let mut reshape = |op_type: &str, value: &str, shape: &[i64]| {
        let shape = context.add_ints(&format!("{value}.shape"), shape);
        parts.add(context, op_type, &[value, &shape], vec![])
    };
    let value = reshape("Reshape", value, &apart);
    let value = reshape("Expand", &value, &expanded);
    reshape("Reshape", &value, &together)
}

#[expect(clippy::float_cmp, reason = "a weight that is set to 1 is exact")]
fn is_one(weight: f32) -> bool {
    weight == 1.0
}

/// Along one axis: the first taps of all places, the second ones, and so on, each times its weight, summed.
fn along(
    method: &Method,
    stretch: &Stretch,
    rank: usize,
    value: &str,
    context: &mut Context,
    parts: &mut Parts,
) -> String {
    let taps: Vec<_> = (0..stretch.output).map(|place| method.taps(stretch, place)).collect();
    let count = taps.iter().map(Vec::len).max().unwrap_or(0);
    let mut dims = vec![1; rank];
    dims[stretch.axis] = signed(stretch.output);
    let mut sum: Option<String> = None;
    for number in 0..count {
        // A place with fewer taps takes its last one again, without weight.
        let tap = |taps: &Vec<Tap>| taps.get(number).copied().unwrap_or((taps[taps.len() - 1].0, 0.0));
        let (places, weights): (Vec<_>, Vec<_>) =
            taps.iter().map(tap).map(|(place, weight)| (signed(place), weight)).unzip();
        let places = context.add_ints(&format!("{value}.places"), &places);
        let axis = vec![int_attribute("axis", signed(stretch.axis))];
        let mut term = parts.add(context, "Gather", &[value, &places], axis);
        if !weights.iter().copied().all(is_one) {
            let weights = context.add_floats(&format!("{value}.weights"), dims.clone(), &weights);
            term = parts.add(context, "Mul", &[&term, &weights], vec![]);
        }
        sum = Some(match sum {
            Some(sum) => parts.add(context, "Add", &[&sum, &term], vec![]),
            None => term,
        });
    }
    sum.unwrap_or_else(|| value.to_owned())
}

/// `value` with what stands outside of the image where an element of the axis is taken from there.
fn extrapolated(
    method: &Method,
    stretch: &Stretch,
    rank: usize,
    value: &str,
    context: &mut Context,
    parts: &mut Parts,
) -> String {
    let mut dims = vec![1; rank];
    dims[stretch.axis] = signed(stretch.output);
    let raw_data = (0..stretch.output).map(|place| u8::from(method.is_outside(stretch, place))).collect();
    let is_outside = context.fresh(&format!("{value}.outside"));
    context.add(TensorProto {
        name: is_outside.clone(),
        dims,
        data_type: BOOL,
        raw_data,
        ..TensorProto::default()
    });
    let outside = context.add_floats(&format!("{value}.extrapolation"), vec![], &[method.outside]);
    parts.add(context, "Where", &[&is_outside, &outside, value], vec![])
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
