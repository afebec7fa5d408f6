//! Operators that hand on their input.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::proto::NodeProto;
use crate::shapes::TensorType;
use crate::shapes::layout::{cuts, permutation};
use crate::shapes::site::{Dim, Site};

/// Removes `node` if its output is its first input, whatever that holds.
pub(super) fn remove(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    if node.output.len() != 1 || node.input.first().is_none_or(String::is_empty) {
        return Step::Keep;
    }
    let nothing = node.op_type == "Identity" || changes_nothing(node, context).unwrap_or(false);
    if nothing { Step::alias(node, &node.input[0]) } else { Step::Keep }
}

/// Whether `node` changes nothing; `None` if that is not known.
fn changes_nothing(node: &NodeProto, context: &Context) -> Option<bool> {
    let input = context.tensor_type(&node.input[0])?;
    let output = context.tensor_type(&node.output[0])?;
    let site = context.site(node);
    Some(match node.op_type.as_str() {
        "Cast" | "CastLike" => input.element_type == output.element_type,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => is_same_shape(input, output),
        // Only where both are known: an unknown dimension may be a repeated one.
        "Expand" => input.static_shape()? == output.static_shape()?,
        "Transpose" => permutation(&site, input.shape.len()).ok()?.into_iter().eq(0..input.shape.len()),
        "Slice" => takes_everything(&site, &input.shape)?,
        "Pad" => site.known_ints(1).ok()?.iter().all(|pad| *pad == 0),
        "Concat" | "Sum" | "Max" | "Min" | "Mean" => node.input.len() == 1,
        _ => false,
    })
}

/// Whether two types of one number of elements have the same shape. One dimension may be unknown: it is what the others
/// leave.
fn is_same_shape(input: &TensorType, output: &TensorType) -> bool {
    let unknown = |shape: &[Dim]| shape.iter().filter(|dim| dim.is_none()).count();
    input.shape == output.shape && unknown(&input.shape) <= 1 && !input.shape.contains(&Some(0))
        || input.static_shape().is_some_and(|shape| output.static_shape() == Some(shape))
}

fn takes_everything(site: &Site, shape: &[Dim]) -> Option<bool> {
    let (known, unknown) = cuts(site, shape).ok()?;
    let whole = known.iter().all(|cut| cut.start == 0 && cut.step == 1 && Some(cut.count) == shape[cut.axis]);
    Some(whole && unknown.is_empty())
}
