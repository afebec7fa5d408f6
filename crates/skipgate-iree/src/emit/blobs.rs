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
            return Ok(format!("dense<{}> : {ty}", spelt_out(&bytes, &tensor.dims)));
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

/// Booleans of shape `dims` as nested lists of words: how many bits or bytes MLIR keeps for one has changed before.
fn spelt_out(bytes: &[u8], dims: &[i64]) -> String {
    let Some((_, inner)) = dims.split_first() else {
        return if bytes.iter().any(|byte| *byte != 0) { "true" } else { "false" }.to_owned();
    };
    let size = inner.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).product::<usize>().max(1);
    let parts: Vec<_> = bytes.chunks(size).map(|part| spelt_out(part, inner)).collect();
    format!("[{}]", parts.join(", "))
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
    fn booleans_are_spelt_out() {
        assert_eq!(spelt_out(&[1], &[]), "true");
        assert_eq!(spelt_out(&[1, 0, 2], &[3]), "[true, false, true]");
        assert_eq!(spelt_out(&[1, 0, 0, 0], &[2, 1, 2]), "[[[true, false]], [[false, false]]]");
    }
}
