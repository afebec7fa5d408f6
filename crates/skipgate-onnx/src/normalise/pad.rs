//! `Pad` with something else than a number, and with less than nothing.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::shapes::layout::{Padding, paddings};

/// Most elements of an axis, whose places become a constant.
const MAX_EXTENT: usize = 1 << 16;

/// Writes the modes that take elements of the image as `Gather` nodes: the compiler fails on some of them and does not
/// come to an end with others. Negative padding, which takes elements away, becomes a `Slice`.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "Pad" {
        return Ok(Step::Keep);
    }
    let mode = Mode::of(node).map_err(|problem| problem.of(node))?;
    let Some(paddings) = paddings(&context.site(node)).ok() else {
        return match mode {
            Mode::Constant => Ok(Step::Keep),
            _ => Err(unsupported(node, "how much it pads is not constant")),
        };
    };
    let has_negative = paddings.iter().any(|padding| padding.before < 0 || padding.after < 0);
    match mode {
        Mode::Constant if has_negative => Ok(cut_first(node, &paddings, context)),
        Mode::Constant => Ok(Step::Keep),
        _ => gather(node, mode, &paddings, context),
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

impl Mode {
    fn of(node: &NodeProto) -> Result<Self, NodeProblem> {
        match Attributes::of(node).string("mode")?.unwrap_or(b"constant") {
            b"constant" => Ok(Self::Constant),
            b"edge" => Ok(Self::Edge),
            b"reflect" => Ok(Self::Reflect),
            b"wrap" => Ok(Self::Wrap),
            _ => {
                let expected = "`constant`, `edge`, `reflect` or `wrap`";
                Err(NodeProblem::Attribute { name: "mode", expected })
            }
        }
    }

    /// The element that stands at `place` of an axis of `extent` elements, where that is inside or near it.
    fn source(self, place: i64, extent: i64) -> Option<i64> {
        match self {
            Self::Edge => Some(place.clamp(0, extent - 1)),
            Self::Wrap => Some(place.rem_euclid(extent)),
            // What engines make of more than one reflection differs.
            Self::Constant | Self::Reflect => {
                let inside = if place < 0 { -place } else { place };
                let inside = if inside >= extent { 2 * (extent - 1) - inside } else { inside };
                (0..extent).contains(&inside).then_some(inside)
            }
        }
    }
}

fn gather(node: &NodeProto, mode: Mode, paddings: &[Padding], context: &mut Context) -> Result<Step, Error> {
    let mut parts = Parts::of(node);
    let mut value = node.input[0].clone();
    for padding in paddings.iter().filter(|padding| padding.before != 0 || padding.after != 0) {
        let Some(extent) = padding.extent.filter(|extent| (1..=MAX_EXTENT).contains(extent)) else {
            return Err(unsupported(node, "the size of its input is not known, or too large"));
        };
        let sources = sources(mode, padding, extent).map_err(|reason| unsupported(node, reason))?;
        let sources = context.add_ints(&format!("{value}.places"), &sources);
        let axis = int_attribute("axis", i64::try_from(padding.axis).unwrap_or(i64::MAX));
        value = parts.add(context, "Gather", &[&value, &sources], vec![axis]);
    }
    Ok(Step::nodes(parts.finish("Identity", &[&value], vec![])))
}

/// The elements that stand along a padded axis. What negative padding takes away is gone before the rest is padded.
fn sources(mode: Mode, padding: &Padding, extent: usize) -> Result<Vec<i64>, &'static str> {
    let [extent, most] = [extent, MAX_EXTENT].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    let [before, after] = [padding.before, padding.after];
    if before.abs().max(after.abs()) > most {
        return Err("it pads by too much");
    }
    let first = (-before).max(0);
    let rest = extent - first + after.min(0);
    if rest < 1 {
        return Err("it takes everything away");
    }
    let places = -before.max(0)..rest + after.max(0);
    let source = |place| Some(first + mode.source(place, rest)?);
    places.map(source).collect::<Option<_>>().ok_or("it reflects more than there is")
}

/// Takes away what negative padding takes away, and pads the rest.
fn cut_first(node: &NodeProto, paddings: &[Padding], context: &mut Context) -> Step {
    let output = &node.output[0];
    let mut add = |name: &str, value: &dyn Fn(&Padding) -> i64| {
        context.add_ints(&format!("{output}.{name}"), &paddings.iter().map(value).collect::<Vec<_>>())
    };
    let starts = add("starts", &|padding| (-padding.before).max(0));
    let ends = add("ends", &|padding| if padding.after < 0 { padding.after } else { i64::MAX });
    let axes = add("axes", &|padding| i64::try_from(padding.axis).unwrap_or(i64::MAX));
    let pads = paddings.iter().map(|padding| padding.before.max(0));
    let pads: Vec<_> = pads.chain(paddings.iter().map(|padding| padding.after.max(0))).collect();
    let pads = context.add_ints(&format!("{output}.pads"), &pads);
    let mut parts = Parts::of(node);
    let rest = parts.add(context, "Slice", &[&node.input[0], &starts, &ends, &axes], vec![]);
    let mut inputs = vec![rest.as_str(), pads.as_str()];
    inputs.extend(node.input.iter().skip(2).map(String::as_str));
    Step::nodes(parts.finish("Pad", &inputs, node.attribute.clone()))
}
