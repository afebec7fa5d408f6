//! Tensors in NumPy's files: one in a .npy file, several by name in a .npz file.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use half::f16;
use npyz::{AutoSerialize, NpyHeader, Order, WriterBuilder as _};
use skipgate_core::{ElementType, Values, file};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{DataError, panics};

/// A tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Extent of every dimension, outermost first.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Values,
}

/// Most bytes of an array. A few bytes of an archive, or none of a file with holes, can stand for any number of zeros.
pub const MOST_BYTES: u64 = 1 << 32;
/// Most bytes of an array's header, which are NumPy's own.
pub const MOST_HEADER_BYTES: usize = 10_000;
/// How deep brackets of a header may be nested: those of a structured type are. Each more doubles what parsing takes, or more.
const MOST_NESTED: usize = 4;
/// Bytes in front of the length of the header: the magic and the version.
const BEFORE_LENGTH: usize = 8;

/// What is wrong with an array: what was expected, and what was found.
type Misfit = (String, String);

/// Reads a .npy file with elements of `element_type`.
///
/// # Errors
///
/// When the file is no such file, or its elements are of another type or in column-major order.
pub fn read_npy(path: &Path, element_type: ElementType) -> Result<Tensor, DataError> {
    read_array(&mut BufReader::new(file::open(path)?), element_type, "")?
        .map_err(|misfit| in_file(path, misfit))
}

/// Reads the arrays of these names and types from a .npz file, in this order.
///
/// # Errors
///
/// When the file is no such file, an array is missing or is one too many, or its elements are of another type or in
/// column-major order.
pub fn read_npz(path: &Path, wanted: &[(&str, ElementType)]) -> Result<Vec<Tensor>, DataError> {
    let file = BufReader::new(file::open(path)?);
    let mut archive = ZipArchive::new(file).map_err(|error| not_npz(path, &error))?;
    if let Some(other) =
        archive.file_names().find(|file| !wanted.iter().any(|(name, _)| *file == entry(name)))
    {
        let expected = format!("no arrays but {}", names(wanted));
        return Err(in_file(path, (expected, format!("`{}`", other.strip_suffix(".npy").unwrap_or(other)))));
    }
    wanted.iter().map(|&(name, element_type)| read_entry(path, &mut archive, name, element_type)).collect()
}

fn read_entry<R: Read + Seek>(
    path: &Path,
    archive: &mut ZipArchive<R>,
    name: &str,
    element_type: ElementType,
) -> Result<Tensor, DataError> {
    let mut file = match archive.by_name(&entry(name)) {
        Ok(file) => file,
        Err(ZipError::FileNotFound) => {
            return Err(in_file(path, (format!("an array `{name}`"), "none of that name".to_owned())));
        }
        Err(error) => return Err(not_npz(path, &error)),
    };
    read_array(&mut file, element_type, &format!(" in `{name}`"))?.map_err(|misfit| in_file(path, misfit))
}

/// The name of an array's file in a .npz file.
fn entry(name: &str) -> String {
    format!("{name}.npy")
}

fn names(wanted: &[(&str, ElementType)]) -> String {
    let names: Vec<_> = wanted.iter().map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

fn in_file(path: &Path, (expected, found): Misfit) -> DataError {
    DataError::Tensor { path: path.to_owned(), expected, found }
}

fn not_npz(path: &Path, error: &ZipError) -> DataError {
    in_file(path, ("a .npz file".to_owned(), format!("something else ({error})")))
}

/// Reads one array; `place` completes messages.
fn read_array(
    reader: &mut impl Read,
    element_type: ElementType,
    place: &str,
) -> io::Result<Result<Tensor, Misfit>> {
    let header = match read_header(reader) {
        Ok(header) => header,
        Err(error) => {
            return Ok(Err((
                format!("an array in the .npy format{place}"),
                format!("something else ({error})"),
            )));
        }
    };
    if header.order() == Order::Fortran {
        let expected = format!("row-major (C) order{place}");
        return Ok(Err((expected, "column-major (Fortran) order".to_owned())));
    }
    let descriptor = header.dtype().descr();
    if descriptor.trim_matches('\'') != descriptor_of(element_type) {
        let expected = format!("elements of type {element_type} ('{}'){place}", descriptor_of(element_type));
        return Ok(Err((expected, descriptor)));
    }
    let shape: Option<Vec<_>> = header.shape().iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let length = header
        .shape()
        .iter()
        .try_fold(element_type.size() as u64, |bytes, &extent| bytes.checked_mul(extent));
    let (Some(shape), Some(length)) = (shape, length.filter(|length| *length <= MOST_BYTES)) else {
        let expected = format!("an array of at most {MOST_BYTES} bytes{place}");
        return Ok(Err((expected, format!("one of shape {:?}", header.shape()))));
    };
    // What the file holds decides how much memory is taken, not a header that may be damaged.
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        let expected = format!("{length} bytes of data for shape {shape:?}{place}");
        return Ok(Err((expected, format!("{}, the file is truncated", bytes.len()))));
    }
    Ok(Ok(Tensor { shape, values: values(element_type, &bytes) }))
}

