//! `ConvTranspose` with padding that the compiler refuses: other padding in front than behind, or one that follows from the
//! size of the result.

use super::body::Body;
use super::build::Build;
use super::context::{Context, Parts};
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::Error;
use crate::proto::{AttributeProto, NodeProto};
use crate::shapes::window::{Crop, crops};

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
    if crops.iter().any(|crop| crop.before < 0) {
        return Err(unsupported(node, "its result begins in front of what the filter reaches"));
    }
    if crops.iter().any(|crop| crop.after < 0) {
        return Ok(enlarged(node, &crops, context));
    }
    let output = &node.output[0];
    let starts: Vec<_> = crops.iter().map(|crop| signed(crop.before)).collect();
    let ends: Vec<_> = crops.iter().map(last).collect();
    let axes: Vec<_> = (BATCH_AND_CHANNELS..).take(crops.len()).collect();
    let [starts, ends, axes] = [("starts", starts), ("ends", ends), ("axes", axes)]
        .map(|(name, values)| context.add_ints(&format!("{output}.{name}"), &values));
    let kept = without_padding(node);
    let inputs: Vec<_> = node.input.iter().map(String::as_str).collect();
    let mut parts = Parts::of(node);
    let full = parts.add(context, "ConvTranspose", &inputs, kept);
    Ok(Step::nodes(parts.finish("Slice", &[&full, &starts, &ends, &axes], vec![])))
}

/// The attributes that are not about padding.
fn without_padding(node: &NodeProto) -> Vec<AttributeProto> {
    let kept = node
        .attribute
        .iter()
        .filter(|attribute| !matches!(attribute.name.as_str(), "auto_pad" | "output_shape" | "pads"));
    kept.cloned().collect()
}

/// A result that goes on behind what the filter reaches: the bias alone is there.
fn enlarged(node: &NodeProto, crops: &[Crop], context: &mut Context) -> Step {
    let rank = crops.len();
    let mut build = Build::of(node, context);
    let mut value = build.with("ConvTranspose", &[&node.input[0], &node.input[1]], without_padding(node));
    for (axis, crop) in (BATCH_AND_CHANNELS..).zip(crops) {
        let end = if crop.after < 0 { i64::MAX } else { last(crop) };
        value = build.slice(&value, axis, signed(crop.before), end);
    }
    let mut pads = vec![0; 2 * (rank + 2)];
    for (pad, crop) in pads[rank + 4..].iter_mut().zip(crops) {
        *pad = signed((-crop.after).max(0));
    }
    let pads = build.ints(&pads);
    value = build.op("Pad", &[&value, &pads]);
    if let Some(bias) = node.input.get(2).filter(|bias| !bias.is_empty()) {
        let mut per_channel = vec![1; rank + 1];
        per_channel[0] = -1;
        let bias = build.reshape(bias, &per_channel);
        value = build.op("Add", &[&value, &bias]);
    }
    build.finish(&[&value])
}

/// Where what is left ends along a dimension.
fn last(crop: &Crop) -> i64 {
    signed(crop.before).saturating_add(crop.output.map_or(0, |output| signed(output as i128)))
}

fn signed(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
