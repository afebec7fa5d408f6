//! Handwritten digits, built in from `digits`, which links to the repository's `models/digits`; that says where they are from. Their files have the format of MNIST.

use std::io::Read as _;

use flate2::read::GzDecoder;
use image::{DynamicImage, GrayImage};

use crate::dataset::Images;
use crate::preprocess::Input;
use crate::{DataError, Part};

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../digits/", $name)).as_slice())
    };
}

/// Reads a part of them.
pub(crate) fn read(part: Part, input: &Input) -> Result<Images, DataError> {
    let (images, labels) = match part {
        Part::Train => (file!("train-images-idx3-ubyte.gz"), file!("train-labels-idx1-ubyte.gz")),
        Part::Test => (file!("test-images-idx3-ubyte.gz"), file!("test-labels-idx1-ubyte.gz")),
    };
    let damaged = |name: &str| DataError::File {
        path: name.into(),
        expected: "grey images with labels in IDX format".to_owned(),
        found: "something else".to_owned(),
    };
    let pixels = Idx::unpack(images.1).ok_or_else(|| damaged(images.0))?;
    let labels = Idx::unpack(labels.1).ok_or_else(|| damaged(labels.0))?;
    let [count, height, width] = pixels.shape[..] else { return Err(damaged(images.0)) };
    if labels.shape != [count] {
        return Err(damaged(images.0));
    }
    let extent = |extent: usize| u32::try_from(extent).map_err(|_| damaged(images.0));
    let (width, height) = (extent(width)?, extent(height)?);
    let mut all = Images { pixels: Vec::new(), labels: labels.data.into_iter().map(u32::from).collect() };
    for bytes in pixels.data.chunks_exact((width * height).max(1) as usize) {
        let image = GrayImage::from_raw(width, height, bytes.to_vec()).ok_or_else(|| damaged(images.0))?;
        let fitted = input.fit(DynamicImage::from(image));
        all.pixels.extend(fitted.map_err(|source| DataError::Misfit { path: images.0.into(), source })?);
    }
    Ok(all)
}

/// An array of bytes with its shape.
#[derive(Debug, PartialEq)]
struct Idx {
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Idx {
    /// Reads a gzipped file; `None` if it is something else.
    fn unpack(gzipped: &[u8]) -> Option<Self> {
        let mut bytes = Vec::new();
        GzDecoder::new(gzipped).read_to_end(&mut bytes).ok()?;
        Self::parse(&bytes)
    }

    /// The format: two zero bytes, the element type (8 = `u8`), the rank, every extent as big-endian `u32`, the data.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let ([0, 0, 8, rank], rest) = bytes.split_first_chunk()? else { return None };
        let (extents, data) = rest.split_at_checked(4 * usize::from(*rank))?;
        let extent = |bytes: &[u8]| bytes.iter().fold(0, |value, &byte| value << 8 | usize::from(byte));
        let shape: Vec<_> = extents.chunks_exact(4).map(extent).collect();
        let elements = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))?;
        (elements == data.len()).then(|| Self { shape, data: data.to_vec() })
    }
}

#[cfg(test)]
mod tests {
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
            assert_eq!(Idx::parse(&TWO_BY_THREE[..length]), None);
        }
        assert_eq!(Idx::parse(&[&TWO_BY_THREE[..], &[0]].concat()), None);
    }

    #[test]
    fn other_element_types_and_extents_that_overflow_are_refused() {
        assert_eq!(Idx::parse(&[0, 0, 13, 0]), None);
        let header = [0, 0, 8, 2].into_iter().chain([255; 8]).chain([0; 5]).collect::<Vec<u8>>();
        assert_eq!(Idx::parse(&header), None);
    }
}
