//! Node attributes in MLIR's text form.

use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::{AttributeProto, NodeProto};

use super::constant::Blobs;
use super::{types, unsupported};
use crate::ImportError;

/// All attributes of `node` but its subgraphs: `{"torch.onnx.axis" = 0 : si64}`.
pub(super) fn dictionary(blobs: &mut Blobs, node: &NodeProto) -> Result<String, ImportError> {
    let mut entries = Vec::new();
    for attribute in &node.attribute {
        if let Some(literal) = literal(blobs, node, attribute)? {
            entries.push(format!("{} = {literal}", types::quoted(&format!("torch.onnx.{}", attribute.name))));
        }
    }
    Ok(format!("{{{}}}", entries.join(", ")))
}

/// One attribute; `None` for a subgraph, which becomes a region.
fn literal(
    blobs: &mut Blobs,
    node: &NodeProto,
    attribute: &AttributeProto,
) -> Result<Option<String>, ImportError> {
    Ok(Some(match attribute.type_.enum_value_or_default() {
        AttributeType::FLOAT => float(attribute.f.unwrap_or_default()),
        AttributeType::INT => int(attribute.i.unwrap_or_default()),
        AttributeType::STRING => string(attribute.s.as_deref().unwrap_or_default()),
        AttributeType::TENSOR => blobs.literal(&attribute.t)?,
        AttributeType::FLOATS => list(attribute.floats.iter().copied().map(float)),
        AttributeType::INTS => list(attribute.ints.iter().copied().map(int)),
        AttributeType::STRINGS => list(attribute.strings.iter().map(|text| string(text))),
        AttributeType::GRAPH | AttributeType::GRAPHS => return Ok(None),
        _ => return Err(unsupported(node, format!("the kind of attribute `{}`", attribute.name))),
    }))
}

/// The bits of the number, so that none is lost in decimals and NaN and infinity need no special case.
fn float(value: f32) -> String {
    format!("0x{:08X} : f32", value.to_bits())
}

fn int(value: i64) -> String {
    format!("{value} : si64")
}

fn string(bytes: &[u8]) -> String {
    types::quoted(&String::from_utf8_lossy(bytes))
}

fn list(literals: impl Iterator<Item = String>) -> String {
    format!("[{}]", literals.collect::<Vec<_>>().join(", "))
}
