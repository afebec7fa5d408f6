//! `MaxPool` whose indices are read (operator sets 8 to 22), which the compiler counts in each channel anew.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::window::{Slide, slides};
use crate::tensor::element_type::FLOAT;

/// Most elements of a window, which are compared one by one.
const MAX_WINDOW: i64 = 64;

/// Computes the indices by comparing the elements of each window in their order: of equal ones the first one counts, as in
/// ONNX Runtime. The maxima are left to the pool.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let reads_places = node.output.get(1).is_some_and(|places| !places.is_empty());
    if node.op_type != "MaxPool" || !reads_places {
        return Ok(Step::Keep);
    }
    let input = &node.input[0];
    let shape = context.extents(input).filter(|_| context.is_of(input, FLOAT));
    let windows = slides(&context.site(node)).ok().flatten().and_then(|slides| Windows::of(node, &slides));
    let Some((shape, mut windows)) = shape.zip(windows) else {
        return Err(unsupported(
            node,
            "its indices are read, and its sizes are not known or it is not of 32-bit floats",
        ));
    };
    let count: i64 = windows.slides.iter().map(|slide| slide.kernel).product();
    let by_columns = Attributes::of(node).flag("storage_order").map_err(|problem| problem.of(node))?;
    if count > MAX_WINDOW || by_columns && windows.slides.len() != 2 {
        return Err(unsupported(
            node,
            "its indices are read, and its windows are too large or not of images",
        ));
    }
    windows.by_columns = by_columns;
    let mut build = Build::of(node, context);
    let places = windows.places(&mut build, input, &shape, count);
    let attributes = node.attribute.iter().filter(|attribute| attribute.name != "storage_order");
    let maxima = build.with("MaxPool", &[input], attributes.cloned().collect());
    Ok(build.finish(&[&maxima, &places]))
}

/// How a window moves along one dimension.
struct Along {
    input: i64,
    kernel: i64,
    stride: i64,
    dilation: i64,
    /// Padding in front, and what is needed behind for the last window.
    pads: [i64; 2],
    positions: i64,
}

struct Windows {
    slides: Vec<Along>,
    /// Whether indices count columns first.
    by_columns: bool,
}

impl Windows {
    fn of(node: &NodeProto, slides: &[Slide]) -> Option<Self> {
        let with_rest = Attributes::of(node).flag("ceil_mode").ok()?;
        let along = |slide: &Slide| {
            let signed = |size: usize| i64::try_from(size).ok();
            let (input, kernel, dilation) =
                (signed(slide.input?)?, signed(slide.kernel)?, signed(slide.dilation)?);
            let stride = signed(slide.stride)?;
            let positions = signed(if with_rest { slide.ceil? } else { slide.floor? })?;
            let before = i64::try_from(slide.pads[0]).ok()?;
            let reached = (positions - 1) * stride + dilation * (kernel - 1) + 1;
            Some(Along {
                input,
                kernel,
                stride,
                dilation,
                pads: [before, (reached - before - input).max(0)],
                positions,
            })
        };
        let slides = slides.iter().map(along).collect::<Option<Vec<_>>>()?;
        Some(Self { slides, by_columns: false })
    }

    /// The index of the largest element of each window, counted over the whole input.
    fn places(&self, build: &mut Build, input: &str, shape: &[i64], count: i64) -> String {
        let (images, channels) = (shape[0], shape[1]);
        let pads: Vec<_> = [0, 1]
            .iter()
            .flat_map(|&end| [0, 0].into_iter().chain(self.slides.iter().map(move |slide| slide.pads[end])))
            .collect();
        let pads = build.ints(&pads);
        let least = build.scalar(f32::NEG_INFINITY, FLOAT);
        let padded = build.op("Pad", &[input, &pads, &least]);
        let mut best: Option<(String, String)> = None;
        for number in 0..count {
            let element = self.element(number);
            let values = self.taken(build, &padded, &element);
            let places = self.counted(build, &element);
            best = Some(match best {
                None => (values, places),
                Some((largest, place)) => {
                    let is_larger = build.op("Greater", &[&values, &largest]);
                    let place = build.op("Where", &[&is_larger, &places, &place]);
                    (build.op("Where", &[&is_larger, &values, &largest]), place)
                }
            });
        }
        let (_, within) = best.unwrap_or_default();
        let elements: i64 = self.slides.iter().map(|slide| slide.input).product();
        let starts: Vec<_> = (0..images * channels).map(|number| number * elements).collect();
        let mut dims = vec![1; shape.len()];
        dims[..2].copy_from_slice(&[images, channels]);
        let starts = build.int_tensor(&dims, &starts);
        build.op("Add", &[&starts, &within])
    }

    /// Where an element of the window is along each dimension.
    fn element(&self, mut number: i64) -> Vec<i64> {
        let mut element = Vec::new();
        for slide in self.slides.iter().rev() {
            element.push(number % slide.kernel * slide.dilation);
            number /= slide.kernel;
        }
        element.reverse();
        element
    }

    /// That element of all windows.
    fn taken(&self, build: &mut Build, padded: &str, element: &[i64]) -> String {
        let list = |of: &dyn Fn(&Along, i64) -> i64| -> Vec<i64> {
            self.slides.iter().zip(element).map(|(slide, &first)| of(slide, first)).collect()
        };
        let starts = list(&|_, first| first);
        let ends = list(&|slide, first| first + (slide.positions - 1) * slide.stride + 1);
        let steps = list(&|slide, _| slide.stride);
        let axes: Vec<_> = (2..).take(element.len()).collect();
        let [starts, ends, axes, steps] = [starts, ends, axes, steps].map(|values| build.ints(&values));
        build.op("Slice", &[padded, &starts, &ends, &axes, &steps])
    }

    /// The index of that element in its channel, for all windows; of one in the padding, that of some other one.
    fn counted(&self, build: &mut Build, element: &[i64]) -> String {
        let rank = self.slides.len();
        let mut order: Vec<_> = (0..rank).collect();
        if self.by_columns {
            order.reverse();
        }
        let mut steps = vec![1; rank];
        for pair in order.windows(2).rev() {
            steps[pair[0]] = steps[pair[1]] * self.slides[pair[1]].input;
        }
        let mut dims = vec![1, 1];
        let mut indices = vec![0];
        for ((slide, &first), step) in self.slides.iter().zip(element).zip(steps) {
            let place =
                |position: i64| (position * slide.stride + first - slide.pads[0]).clamp(0, slide.input - 1);
            indices = indices
                .iter()
                .flat_map(|index| (0..slide.positions).map(move |position| index + place(position) * step))
                .collect();
            dims.push(slide.positions);
        }
        build.int_tensor(&dims, &indices)
    }
}
