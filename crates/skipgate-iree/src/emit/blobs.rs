//! Tensors as MLIR attributes.

use std::fmt::Write as _;

use skipgate_onnx::element_type::BOOL;
use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::tensor_bytes;

use super::types;
use crate::ImportError;

/// The blobs of all constants, written behind the module as its dialect resources.
#[derive(Default)]
pub(super) struct Blobs {
    /// `key: "0x..."` entries.
    entries: Vec<String>,
}

impl Blobs {
    /// `tensor` as an attribute. Its bytes go to a blob; booleans and empty tensors, which have no blob form, are
    /// spelt out.
    pub(super) fn literal(&mut self, tensor: &TensorProto) -> Result<String, ImportError> {
        let ty = types::tensor(&tensor.name, &tensor.dims, tensor.data_type)?;
        let bytes = tensor_bytes(tensor)?;
        if bytes.is_empty() {
            return Ok(format!("dense<> : {ty}"));
        }
        if tensor.data_type == BOOL {
            return Ok(format!("dense<\"0x{}\"> : {ty}", packed_bits(&bytes)));
        }
        Ok(self.blob(&bytes, &ty))
    }

    /// Floats as an attribute, of which there is at least one.
    pub(super) fn floats(&mut self, values: &[f32], shape: &[usize]) -> String {
        let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.blob(&bytes, &types::builtin(shape.iter().copied()))
    }

    fn blob(&mut self, bytes: &[u8], ty: &str) -> String {
        let key = format!("c{}", self.entries.len());
        // The blob starts with its alignment as a little-endian 32-bit number.
        self.entries.push(format!("{key}: \"0x08000000{}\"", hex::encode_upper(bytes)));
        format!("dense_resource<{key}> : {ty}")
    }

    /// Appends the resource section.
    pub(super) fn write(self, text: &mut String) {
        if self.entries.is_empty() {
            return;
        }
        text.push_str("{-#\n  dialect_resources: {\n    builtin: {\n");
        let last = self.entries.len() - 1;
        for (index, entry) in self.entries.into_iter().enumerate() {
            let _ = writeln!(text, "      {entry}{}", if index == last { "" } else { "," });
        }
        text.push_str("    }\n  }\n#-}\n");
    }
}

/// MLIR stores dense booleans as bits, the first element in the lowest bit; a splat of all-true is `FF`.
fn packed_bits(bytes: &[u8]) -> String {
    if bytes.iter().all(|&byte| byte != 0) {
        return "FF".to_owned();
    }
    let pack =
        |chunk: &[u8]| chunk.iter().enumerate().fold(0, |bits, (i, &byte)| bits | u8::from(byte != 0) << i);
    hex::encode_upper(bytes.chunks(8).map(pack).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_starts_with_its_alignment() {
        let mut blobs = Blobs::default();
        assert_eq!(blobs.floats(&[1.0], &[1]), "dense_resource<c0> : tensor<1xf32>");
        let mut text = String::new();
        blobs.write(&mut text);
        assert!(text.contains(r#"c0: "0x080000000000803F""#), "{text}");
    }

    #[test]
    fn booleans_are_packed_into_bits() {
        assert_eq!(packed_bits(&[1, 0, 1, 0, 0, 0, 0, 0, 1]), "0501");
        assert_eq!(packed_bits(&[1, 1, 1]), "FF");
    }
}
