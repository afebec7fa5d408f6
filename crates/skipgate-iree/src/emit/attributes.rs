//! Node attributes in MLIR's text form.

use skipgate_onnx::{Attribute, Node};

use super::blobs::Blobs;
use super::types;
use crate::ImportError;
use crate::plan::unsupported;

/// All attributes of `node`: `{"torch.onnx.axis" = 0 : si64}`.
pub(super) fn dictionary(blobs: &mut Blobs, node: &Node) -> Result<String, ImportError> {
    let mut entries = Vec::new();
    for (name, attribute) in &node.attributes {
        let literal = literal(blobs, node, name, attribute)?;
        entries.push(format!("{} = {literal}", types::quoted(&format!("torch.onnx.{name}"))));
    }
    Ok(format!("{{{}}}", entries.join(", ")))
}

fn literal(blobs: &mut Blobs, node: &Node, name: &str, attribute: &Attribute) -> Result<String, ImportError> {
    Ok(match attribute {
        Attribute::Float(value) => float(*value),
        Attribute::Int(value) => int(*value),
        Attribute::String(text) => string(text),
        Attribute::Tensor(tensor) => blobs.literal(tensor)?,
        Attribute::Floats(values) => list(values.iter().copied().map(float)),
        Attribute::Ints(values) => list(values.iter().copied().map(int)),
        Attribute::Strings(texts) => list(texts.iter().map(|text| string(text))),
        _ => return Err(unsupported(node, format!("the kind of attribute `{name}`"))),
    })
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