/// Reads the header of an array, whose size and form are checked first: the parser trusts both.
fn read_header(reader: &mut impl Read) -> io::Result<NpyHeader> {
    let bad = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let mut bytes = vec![0; BEFORE_LENGTH];
    reader.read_exact(&mut bytes)?;
    // Version 1 has a length of two bytes, later ones have four.
    let length_bytes = if bytes[BEFORE_LENGTH - 2] == 1 { 2 } else { 4 };
    bytes.resize(BEFORE_LENGTH + length_bytes, 0);
    reader.read_exact(&mut bytes[BEFORE_LENGTH..])?;
    let length = bytes[BEFORE_LENGTH..].iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    if bytes.starts_with(b"\x93NUMPY") && length > MOST_HEADER_BYTES {
        return Err(bad(format!("a header of {length} bytes, the most are {MOST_HEADER_BYTES}")));
    }
    let text = bytes.len();
    reader.by_ref().take(length.min(MOST_HEADER_BYTES) as u64).read_to_end(&mut bytes)?;
    if nested(&bytes[text..]) > MOST_NESTED {
        return Err(bad(format!("a header with brackets in more than {MOST_NESTED} others")));
    }
    match panics::caught(|| NpyHeader::from_reader(bytes.as_slice())) {
        Ok(header) => header,
        Err(message) => Err(bad(message)),
    }
}

/// How deep brackets are nested at most. Those inside of strings count too, which no element type that is read here has.
fn nested(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// How .npy files name an element type.
fn descriptor_of(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::F32 => "<f4",
        ElementType::F16 => "<f2",
        ElementType::I8 => "|i1",
        ElementType::U8 => "|u1",
        ElementType::I32 => "<i4",
        ElementType::I64 => "<i8",
        ElementType::Bool => "|b1",
    }
}

/// The elements in little-endian `bytes`.
fn values(element_type: ElementType, bytes: &[u8]) -> Values {
    match element_type {
        ElementType::F32 => numbers(bytes, f32::from_le_bytes).into(),
        ElementType::F16 => numbers(bytes, f16::from_le_bytes).into(),
        ElementType::I8 => numbers(bytes, i8::from_le_bytes).into(),
        ElementType::U8 => bytes.to_vec().into(),
        ElementType::I32 => numbers(bytes, i32::from_le_bytes).into(),
        ElementType::I64 => numbers(bytes, i64::from_le_bytes).into(),
        ElementType::Bool => numbers(bytes, |[byte]| byte != 0).into(),
    }
}

fn numbers<T, const SIZE: usize>(bytes: &[u8], number: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    // An iterator of known length is collected without a check for each element, which a board's processor would feel.
    let element = |bytes: &[u8]| {
        let mut element = [0; SIZE];
        element.copy_from_slice(bytes);
        number(element)
    };
    bytes.chunks_exact(SIZE).map(element).collect()
}

/// Writes a .npy file, through a temporary file beside it so that it is whole or not there.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_npy(path: &Path, tensor: &Tensor) -> Result<(), DataError> {
    let written = file::write_whole_with(path, |file| {
        let mut writer = BufWriter::new(file);
        write_array(&mut writer, tensor)?;
        writer.flush()
    });
    Ok(written?)
}

/// Writes a .npz file with an array for each of `tensors`, through a temporary file beside it so that it is whole or not
/// there. Nothing is compressed.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_npz<'t>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'t str, &'t Tensor)>,
) -> Result<(), DataError> {
    let written = file::write_whole_with(path, |file| {
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        let mut archive = ZipWriter::new(BufWriter::new(file));
        for (name, tensor) in tensors {
            archive.start_file(entry(name), options)?;
            write_array(&mut archive, tensor)?;
        }
        archive.finish()?.flush()
    });
    Ok(written?)
}

fn write_array(writer: impl Write, Tensor { shape, values }: &Tensor) -> io::Result<()> {
    match values {
        Values::F32(elements) => write_elements(writer, shape, elements),
        Values::F16(elements) => write_elements(writer, shape, elements),
        Values::I8(elements) => write_elements(writer, shape, elements),
        Values::U8(elements) => write_elements(writer, shape, elements),
        Values::I32(elements) => write_elements(writer, shape, elements),
        Values::I64(elements) => write_elements(writer, shape, elements),
        Values::Bool(elements) => write_elements(writer, shape, elements),
    }
}

