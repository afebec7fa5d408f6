//! `ConvTranspose` with padding that the compiler refuses: other padding in front than behind, or one that follows from the
//! size of the result.

use super::body::Body;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::window::crops;

/// Dimensions in front of the spatial ones.
const BATCH_AND_CHANNELS: i64 = 2;

/// Computes everything, and cuts off what the padding takes away.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "ConvTranspose" {
        return Ok(Step::Keep);
    }
    let attributes = Attributes::of(node);
    let computed = attributes.has("output_shape")
        || attributes
            .string("auto_pad")
            .map_err(|problem| problem.of(node))?
            .is_some_and(|mode| mode != b"NOTSET");
    let crops = crops(&context.site(node)).ok();
    let uneven = crops.iter().flatten().any(|crop| crop.before != crop.after);
    if !computed && !uneven {
        return Ok(Step::Keep);
    }
    let known = crops.filter(|crops| crops.iter().all(|crop| crop.output.is_some()));
    let Some(crops) = known else {
        return Err(unsupported(node, "its padding follows from sizes that are not known"));
    };
    if crops.iter().any(|crop| crop.before < 0 || crop.after < 0) {
        return Err(unsupported(node, "its result is larger than what the filter reaches"));
    }
    let signed = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
    let output = &node.output[0];
    let starts: Vec<_> = crops.iter().map(|crop| signed(crop.before)).collect();
    let last = |crop: &crate::shapes::window::Crop| {
        signed(crop.before).saturating_add(crop.output.map_or(0, |output| signed(output as i128)))
    };
    let ends: Vec<_> = crops.iter().map(last).collect();
    let axes: Vec<_> = (BATCH_AND_CHANNELS..).take(crops.len()).collect();
    let [starts, ends, axes] = [("starts", starts), ("ends", ends), ("axes", axes)]
        .map(|(name, values)| context.add_ints(&format!("{output}.{name}"), &values));
    let kept = node
        .attribute
        .iter()
        .filter(|attribute| !matches!(attribute.name.as_str(), "auto_pad" | "output_shape" | "pads"));
    let kept = kept.cloned().collect();
    let inputs: Vec<_> = node.input.iter().map(String::as_str).collect();
    let mut parts = Parts::of(node);
    let full = parts.add(context, "ConvTranspose", &inputs, kept);
    Ok(Step::nodes(parts.finish("Slice", &[&full, &starts, &ends, &axes], vec![])))
}
