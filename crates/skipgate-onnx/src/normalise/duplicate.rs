//! Quantisation that is written more than once.

use protobuf::Message;

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::error::Error;
use crate::proto::NodeProto;

/// Constants up to this many bytes are compared by what they hold, larger ones by name.
const SMALL: usize = 1 << 14;

/// Lets a `QuantizeLinear` or `DequantizeLinear` be an earlier one of the same value with the same parameters: exporters
/// write one for each reader, which hides that the readers share a value.
pub(super) fn merge(node: &NodeProto, body: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if !matches!(node.op_type.as_str(), "QuantizeLinear" | "DequantizeLinear") {
        return Ok(Step::Keep);
    }
    let key = key(node, context)?;
    if let Some(earlier) = body.quantized.get(&key) {
        return Ok(Step::alias(node, earlier));
    }
    body.quantized.insert(key, node.output[0].clone());
    Ok(Step::Keep)
}

/// Bytes that are equal for nodes that compute the same.
fn key(node: &NodeProto, context: &Context) -> Result<Vec<u8>, Error> {
    let mut plain = NodeProto { op_type: node.op_type.clone(), ..NodeProto::default() };
    plain.attribute.clone_from(&node.attribute);
    plain.attribute.sort_by(|a, b| a.name.cmp(&b.name));
    for name in &node.input {
        let constant = context.constant(name).filter(|tensor| tensor.compute_size() <= SMALL as u64);
        plain.input.push(match constant {
            // A zero byte is in no name, so the two cannot be taken for each other.
            Some(tensor) => {
                let mut unnamed = tensor.clone();
                unnamed.name.clear();
                format!("\0{:?}", unnamed.write_to_bytes()?)
            }
            None => name.clone(),
        });
    }
    Ok(plain.write_to_bytes()?)
}
