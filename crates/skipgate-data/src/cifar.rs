//! The binary files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009).
//!
//! Every record is one or two label bytes (CIFAR-100: the coarse class, then the fine one, which is used here) followed
//! by the red, green and blue planes of an image of 32 x 32 pixels, row by row.

use std::path::{Path, PathBuf};

use image::{DynamicImage, RgbImage};
use skipgate_core::file;

use crate::dataset::Images;
use crate::preprocess::Input;
use crate::{DataError, Part};

const SIDE: u32 = 32;
const PLANE: usize = 32 * 32;
/// Most bytes of a file; the largest one of those that are published has 154 million.
const MOST_BYTES: u64 = 1 << 30;

/// Names of the files, and the number of label bytes, of which the last is the class.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The folder in the archive.
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static [&'static str],
    label_bytes: usize,
}

const LAYOUTS: [Layout; 2] = [
    Layout {
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: &["test_batch.bin"],
        label_bytes: 1,
    },
    Layout { folder: "cifar-100-binary", train: &["train.bin"], test: &["test.bin"], label_bytes: 2 },
];

impl Layout {
    /// The layout of the files in `path` or in the archive's folder in it, if they are CIFAR's.
    pub(crate) fn recognise(path: &Path) -> Option<&'static Self> {
        LAYOUTS.iter().find(|layout| {
            let folder = layout.folder(path);
            layout.test.iter().chain(layout.train).any(|name| folder.join(name).is_file())
        })
    }

    fn folder(&self, path: &Path) -> PathBuf {
        let inner = path.join(self.folder);
        if inner.is_dir() { inner } else { path.to_owned() }
    }

    /// Reads a part of the data set.
    pub(crate) fn read(&self, path: &Path, part: Part, input: &Input) -> Result<Images, DataError> {
        let names = match part {
            Part::Train => self.train,
            Part::Test => self.test,
        };
        let mut images = Images::default();
        for name in names {
            self.read_file(&self.folder(path).join(name), input, &mut images)?;
        }
        Ok(images)
    }

    fn read_file(&self, path: &Path, input: &Input, images: &mut Images) -> Result<(), DataError> {
        let record = self.label_bytes + 3 * PLANE;
        let bytes = file::read(path, MOST_BYTES)?;
        if bytes.is_empty() || bytes.len() % record != 0 {
            return Err(DataError::File {
                path: path.to_owned(),
                expected: format!("records of {record} bytes"),
                found: format!("a file of {} bytes", bytes.len()),
            });
        }
        for record in bytes.chunks_exact(record) {
            let (label, planes) = record.split_at(self.label_bytes);
            images.labels.push(u32::from(label[self.label_bytes - 1]));
            let image = RgbImage::from_fn(SIDE, SIDE, |x, y| {
                let pixel = (y * SIDE + x) as usize;
                image::Rgb([planes[pixel], planes[PLANE + pixel], planes[2 * PLANE + pixel]])
            });
            let fitted = input.fit(DynamicImage::from(image));
            images
                .pixels
                .extend(fitted.map_err(|source| DataError::Misfit { path: path.to_owned(), source })?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;
    use skipgate_core::Resize;

    use super::*;
    use crate::preprocess::tests::manifest;

    /// One image whose planes are of one value each.
    fn record(labels: &[u8], rgb: [u8; 3]) -> Vec<u8> {
        labels.iter().copied().chain(rgb.iter().flat_map(|value| [*value; PLANE])).collect()
    }

    fn read(path: &Path, part: Part) -> Result<Images, DataError> {
        let input = Input::of(&manifest(32, 32, Resize::Exact)).unwrap();
        Layout::recognise(path).expect("it is CIFAR").read(path, part, &input)
    }

    #[test]
    fn planes_become_pixels() {
        let dir = tempfile::tempdir().unwrap();
        let batches = dir.path().join("cifar-10-batches-bin");
        fs::create_dir(&batches).unwrap();
        let two = [record(&[3], [1, 2, 3]), record(&[9], [4, 5, 6])].concat();
        fs::write(batches.join("test_batch.bin"), two).unwrap();
        for path in [dir.path(), &batches] {
            let images = read(path, Part::Test).unwrap();
            assert_eq!(images.labels, [3, 9]);
            assert_eq!(images.pixels[..6], [1, 2, 3, 1, 2, 3]);
            assert_eq!(images.pixels[3 * PLANE..][..3], [4, 5, 6]);
        }
        assert!(read(dir.path(), Part::Train).unwrap_err().to_string().contains("data_batch_1.bin"));
    }

    #[test]
    fn the_fine_class_of_cifar_100_counts() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("train.bin"), record(&[11, 77], [0; 3])).unwrap();
        assert_eq!(read(dir.path(), Part::Train).unwrap().labels, [77]);
    }

    #[test]
    fn a_truncated_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let whole = record(&[3], [1, 2, 3]);
        for length in [0, 1, 3072, 3072 + 2] {
            let bytes: Vec<_> = whole.iter().cycle().take(length).copied().collect();
            fs::write(dir.path().join("test_batch.bin"), bytes).unwrap();
            let error = read(dir.path(), Part::Test).unwrap_err().to_string();
            let expected = format!("expected records of 3073 bytes, found a file of {length} bytes");
            assert!(error.contains("test_batch.bin") && error.ends_with(&expected), "{error}");
        }
    }
}
