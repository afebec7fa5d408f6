//! Labelled images, decoded and in memory.

use sha2::{Digest as _, Sha256};
use skipgate_core::Manifest;

use crate::preprocess::Input;
use crate::{DataError, Part, Source, cifar, digits, folder};

/// Images of the size and colour that a network takes, as bytes, with their classes.
///
/// **Threads:** `Send` and `Sync`; it never changes.
#[derive(Debug)]
pub struct Dataset {
    input: Input,
    images: Images,
    sha256: String,
}

/// What a source holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Images {
    /// One image after the other; of each row after row, and of each pixel channel after channel.
    pub(crate) pixels: Vec<u8>,
    /// Class of every image.
    pub(crate) labels: Vec<u32>,
}

impl Dataset {
    /// Reads a part of the data set in `source` as the network of `manifest` takes it. Images are decoded on all cores,
    /// and `progress` is called with the number of those that are done and of all.
    ///
    /// Subfolders are classes in the order of their names, or, if the network names its classes, in the network's order.
    /// A folder with such subfolders at its top is a test part.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another size than an artifact without resizing takes, when the source holds
    /// nothing that is known, or when its classes are not the network's.
    pub fn open(
        source: &Source,
        part: Part,
        manifest: &Manifest,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, DataError> {
        let input = Input::of(manifest)?;
        let images = match source {
            Source::Digits => digits::read(part, &input)?,
            Source::Folder(path) => match cifar::Layout::recognise(path) {
                Some(layout) => layout.read(path, part, &input)?,
                None => folder::read(path, part, &input, &manifest.class_names, progress)?,
            },
        };
        let classes = manifest.logits()?.elements().unwrap_or_default();
        if let Some(&label) = images.labels.iter().find(|label| **label as usize >= classes) {
            return Err(DataError::Label { label, classes });
        }
        let sha256 = hash(&input, &images);
        Ok(Self { input, images, sha256 })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.labels.is_empty()
    }

    /// Class of an image.
    pub fn label(&self, image: usize) -> usize {
        self.images.labels[image] as usize
    }

    /// Writes the input tensor of an image, normalised and in NCHW order, to `into`.
    ///
    /// # Panics
    ///
    /// When there is no such image, or `into` has another length than the network's input.
    pub fn input(&self, image: usize, into: &mut [f32]) {
        let size = self.input.len();
        assert_eq!(into.len(), size, "the network takes {size} values");
        self.input.normalise(&self.images.pixels[image * size..][..size], into);
    }

    /// SHA-256 of image size, labels and pixels, in hexadecimal: equal for equal data, wherever it was read from.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

fn hash(input: &Input, images: &Images) -> String {
    let mut hash = Sha256::new();
    for number in [input.width, input.height].iter().chain(&images.labels) {
        hash.update(number.to_le_bytes());
    }
    hash.update(&images.pixels);
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use skipgate_core::Resize;

    use super::*;
    use crate::preprocess::tests::manifest;

    fn open(source: &str, part: Part, manifest: &Manifest) -> Result<Dataset, DataError> {
        Dataset::open(&source.parse().unwrap(), part, manifest, &|_, _| ())
    }

    #[test]
    fn the_built_in_digits_have_both_parts() {
        let manifest = manifest(32, 32, Resize::Exact);
        let test = open("digits", Part::Test, &manifest).unwrap();
        let train = open("digits", Part::Train, &manifest).unwrap();
        assert_eq!((test.len(), train.len()), (360, 1437));
        assert_ne!(test.sha256(), train.sha256());
        assert_eq!(test.sha256(), open("digits", Part::Test, &manifest).unwrap().sha256());
    }

    #[test]
    fn grey_fills_every_channel_normalised_by_its_own_mean_and_deviation() {
        let digits = open("digits", Part::Test, &manifest(32, 32, Resize::Exact)).unwrap();
        let mut tensor = vec![0.0; 3 * 32 * 32];
        digits.input(0, &mut tensor);
        let (red, green, blue) = (&tensor[..1024], &tensor[1024..2048], &tensor[2048..]);
        assert!(red.iter().any(|value| *value > 0.5));
        for pixel in 0..1024 {
            assert!((green[pixel] - (red[pixel] - 0.5) / 0.5).abs() < 1e-6);
            assert!((blue[pixel] - (red[pixel] - 1.0) / 2.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_label_past_the_networks_classes_is_refused() {
        let mut manifest = manifest(32, 32, Resize::Exact);
        manifest.abi.outputs[0].shape = vec![1, 9];
        let error = open("digits", Part::Test, &manifest).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data set has an image of class 9, the network has 9 classes, numbered from 0"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = open("no/such/folder", Part::Test, &manifest(32, 32, Resize::Exact)).unwrap_err();
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }
}
