//! Raw tensors in NumPy's .npy files.

use std::io::{self, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use npyz::{NpyHeader, Order, WriterBuilder as _};

/// float32 as .npy files name it.
const ELEMENT: &str = "'<f4'";

/// A float32 tensor in row-major order.
pub(crate) struct Tensor {
    pub(crate) shape: Vec<u64>,
    pub(crate) values: Vec<f32>,
}

/// Reads a .npy file of little-endian float32 in row-major order.
pub(crate) fn read(path: &Path) -> Result<Tensor> {
    let mut file = BufReader::new(fs::File::open(path)?);
    let header = NpyHeader::from_reader(&mut file)
        .with_context(|| format!("{} is not a .npy file", path.display()))?;
    if header.order() == Order::Fortran {
        bail!("{}: expected row-major (C) order, found column-major (Fortran) order", path.display());
    }
    let (shape, dtype) = (header.shape().to_vec(), header.dtype().descr());
    if dtype != ELEMENT {
        bail!("{}: expected elements of type {ELEMENT} (float32), found {dtype}", path.display());
    }
    // All at once, since one by one takes longer than some networks. The file's size decides how much memory is taken,
    // not a header that may be damaged.
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let expected = shape.iter().try_fold(4u64, |product, extent| product.checked_mul(*extent));
    let Some(bytes) = expected.and_then(|length| bytes.get(..usize::try_from(length).ok()?)) else {
        bail!("{} is truncated: its header says {shape:?}", path.display());
    };
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(Tensor { shape, values })
}

/// Writes a .npy file, through a temporary file beside it so that it is whole or not there.
pub(crate) fn write(path: &Path, tensor: &Tensor) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = || format!("cannot write {}", path.display());
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(parent)
        .with_context(context)?;
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&tensor.shape)
        .writer(io::BufWriter::new(file.as_file_mut()))
        .begin_nd()
        .with_context(context)?;
    writer.extend(tensor.values.iter()).with_context(context)?;
    writer.finish().with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write(&path, &Tensor { shape: vec![2, 3], values: vec![0.0, 1.5, -2.0, 3.0, 4.0, f32::MAX] })
            .unwrap();
        let tensor = read(&path).unwrap();
        assert_eq!((tensor.shape, tensor.values.len()), (vec![2, 3], 6));
    }

    #[test]
    fn a_truncated_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write(&path, &Tensor { shape: vec![4], values: vec![1.0; 4] }).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = read(&path).err().unwrap().to_string();
        assert!(error.ends_with("x.npy is truncated: its header says [4]"), "{error}");
    }

    #[test]
    fn other_element_types_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let mut bytes = Vec::new();
        let mut writer =
            npyz::WriteOptions::new().default_dtype().shape(&[1]).writer(&mut bytes).begin_nd().unwrap();
        writer.push(&1.0f64).unwrap();
        writer.finish().unwrap();
        fs::write(&path, bytes).unwrap();
        let error = read(&path).err().unwrap().to_string();
        assert!(error.contains("expected elements of type '<f4' (float32), found '<f8'"), "{error}");
    }
}
