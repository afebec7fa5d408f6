//! `GroupNormalization` before operator set 21, whose scale and bias have an element for each group.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;

/// Operator set from which on scale and bias have an element for each channel, which is how the compiler reads them.
const FOR_EACH_CHANNEL: i64 = 21;

/// Writes the normalisation of each group as that of an image with one channel for each group.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "GroupNormalization" || context.opset >= FOR_EACH_CHANNEL {
        return Ok(Step::Keep);
    }
    let [input, scale, bias] = &node.input[..] else { return Ok(Step::Keep) };
    let groups = Attributes::of(node).int_or("num_groups", 0).map_err(|problem| problem.of(node))?;
    let Some(back) = context.tensor_type(input).and_then(|input| behind_batch(&input.shape)) else {
        return Err(unsupported(
            node,
            "it has a scale for each group, and the shape of its input is not known",
        ));
    };
    let output = &node.output[0];
    let grouped = context.add_ints(&format!("{output}.groups"), &[0, groups, -1]);
    let back = context.add_ints(&format!("{output}.shape"), &back);
    let mut parts = Parts::of(node);
    let grouped = parts.add(context, "Reshape", &[input, &grouped], vec![]);
    let epsilon = node.attribute.iter().filter(|attribute| attribute.name == "epsilon").cloned().collect();
    let normal = parts.add(context, "InstanceNormalization", &[&grouped, scale, bias], epsilon);
    Ok(Step::nodes(parts.finish("Reshape", &[&normal, &back], vec![])))
}

/// What a `Reshape` to `shape` reads, whatever the batch is; `None` if another dimension is not known.
fn behind_batch(shape: &[Option<usize>]) -> Option<Vec<i64>> {
    let rest = shape.get(1..)?.iter().map(|dim| i64::try_from((*dim)?).ok());
    std::iter::once(Some(0)).chain(rest).collect()
}