fn write_elements<T: AutoSerialize>(writer: impl Write, shape: &[usize], elements: &[T]) -> io::Result<()> {
    let shape: Vec<_> = shape.iter().map(|&extent| extent as u64).collect();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(writer).begin_nd()?;
    writer.extend(elements)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use fs_err as fs;

    use super::*;

    /// A tensor of every element type.
    fn one_of_each() -> Vec<(ElementType, Tensor)> {
        let all: [Values; 7] = [
            vec![0.0f32, -1.5, f32::MAX].into(),
            vec![f16::ONE, f16::from_f32(-2.5), f16::MAX].into(),
            vec![i8::MIN, 0, i8::MAX].into(),
            vec![0u8, 1, 255].into(),
            vec![i32::MIN, 0, i32::MAX].into(),
            vec![i64::MIN, 0, i64::MAX].into(),
            vec![true, false, true].into(),
        ];
        all.map(|values| (values.elements().element_type(), Tensor { shape: vec![3, 1], values })).into()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        for (element_type, tensor) in one_of_each() {
            write_npy(&path, &tensor).unwrap();
            assert_eq!(read_npy(&path, element_type).unwrap(), tensor);
        }
    }

    #[test]
    fn arrays_of_an_archive_are_read_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        let tensors = one_of_each();
        write_npz(&path, tensors.iter().map(|(ty, tensor)| (ty.name(), tensor))).unwrap();
        let wanted: Vec<_> = tensors.iter().rev().map(|(ty, _)| (ty.name(), *ty)).collect();
        let expected: Vec<_> = tensors.into_iter().rev().map(|(_, tensor)| tensor).collect();
        assert_eq!(read_npz(&path, &wanted).unwrap(), expected);
        let error = read_npz(&path, &wanted[..1]).unwrap_err().to_string();
        assert!(error.ends_with("x.npz: expected no arrays but `bool`, found `f32`"), "{error}");
        let more: Vec<_> = wanted.into_iter().chain([("more", ElementType::I8)]).collect();
        let error = read_npz(&path, &more).unwrap_err().to_string();
        assert!(error.ends_with("x.npz: expected an array `more`, found none of that name"), "{error}");
    }

    #[test]
    fn a_truncated_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write_npy(&path, &Tensor { shape: vec![4], values: vec![1.0f32; 4].into() }).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = read_npy(&path, ElementType::F32).unwrap_err().to_string();
        let expected = "x.npy: expected 16 bytes of data for shape [4], found 15, the file is truncated";
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn a_file_of_another_kind_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "something").unwrap();
        let error = read_npy(&path, ElementType::F32).unwrap_err().to_string();
        assert!(error.contains("expected an array in the .npy format, found something else"), "{error}");
        let error = read_npz(&path, &[]).unwrap_err().to_string();
        assert!(error.contains("expected a .npz file, found something else"), "{error}");
    }

    /// The error that a file with this header gives.
    fn error_of_header(version: u8, length: u32, text: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let length = &length.to_le_bytes()[..if version == 1 { 2 } else { 4 }];
        fs::write(file.path(), [b"\x93NUMPY", &[version, 0][..], length, text].concat()).unwrap();
        let start = Instant::now();
        let error = read_npy(file.path(), ElementType::F32).unwrap_err().to_string();
        // Hours without a bound, so that a slow machine does not matter.
        assert!(start.elapsed() < Duration::from_secs(60), "{error}");
        error
    }

    #[test]
    fn a_header_of_deep_brackets_is_refused_at_once() {
        let around = |open: &str, close: &str| {
            ["{'a':".to_owned(), open.repeat(1000), close.repeat(1000), "}".to_owned()]
        };
        for text in
            [around("(", ")"), around("[", "]"), around("{", "}"), around("{'a':", "}"), around("((", "")]
        {
            let text = text.concat();
            let error = error_of_header(1, u32::try_from(text.len()).unwrap(), text.as_bytes());
            assert!(error.contains("a header with brackets in more than 4 others"), "{error}");
        }
    }

    /// As much of what is slow to parse as a header may have.
    #[test]
    fn the_slowest_header_that_is_parsed_takes_little_time() {
        for piece in
            ["{{{{1}}}},", "[[[[1]]]],", "((((1,),),),),", "{1:{1:{1:{1:1}}}},", "1+1j-", "'a',", "--", "{1,"]
        {
            let text = piece.repeat(MOST_HEADER_BYTES / piece.len());
            let error = error_of_header(1, u32::try_from(text.len()).unwrap(), text.as_bytes());
            assert!(error.contains("expected an array in the .npy format"), "{error}");
        }
    }

    #[test]
    fn a_header_takes_no_more_memory_than_its_file_may_have() {
        for (version, length) in [(2, u32::MAX), (3, u32::MAX), (2, 10_001), (1, 65_535)] {
            let error = error_of_header(version, length, b"{'descr': '<f4'");
            assert!(error.ends_with("the most are 10000)"), "{error}");
        }
        let error = error_of_header(2, 10_000, b"{'descr': '<f4'");
        assert!(error.contains("expected an array in the .npy format"), "{error}");
    }

    #[test]
    fn a_file_of_holes_takes_no_memory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }\n";
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        fs::write(file.path(), [b"\x93NUMPY\x01\0", &length[..], header].concat()).unwrap();
        file.as_file().set_len(4 << 40).unwrap();
        let error = read_npy(file.path(), ElementType::F32).unwrap_err().to_string();
        assert!(
            error.contains("expected an array of at most 4294967296 bytes, found one of shape"),
            "{error}"
        );
    }

    #[test]
    fn other_element_types_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        file::write_whole_with(&path, |file| write_elements(file, &[1], &[1.0f64])).unwrap();
        let error = read_npy(&path, ElementType::F32).unwrap_err().to_string();
        assert!(error.ends_with("expected elements of type f32 ('<f4'), found '<f8'"), "{error}");
    }
}
