//! Tensors in NumPy's format.

use std::io::{BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use npyz::{NpyFile, Order, WriterBuilder};
use skipgate_core::Manifest;

/// A row-major tensor with one image per entry of the first dimension, of which there is at least one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    /// The tensor of `shape`, outermost dimension first, with these values.
    pub(crate) fn new(shape: Vec<usize>, values: Vec<f32>) -> Result<Self> {
        let elements: usize = shape.iter().product();
        ensure!(
            elements > 0 && elements == values.len(),
            "{} values do not make a tensor of shape {shape:?}",
            values.len()
        );
        Ok(Self { shape, values })
    }

    /// Numbers from -1 to 1 for a network to run on; how long it takes does not depend on them.
    pub(crate) fn pattern(manifest: &Manifest, images: usize) -> Result<Self> {
        let mut shape = manifest.image()?.shape.clone();
        shape[0] = images;
        let values = (0..shape.iter().product()).map(|index: usize| (index * 37 % 255) as f32 / 127.0 - 1.0);
        Self::new(shape.clone(), values.collect())
    }

    /// Extents, outermost dimension first.
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values of one image after the other.
    pub(super) fn images(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.image_size())
    }

    /// Some of the images.
    pub(super) fn rows(&self, rows: Range<usize>) -> Result<Self> {
        let size = self.image_size();
        let values = self.values.get(rows.start * size..rows.end * size);
        let values = values.with_context(|| format!("{:?} has no images {rows:?}", self.shape))?.to_vec();
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        Self::new(shape, values)
    }

    /// Writes a `.npy` file of little-endian float32.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let shape: Vec<_> = self.shape.iter().map(|&extent| extent as u64).collect();
        let mut file = BufWriter::new(fs_err::File::create(path)?);
        let mut writer =
            npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut file).begin_nd()?;
        writer.extend(&self.values)?;
        writer.finish()?;
        Ok(file.flush()?)
    }

    /// Reads a `.npy` file of little-endian float32 in row-major order.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let context = || format!("cannot read {} as a float32 .npy file", path.display());
        let file = NpyFile::new(BufReader::new(fs_err::File::open(path)?)).with_context(context)?;
        ensure!(file.order() == Order::C, "{} is not in row-major order", path.display());
        let shape = file.shape().iter().map(|&extent| usize::try_from(extent)).collect::<Result<_, _>>()?;
        Self::new(shape, file.into_vec().with_context(context)?).with_context(context)
    }

    fn image_size(&self) -> usize {
        self.values.len() / self.shape[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor() -> Tensor {
        Tensor::new(vec![3, 2], vec![0.0, 1.5, -2.0, f32::MAX, 4.0, 5.0]).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        tensor().write(&path).unwrap();
        assert_eq!(Tensor::read(&path).unwrap(), tensor());
    }

    #[test]
    fn a_truncated_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        tensor().write(&path).unwrap();
        let bytes = fs_err::read(&path).unwrap();
        fs_err::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = Tensor::read(&path).unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("x.npy"), "{error}");
    }

    #[test]
    fn rows_are_images() {
        let rows = tensor().rows(1..3).unwrap();
        assert_eq!((rows.shape(), rows.images().next().unwrap()), (&[2, 2][..], &[-2.0, f32::MAX][..]));
        tensor().rows(2..4).unwrap_err();
    }

    #[test]
    fn a_shape_that_does_not_fit_is_refused() {
        Tensor::new(vec![2, 2], vec![0.0; 3]).unwrap_err();
        Tensor::new(vec![0, 2], vec![]).unwrap_err();
    }
}
