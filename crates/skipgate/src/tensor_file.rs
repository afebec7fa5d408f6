//! Raw tensors in NumPy's .npy files.

use std::io::{self, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use npyz::{NpyFile, Order, WriterBuilder as _};

/// A float32 tensor in row-major order.
pub(crate) struct Tensor {
    pub(crate) shape: Vec<u64>,
    pub(crate) values: Vec<f32>,
}

/// Reads a .npy file of little-endian float32 in row-major order.
pub(crate) fn read(path: &Path) -> Result<Tensor> {
    let file = NpyFile::new(BufReader::new(fs::File::open(path)?))
        .with_context(|| format!("{} is not a .npy file", path.display()))?;
    if file.order() == Order::Fortran {
        bail!("{}: expected row-major (C) order, found column-major (Fortran) order", path.display());
    }
    let (shape, dtype) = (file.shape().to_vec(), file.dtype().descr());
    let wrong = || format!("{}: expected elements of type '<f4' (float32), found {dtype}", path.display());
    let values = file.data::<f32>().map_err(|_| anyhow::anyhow!(wrong()))?;
    // Collected one by one: a damaged header must not decide how much memory is taken.
    let values = values
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("{} is truncated: its header says {shape:?}", path.display()))?;
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
