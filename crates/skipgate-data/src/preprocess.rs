//! From an image file to the input tensor, as the manifest says.

use std::path::Path;

use fs_err as fs;
use image::DynamicImage;
use image::imageops::FilterType;
use skipgate_core::{ColorMode, Manifest, Preprocessing, Resize};

use crate::DataError;
use crate::error::SizeError;

/// Decodes the PNG or JPEG file `path` and makes the artifact's image input of it, in NCHW order.
///
/// # Errors
///
/// When the file is no image or has another size than an artifact that does not resize takes, or when the artifact does
/// not say how to make a tensor of an image.
pub fn load_image(path: &Path, manifest: &Manifest) -> Result<Vec<f32>, DataError> {
    let input = Input::of(manifest)?;
    let pixels = input.decode(path)?;
    let mut values = vec![0.0; pixels.len()];
    input.normalise(&pixels, &mut values);
    Ok(values)
}

/// What the network takes.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) preprocessing: Preprocessing,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// For each channel the value of each byte.
    values: Vec<[f32; 256]>,
}

impl Input {
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, DataError> {
        let shape = &manifest.image()?.shape;
        let preprocessing = manifest.preprocessing.clone().ok_or(DataError::NoPreprocessing)?;
        let batch = || DataError::Batch { shape: shape.clone() };
        let [1, _, height, width] = shape[..] else { return Err(batch()) };
        let extent = |extent: usize| u32::try_from(extent).map_err(|_| batch());
        let Preprocessing { mean, std, .. } = &preprocessing;
        let table =
            |(mean, std): (&f32, &f32)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std);
        let values = mean.iter().zip(std).map(table).collect();
        Ok(Self { width: extent(width)?, height: extent(height)?, values, preprocessing })
    }

    /// Bytes of an image: the channels of a pixel side by side, row by row.
    pub(crate) fn len(&self) -> usize {
        self.values.len() * self.width as usize * self.height as usize
    }

    /// Decodes an image file to bytes, of the network's size and colour.
    pub(crate) fn decode(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        let file = std::io::BufReader::new(fs::File::open(path)?);
        let image = image::ImageReader::new(file)
            .with_guessed_format()?
            .decode()
            .map_err(|source| DataError::NoImage { path: path.to_owned(), source })?;
        self.fit(image).map_err(|source| DataError::Misfit { path: path.to_owned(), source })
    }

    /// Bytes of an image of any size and colour.
    pub(crate) fn fit(&self, image: DynamicImage) -> Result<Vec<u8>, SizeError> {
        let (expected, found) = ((self.width, self.height), (image.width(), image.height()));
        let image = match self.preprocessing.resize {
            _ if expected == found => image,
            Resize::Exact => return Err(SizeError { expected, found }),
            Resize::Bilinear => image.resize_exact(self.width, self.height, FilterType::Triangle),
        };
        Ok(match self.preprocessing.color {
            ColorMode::Rgb => image.into_rgb8().into_raw(),
            ColorMode::Gray => image.into_luma8().into_raw(),
        })
    }

    /// Interleaved bytes to planes of normalised numbers.
    pub(crate) fn normalise(&self, pixels: &[u8], into: &mut [f32]) {
        let channels = self.values.len();
        for ((channel, table), plane) in
            self.values.iter().enumerate().zip(into.chunks_exact_mut(pixels.len() / channels))
        {
            let bytes = pixels.iter().skip(channel).step_by(channels);
            for (value, &byte) in plane.iter_mut().zip(bytes) {
                *value = table[usize::from(byte)];
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use skipgate_core::{
        Abi, CompileOptions, Coverage, ElementType, FORMAT_VERSION, IreeVersion, Target, TensorSpec,
    };

    use super::*;

    /// A network that takes RGB images of that size and has ten classes.
    pub(crate) fn manifest(width: usize, height: usize, resize: Resize) -> Manifest {
        let tensor = |shape: &[usize]| TensorSpec {
            name: "tensor".to_owned(),
            shape: shape.to_vec(),
            element_type: ElementType::F32,
        };
        Manifest {
            format_version: FORMAT_VERSION,
            generator: String::new(),
            iree: IreeVersion { version: String::new(), revision: String::new() },
            target: Target::host().unwrap(),
            options: CompileOptions::default(),
            abi: Abi {
                entry_point: String::new(),
                specialised: vec![],
                inputs: vec![tensor(&[1, 3, height, width])],
                outputs: vec![tensor(&[1, 10])],
            },
            gates: vec![],
            coverage: Coverage::default(),
            preprocessing: Some(Preprocessing {
                color: ColorMode::Rgb,
                resize,
                mean: vec![0.0, 0.5, 1.0],
                std: vec![1.0, 0.5, 2.0],
            }),
            class_names: vec![],
            model_sha256: String::new(),
            files: [].into(),
        }
    }

    fn input(width: usize, height: usize, resize: Resize) -> Input {
        Input::of(&manifest(width, height, resize)).unwrap()
    }

    #[test]
    fn pixels_become_normalised_planes() {
        let mut values = vec![0.0; 6];
        input(2, 1, Resize::Exact).normalise(&[255, 0, 51, 0, 255, 102], &mut values);
        assert_eq!(values, [1.0, 0.0, -1.0, 1.0, -0.4, -0.3]);
    }

    #[test]
    fn an_exact_input_refuses_another_size() {
        let error = input(32, 32, Resize::Exact).fit(DynamicImage::new_rgb8(28, 28)).unwrap_err();
        assert_eq!(error.to_string(), "expected an image of 32x32 pixels, found 28x28");
    }

    #[test]
    fn other_sizes_and_colours_are_converted_where_the_manifest_says_so() {
        let pixels = input(32, 24, Resize::Bilinear).fit(DynamicImage::new_luma8(28, 20)).unwrap();
        assert_eq!(pixels.len(), 3 * 32 * 24);
    }

    #[test]
    fn an_artifact_without_preprocessing_or_for_several_images_takes_no_image_file() {
        let without = Manifest { preprocessing: None, ..manifest(2, 2, Resize::Exact) };
        assert!(matches!(Input::of(&without), Err(DataError::NoPreprocessing)));
        let mut several = manifest(2, 2, Resize::Exact);
        several.abi.inputs[0].shape[0] = 4;
        assert!(matches!(Input::of(&several), Err(DataError::Batch { .. })));
    }
}
