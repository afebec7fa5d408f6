//! `AveragePool` with a last window that does not fit (`ceil_mode`).
//!
//! What such a window is divided by is where implementations differ. ONNX counts the elements of the window that lie
//! in the image or, with `count_include_pad`, in its padding, but not those beyond. The compiler divides by other numbers,
//! so the pool becomes one without padding over an image padded with zeros, times the quotient of the divisors.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::ints_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::window::{Slide, slides};

/// Most positions whose quotients become a constant.
const MAX_POSITIONS: usize = 1 << 22;

/// Rewrites a pool with `ceil_mode`; [`ceil_mode`](super::ceil_mode) has taken it from those whose windows fit.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let attributes = Attributes::of(node);
    if node.op_type != "AveragePool" || !attributes.flag("ceil_mode").map_err(|problem| problem.of(node))? {
        return Ok(Step::Keep);
    }
    let with_padding = attributes.flag("count_include_pad").map_err(|problem| problem.of(node))?;
    let unknown = || unsupported(node, "it has `ceil_mode`, and the size of its input is not known");
    let slides = slides(&context.site(node)).ok().flatten().ok_or_else(unknown)?;
    let axes = slides.iter().map(|slide| Axis::of(slide, with_padding)).collect::<Option<Vec<_>>>();
    let axes = axes.ok_or_else(unknown)?;
    let positions = axes.iter().try_fold(1usize, |product, axis| product.checked_mul(axis.counts.len()));
    if positions.is_none_or(|positions| positions > MAX_POSITIONS) {
        return Err(unsupported(node, "it has `ceil_mode` and too many positions"));
    }
    if axes.iter().any(|axis| axis.counts.contains(&0)) {
        return Err(unsupported(node, "it has a window without an element"));
    }
    Ok(Step::nodes(written(node, &slides, &axes, context)))
}

/// What the rewrite needs to know of one spatial dimension.
struct Axis {
    /// Zeros before and after.
    pads: [i64; 2],
    /// The part of the divisor of each position.
    counts: Vec<usize>,
}

impl Axis {
    /// `None` if the size is not known, or absurd.
    fn of(slide: &Slide, with_padding: bool) -> Option<Self> {
        let (input, positions) = (i128::try_from(slide.input?).ok()?, slide.ceil?);
        if positions > MAX_POSITIONS || slide.pads.iter().any(|pad| *pad < 0) {
            return None;
        }
        let [stride, dilation, kernel] = [slide.stride, slide.dilation, slide.kernel]
            .map(|value| i128::try_from(value).unwrap_or(i128::MAX));
        let [before, after] = slide.pads;
        let span = dilation.checked_mul(kernel - 1)?.checked_add(1)?;
        let last = stride.checked_mul(i128::try_from(positions).ok()?.checked_sub(1)?)?.checked_add(span)?;
        let behind = (last - before - input).max(0);
        let (low, high) = if with_padding { (-before, input + after) } else { (0, input) };
        // Elements of an arithmetic sequence between two bounds.
        let below =
            |bound: i128, start: i128| (bound - start + dilation - 1).div_euclid(dilation).clamp(0, kernel);
        let count = |position: usize| {
            let start = i128::try_from(position).unwrap_or(i128::MAX) * stride - before;
            usize::try_from(below(high, start) - below(low, start)).unwrap_or(0)
        };
        Some(Self {
            pads: [i64::try_from(before).ok()?, i64::try_from(behind).ok()?],
            counts: (0..positions).map(count).collect(),
        })
    }
}

fn written(node: &NodeProto, slides: &[Slide], axes: &[Axis], context: &mut Context) -> Vec<NodeProto> {
    let output = &node.output[0];
    let mut pads = vec![0; 2];
    pads.extend(axes.iter().map(|axis| axis.pads[0]));
    pads.extend([0, 0]);
    pads.extend(axes.iter().map(|axis| axis.pads[1]));
    let pads = context.add_ints(&format!("{output}.pads"), &pads);
    let dims = [1, 1].into_iter().chain(axes.iter().map(|axis| axis.counts.len()));
    let dims = dims.map(|dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
    let quotients = context.add_floats(&format!("{output}.quotients"), dims, &quotients(slides, axes));
    let mut parts = Parts::of(node);
    let padded = parts.add(context, "Pad", &[&node.input[0], &pads], vec![]);
    let attributes = node
        .attribute
        .iter()
        .filter(|attribute| matches!(attribute.name.as_str(), "kernel_shape" | "strides" | "dilations"));
    let mut attributes: Vec<_> = attributes.cloned().collect();
    attributes.push(ints_attribute("pads", vec![0; 2 * axes.len()]));
    let mean = parts.add(context, "AveragePool", &[&padded], attributes);
    parts.finish("Mul", &[&mean, &quotients], vec![])
}

/// Size of the window over the number of elements that count, for each position.
#[expect(clippy::cast_possible_truncation, reason = "the network computes in single precision")]
fn quotients(slides: &[Slide], axes: &[Axis]) -> Vec<f32> {
    let mut quotients = vec![1.0];
    for (slide, axis) in slides.iter().zip(axes) {
        let of_axis = |count: &usize| slide.kernel as f64 / *count as f64;
        quotients = quotients
            .iter()
            .flat_map(|outer: &f64| axis.counts.iter().map(move |count| outer * of_axis(count)))
            .collect();
    }
    quotients.into_iter().map(|quotient| quotient as f32).collect()
}
