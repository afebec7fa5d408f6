//! Types and names in MLIR's text form.

use skipgate_onnx::TensorType;

use crate::ImportError;
use crate::plan::{CHANNELS_FIRST, Frame};

/// The MLIR element type of ONNX's `TensorProto.DataType` number `element_type`. Torch types carry signs.
pub(super) fn element(value: &str, element_type: i32) -> Result<&'static str, ImportError> {
    Ok(match element_type {
        1 => "f32",
        2 => "ui8",
        3 => "si8",
        4 => "ui16",
        5 => "si16",
        6 => "si32",
        7 => "si64",
        9 => "i1",
        10 => "f16",
        11 => "f64",
        12 => "ui32",
        13 => "ui64",
        16 => "bf16",
        _ => return Err(ImportError::ElementType { value: value.to_owned(), element_type }),
    })
}

/// `!torch.vtensor<[1,3,32,32],f32>`; an unknown extent is `?`.
pub(super) fn vtensor(value: &str, ty: &TensorType) -> Result<String, ImportError> {
    let extents: Vec<_> =
        ty.shape.iter().map(|extent| extent.map_or_else(|| "?".to_owned(), |n| n.to_string())).collect();
    Ok(format!("!torch.vtensor<[{}],{}>", extents.join(","), element(value, ty.element_type)?))
}

/// `tensor<16x3x3x3xf32>`, the type of an attribute.
pub(super) fn tensor(value: &str, dims: &[i64], element_type: i32) -> Result<String, ImportError> {
    let extents = dims.iter().map(ToString::to_string);
    let parts: Vec<_> = extents.chain([element(value, element_type)?.to_owned()]).collect();
    Ok(format!("tensor<{}>", parts.join("x")))
}

/// `tensor<16x32xf32>`, the type of a builtin tensor of floats.
pub(super) fn builtin(shape: impl Iterator<Item = usize>) -> String {
    let extents: Vec<_> = shape.map(|extent| extent.to_string()).collect();
    format!("tensor<{}xf32>", extents.join("x"))
}

/// Type of the value in `frame`.
pub(super) fn inner(frame: &Frame) -> String {
    builtin(frame.inner().iter().copied())
}

/// Type of `frame`.
pub(super) fn outer(frame: &Frame) -> String {
    builtin(frame.outer().into_iter())
}

/// Type of the value in `frame`, an image, with its channels first.
pub(super) fn planar(frame: &Frame) -> String {
    builtin(CHANNELS_FIRST.iter().map(|&axis| frame.inner()[axis]))
}

/// Where the value is in `frame`: offsets, sizes and strides.
pub(super) fn place(frame: &Frame) -> String {
    let strides = vec![1; frame.inner().len()];
    [frame.low(), frame.inner(), &strides].map(|numbers| format!("{numbers:?}")).concat()
}

/// A string literal. MLIR escapes quotes, backslashes and everything outside printable ASCII as two hex digits.
pub(super) fn quoted(text: &str) -> String {
    let escaped = |byte| match byte {
        b' '..=b'~' if !matches!(byte, b'"' | b'\\') => char::from(byte).to_string(),
        _ => format!("\\{byte:02X}"),
    };
    let characters: Vec<_> = text.bytes().map(escaped).collect();
    format!("\"{}\"", characters.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_escaped() {
        assert_eq!(quoted("a\"b\\c\nü"), r#""a\22b\5Cc\0A\C3\BC""#);
    }

    /// What MLIR's reader makes of a literal; `None` unless all of `text` is one.
    fn unquoted(text: &str) -> Option<Vec<u8>> {
        let mut bytes = text.strip_prefix('"')?.strip_suffix('"')?.bytes();
        let mut read = Vec::new();
        while let Some(byte) = bytes.next() {
            read.push(match byte {
                b'\\' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                b'"' | b'\n' => return None,
                byte => byte,
            });
        }
        Some(read)
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_one_literal(text in "(?s).*") {
            proptest::prop_assert_eq!(unquoted(&quoted(&text)).unwrap(), text.into_bytes());
        }
    }

    #[test]
    fn an_unknown_extent_is_a_question_mark() {
        let ty = TensorType { element_type: 1, shape: vec![None, Some(3)] };
        assert_eq!(vtensor("x", &ty).unwrap(), "!torch.vtensor<[?,3],f32>");
    }

    #[test]
    fn a_string_tensor_has_no_mlir_form() {
        let error = element("labels", 8).unwrap_err();
        assert_eq!(error.to_string(), "`labels` has ONNX element type 8, which cannot be compiled");
    }
}
