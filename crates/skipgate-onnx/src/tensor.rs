//! Elements of a `TensorProto`, wherever the file keeps them.

use std::borrow::Cow;

use crate::proto::TensorProto;
use crate::proto::tensor_proto::DataLocation;

use crate::error::{Error, TensorProblem};

/// ONNX `TensorProto.DataType` numbers that the rewriter tells apart.
pub mod element_type {
    /// 32-bit float.
    pub const FLOAT: i32 = 1;
    /// 8-bit unsigned integer.
    pub const UINT8: i32 = 2;
    /// 8-bit signed integer.
    pub const INT8: i32 = 3;
    /// 16-bit unsigned integer.
    pub const UINT16: i32 = 4;
    /// 16-bit signed integer.
    pub const INT16: i32 = 5;
    /// 32-bit signed integer.
    pub const INT32: i32 = 6;
    /// 64-bit signed integer.
    pub const INT64: i32 = 7;
    /// Text; has no fixed-size elements.
    pub const STRING: i32 = 8;
    /// One byte, 0 or 1.
    pub const BOOL: i32 = 9;
    /// 16-bit float.
    pub const FLOAT16: i32 = 10;
    /// 64-bit float.
    pub const DOUBLE: i32 = 11;
    /// 32-bit unsigned integer.
    pub const UINT32: i32 = 12;
    /// 64-bit unsigned integer.
    pub const UINT64: i32 = 13;
    /// 16-bit float with the exponent of a 32-bit one.
    pub const BFLOAT16: i32 = 16;
}
use element_type::{BOOL, FLOAT, INT8, INT16, INT32, INT64, UINT8, UINT16};

/// Bits per element of an ONNX element type; `None` for strings and types newer than this crate.
fn bits(element_type: i32) -> Option<usize> {
    Some(match element_type {
        UINT8 | INT8 | BOOL | 17..=20 | 24 => 8,
        UINT16 | INT16 | element_type::FLOAT16 | element_type::BFLOAT16 => 16,
        FLOAT | INT32 | 12 => 32,
        INT64 | element_type::DOUBLE | 13 | 14 => 64,
        15 => 128,
        21..=23 => 4,
        25 | 26 => 2,
        _ => return None,
    })
}

/// Most dimensions a tensor can have. No operator has a use for more, and some take quadratic time in them.
pub(crate) const MAX_RANK: usize = 64;

/// Number of elements of `tensor`, checked against the address space.
pub(crate) fn element_count(tensor: &TensorProto) -> Result<usize, Error> {
    let found = tensor.dims.len();
    if found > MAX_RANK {
        return Err(TensorProblem::Rank { found }.of(&tensor.name));
    }
    let too_large = || TensorProblem::TooLarge { dims: tensor.dims.clone() }.of(&tensor.name);
    tensor.dims.iter().enumerate().try_fold(1usize, |product, (index, &found)| {
        if found < 0 {
            return Err(TensorProblem::NegativeDimension { index, found }.of(&tensor.name));
        }
        usize::try_from(found).ok().and_then(|dim| product.checked_mul(dim)).ok_or_else(too_large)
    })
}

/// Size of the elements of `tensor` in bytes; types below eight bits are packed.
pub(crate) fn byte_count(tensor: &TensorProto) -> Result<usize, Error> {
    let found = tensor.data_type;
    let bits = bits(found).ok_or_else(|| TensorProblem::ElementType { found }.of(&tensor.name))?;
    let elements = element_count(tensor)?;
    elements
        .checked_mul(bits)
        .map(|total| total.div_ceil(8))
        .ok_or_else(|| TensorProblem::TooLarge { dims: tensor.dims.clone() }.of(&tensor.name))
}

