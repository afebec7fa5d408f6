//! The test split of the digits, in the IDX format of MNIST.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use skipgate_core::{Manifest, Preprocessing};

use super::tensor::Tensor;

/// Grey images of one size with their labels.
pub(super) struct Digits {
    images: Idx,
    labels: Idx,
}

impl Digits {
    /// Reads the test split in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let images = Idx::read(&dir.join("test-images-idx3-ubyte.gz"))?;
        let labels = Idx::read(&dir.join("test-labels-idx1-ubyte.gz"))?;
        ensure!(
            images.shape.len() == 3 && labels.shape == images.shape[..1],
            "images of shape {:?} do not fit labels of shape {:?} in {}",
            images.shape,
            labels.shape,
            dir.display()
        );
        Ok(Self { images, labels })
    }

    /// Number of images.
    pub(super) fn len(&self) -> usize {
        self.labels.data.len()
    }

    /// The class of every image.
    pub(super) fn labels(&self) -> &[u8] {
        &self.labels.data
    }

    /// The images as the network wants them, `[N, channels, height, width]`: grey in every channel, scaled to 0..1,
    /// minus the mean, divided by the deviation.
    pub(super) fn preprocess(&self, manifest: &Manifest) -> Result<Tensor> {
        let Some(Preprocessing { mean, std, .. }) = &manifest.preprocessing else {
            bail!("the manifest does not say how images become tensors");
        };
        let [_, channels, height, width] = manifest.image().shape[..] else {
            bail!("the network does not take images but a tensor of shape {:?}", manifest.image().shape);
        };
        ensure!(
            self.images.shape[1..] == [height, width],
            "the images are {:?}, the network takes {height}x{width}",
            &self.images.shape[1..]
        );
        let mut values = Vec::with_capacity(self.images.data.len() * channels);
        for image in self.images.data.chunks_exact(height * width) {
            for (mean, std) in mean.iter().zip(std) {
                values.extend(image.iter().map(|&pixel| (f32::from(pixel) / 255.0 - mean) / std));
            }
        }
        Tensor::new(vec![self.len(), channels, height, width], values)
    }
}

/// An array of bytes with its shape.
#[derive(Debug, PartialEq)]
struct Idx {
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Idx {
    /// Reads a gzipped file.
    fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        GzDecoder::new(fs_err::File::open(path)?)
            .read_to_end(&mut bytes)
            .map_err(Into::into)
            .and_then(|_| Self::parse(&bytes))
            .with_context(|| format!("{} is not a gzipped IDX file of bytes", path.display()))
    }

    /// The format: two zero bytes, the element type (8 = `u8`), the rank, every extent as big-endian `u32`, the data.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let ([0, 0, 8, rank], rest) = bytes.split_first_chunk().context("it is shorter than its header")?
        else {
            bail!("it starts with {:?}, not with 0, 0, 8 and the rank", &bytes[..4]);
        };
        let (extents, data) =
            rest.split_at_checked(4 * usize::from(*rank)).context("its shape is cut off")?;
        let extent = |bytes: &[u8]| bytes.iter().fold(0, |value, &byte| value << 8 | usize::from(byte));
        let shape: Vec<_> = extents.chunks_exact(4).map(extent).collect();
        let elements = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        ensure!(elements == Some(data.len()), "shape {shape:?} does not fit its {} bytes", data.len());
        Ok(Self { shape, data: data.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use skipgate_core::{Abi, ColorMode, ElementType, IreeVersion, Resize, Target, TensorSpec};

    use super::*;

    const TWO_BY_THREE: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 11, 12, 20, 21, 22];

    #[test]
    fn idx_has_shape_and_data() {
        let idx = Idx::parse(&TWO_BY_THREE).unwrap();
        assert_eq!(idx, Idx { shape: vec![2, 3], data: vec![10, 11, 12, 20, 21, 22] });
    }

    #[test]
    fn a_file_of_the_wrong_length_is_refused() {
        for length in 0..TWO_BY_THREE.len() {
            Idx::parse(&TWO_BY_THREE[..length]).unwrap_err();
        }
        Idx::parse(&[&TWO_BY_THREE[..], &[0]].concat()).unwrap_err();
    }

    #[test]
    fn other_element_types_are_refused() {
        let error = Idx::parse(&[0, 0, 13, 0]).unwrap_err().to_string();
        assert_eq!(error, "it starts with [0, 0, 13, 0], not with 0, 0, 8 and the rank");
    }

    #[test]
    fn extents_that_overflow_are_refused() {
        let header = [0, 0, 8, 2].into_iter().chain([255; 8]).chain([0; 5]).collect::<Vec<u8>>();
        Idx::parse(&header).unwrap_err();
    }

    #[test]
    fn the_committed_test_split_has_360_images() {
        let digits =
            Digits::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits")).unwrap();
        assert_eq!((digits.len(), &digits.images.shape[..]), (360, &[360, 32, 32][..]));
        assert!(digits.labels().iter().all(|label| *label < 10));
    }

    fn manifest(shape: &[usize]) -> Manifest {
        let tensor = |name: &str, shape: &[usize]| TensorSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            element_type: ElementType::F32,
        };
        Manifest {
            format_version: skipgate_core::FORMAT_VERSION,
            generator: String::new(),
            iree: IreeVersion { version: String::new(), revision: String::new() },
            target: Target::host().unwrap(),
            abi: Abi {
                entry_point: String::new(),
                specialised: vec![],
                inputs: vec![tensor("image", shape)],
                outputs: vec![tensor("logits", &[1, 10])],
            },
            gates: vec![],
            preprocessing: Some(Preprocessing {
                color: ColorMode::Rgb,
                resize: Resize::Exact,
                mean: vec![0.0, 0.5, 1.0],
                std: vec![1.0, 0.5, 2.0],
            }),
            class_names: vec![],
            model_sha256: String::new(),
            files: [].into(),
        }
    }

    #[test]
    fn grey_fills_every_channel_normalised_by_its_own_mean_and_deviation() {
        let digits = Digits {
            images: Idx { shape: vec![2, 1, 2], data: vec![0, 255, 255, 0] },
            labels: Idx { shape: vec![2], data: vec![3, 4] },
        };
        let tensor = digits.preprocess(&manifest(&[1, 3, 1, 2])).unwrap();
        let images: Vec<_> = tensor.images().collect();
        assert_eq!(images, [[0.0, 1.0, -1.0, 1.0, -0.5, 0.0], [1.0, 0.0, 1.0, -1.0, 0.0, -0.5]]);
        digits.preprocess(&manifest(&[1, 3, 2, 2])).unwrap_err();
    }
}