/// The elements of `tensor` as little-endian bytes in row-major order, whichever field holds them. Element types
/// below eight bits are packed, first element lowest, as in `raw_data` (ONNX specification, `TensorProto`).
///
/// Errors: strings and unknown element types, negative or overflowing shapes, more or less data than the shape
/// takes, data that is still in an external file.
pub fn tensor_bytes(tensor: &TensorProto) -> Result<Cow<'_, [u8]>, Error> {
    let expected = byte_count(tensor)?;
    if is_external(tensor) {
        return Err(TensorProblem::ExternalWithoutFolder.of(&tensor.name));
    }
    let (bytes, unit) = if tensor.raw_data.is_empty() {
        (Cow::Owned(typed_bytes(tensor, expected)), "elements")
    } else {
        (Cow::Borrowed(tensor.raw_data.as_slice()), "bytes")
    };
    if bytes.len() == expected {
        return Ok(bytes);
    }
    // In typed fields the file counts elements; the reader of the message should too.
    let per_element = if unit == "bytes" { 1 } else { bits(tensor.data_type).map_or(1, |b| b.div_ceil(8)) };
    let (expected, found) = (expected / per_element, bytes.len() / per_element);
    Err(TensorProblem::Length { expected, found, unit }.of(&tensor.name))
}

/// Whether the data is in another file.
pub(crate) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location.enum_value() == Ok(DataLocation::EXTERNAL)
}

/// Little-endian bytes of the typed field that the element type belongs into.
fn typed_bytes(tensor: &TensorProto, capacity_hint: usize) -> Vec<u8> {
    fn collect<const N: usize>(hint: usize, values: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(hint.min(values.len() * N));
        bytes.extend(values.flatten());
        bytes
    }
    let narrow = tensor.int32_data.iter();
    match tensor.data_type {
        FLOAT | 14 => collect(capacity_hint, tensor.float_data.iter().map(|v| v.to_le_bytes())),
        element_type::DOUBLE | 15 => {
            collect(capacity_hint, tensor.double_data.iter().map(|v| v.to_le_bytes()))
        }
        INT64 => collect(capacity_hint, tensor.int64_data.iter().map(|v| v.to_le_bytes())),
        13 => collect(capacity_hint, tensor.uint64_data.iter().map(|v| v.to_le_bytes())),
        12 => collect(capacity_hint, tensor.uint64_data.iter().map(|v| low_bytes::<4>(&v.to_le_bytes()))),
        INT32 => collect(capacity_hint, narrow.map(|v| v.to_le_bytes())),
        other if bits(other) == Some(16) => {
            collect(capacity_hint, narrow.map(|v| low_bytes::<2>(&v.to_le_bytes())))
        }
        _ => collect(capacity_hint, narrow.map(|v| low_bytes::<1>(&v.to_le_bytes()))),
    }
}

/// The first `N` of `bytes`, which are at least as many.
fn low_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// The elements of a 32-bit float tensor; `None` for other element types.
pub(crate) fn floats(tensor: &TensorProto) -> Result<Option<Vec<f32>>, Error> {
    if tensor.data_type != FLOAT {
        return Ok(None);
    }
    let bytes = tensor_bytes(tensor)?;
    Ok(Some(bytes.chunks_exact(4).map(|b| f32::from_le_bytes(low_bytes(b))).collect()))
}

/// The elements of a tensor of 32-bit or 16-bit floats; `None` for other element types.
pub(crate) fn small_floats(tensor: &TensorProto) -> Result<Option<Vec<f32>>, Error> {
    if tensor.data_type != element_type::FLOAT16 {
        return floats(tensor);
    }
    let bytes = tensor_bytes(tensor)?;
    Ok(Some(bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes(low_bytes(b)).to_f32()).collect()))
}

/// The elements of a tensor of booleans or of integers of 8 to 64 bits, but unsigned ones of up to 16; `None` for other
/// element types.
pub(crate) fn integers(tensor: &TensorProto) -> Result<Option<Vec<i64>>, Error> {
    let bytes = match tensor.data_type {
        BOOL | INT8 | INT16 | INT32 | INT64 | UINT8 | UINT16 => tensor_bytes(tensor)?,
        _ => return Ok(None),
    };
    let pairs = || bytes.chunks_exact(2).map(low_bytes);
    Ok(Some(match tensor.data_type {
        BOOL => bytes.iter().map(|&b| i64::from(b != 0)).collect(),
        INT8 => bytes.iter().map(|&b| i64::from(i8::from_le_bytes([b]))).collect(),
        UINT8 => bytes.iter().map(|&b| i64::from(b)).collect(),
        INT16 => pairs().map(|b| i64::from(i16::from_le_bytes(b))).collect(),
        UINT16 => pairs().map(|b| i64::from(u16::from_le_bytes(b))).collect(),
        INT32 => bytes.chunks_exact(4).map(|b| i32::from_le_bytes(low_bytes(b)).into()).collect(),
        _ => bytes.chunks_exact(8).map(|b| i64::from_le_bytes(low_bytes(b))).collect(),
    }))
}

/// A tensor that keeps `values` as raw bytes.
pub(crate) fn from_floats(name: String, dims: Vec<i64>, values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto { name, dims, data_type: FLOAT, raw_data, ..TensorProto::default() }
}

/// A list of 64-bit integers.
pub(crate) fn from_integers(name: String, values: &[i64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    // A list in memory has fewer elements than that.
    let dims = vec![i64::try_from(values.len()).unwrap_or(i64::MAX)];
    TensorProto { name, dims, data_type: INT64, raw_data, ..TensorProto::default() }
}

/// A tensor of booleans or of signed integers of 32 or 64 bits, without a name; `None` for other element types and for
/// values that do not fit.
pub(crate) fn of_integers(data_type: i32, shape: &[usize], values: &[i64]) -> Option<TensorProto> {
    let dims = shape.iter().map(|&dim| i64::try_from(dim).ok()).collect::<Option<Vec<_>>>()?;
    let bytes = |&value: &i64| match data_type {
        BOOL => Some(vec![u8::from(value != 0)]),
        INT32 => Some(i32::try_from(value).ok()?.to_le_bytes().into()),
        INT64 => Some(value.to_le_bytes().into()),
        _ => None,
    };
    let raw_data = values.iter().map(bytes).collect::<Option<Vec<_>>>()?.concat();
    Some(TensorProto { dims, data_type, raw_data, ..TensorProto::default() })
}

/// A scalar 64-bit integer.
pub(crate) fn from_integer(name: String, value: i64) -> TensorProto {
    TensorProto { name, data_type: INT64, raw_data: value.to_le_bytes().into(), ..TensorProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data_type: i32, dims: &[i64]) -> TensorProto {
        TensorProto { name: "t".into(), data_type, dims: dims.into(), ..TensorProto::default() }
    }

    fn message(tensor: &TensorProto) -> String {
        tensor_bytes(tensor).unwrap_err().to_string()
    }

    #[test]
    fn every_typed_field_gives_little_endian_bytes() {
        let mut float = tensor(FLOAT, &[2]);
        float.float_data = vec![1.0, -2.0];
        assert_eq!(*tensor_bytes(&float).unwrap(), [1.0f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat());
        let mut half = tensor(element_type::FLOAT16, &[1]);
        half.int32_data = vec![0x3c00];
        assert_eq!(*tensor_bytes(&half).unwrap(), [0x00, 0x3c]);
        let mut unsigned = tensor(12, &[1]);
        unsigned.uint64_data = vec![0xffff_fffe];
        assert_eq!(*tensor_bytes(&unsigned).unwrap(), 0xffff_fffeu32.to_le_bytes());
        let mut boolean = tensor(BOOL, &[3]);
        boolean.int32_data = vec![1, 0, 1];
        assert_eq!(*tensor_bytes(&boolean).unwrap(), [1, 0, 1]);
        let mut nibbles = tensor(22, &[3]);
        nibbles.int32_data = vec![0x21, 0x03];
        assert_eq!(*tensor_bytes(&nibbles).unwrap(), [0x21, 0x03]);
        assert_eq!(integers(&from_integer("i".into(), -7)).unwrap().unwrap(), [-7]);
    }

    #[test]
    fn data_that_does_not_fill_the_shape_is_refused() {
        let mut short = tensor(FLOAT, &[2, 2]);
        short.raw_data = vec![0; 12];
        assert_eq!(message(&short), "tensor `t`: its shape takes 16 bytes, found 12");
        let mut long = tensor(INT64, &[1]);
        long.int64_data = vec![1, 2];
        assert_eq!(message(&long), "tensor `t`: its shape takes 1 elements, found 2");
    }

    #[test]
    fn shapes_that_no_memory_holds_are_refused() {
        assert!(message(&tensor(FLOAT, &[i64::MAX, 2])).contains("too large"));
        assert!(message(&tensor(15, &[1 << 60])).contains("too large"));
        assert!(message(&tensor(FLOAT, &[3, -1])).contains("dimension 1 is -1"));
        assert!(message(&tensor(element_type::STRING, &[1])).contains("element type 8"));
    }
}
