//! From an image file to the input tensor, as the manifest says.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use image::DynamicImage;
use image::imageops::FilterType;
use skipgate_core::{ColorMode, Manifest, Preprocessing, Resize};

/// Decodes the PNG or JPEG file `path` and makes the artifact's image input of it, in NCHW order.
pub(crate) fn load(path: &Path, manifest: &Manifest) -> Result<Vec<f32>> {
    let Some(preprocessing) = &manifest.preprocessing else {
        bail!("the artifact does not say how to preprocess an image; give the input tensor with --input");
    };
    let [1, _, height, width] = manifest.image().shape[..] else {
        bail!("the artifact takes a batch of shape {:?}; give it with --input", manifest.image().shape);
    };
    let image = image::ImageReader::open(path)
        .with_context(|| format!("cannot open {}", path.display()))?
        .with_guessed_format()
        .with_context(|| format!("cannot read {}", path.display()))?
        .decode()
        .with_context(|| format!("{} is not a PNG or JPEG image", path.display()))?;
    let image = resize(&image, (width, height), preprocessing.resize)
        .with_context(|| format!("{} does not fit the artifact", path.display()))?;
    Ok(normalise(&image, preprocessing))
}

fn resize(image: &DynamicImage, (width, height): (usize, usize), resize: Resize) -> Result<DynamicImage> {
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    if (image.width(), image.height()) == (width, height) {
        return Ok(image.clone());
    }
    match resize {
        Resize::Exact => {
            bail!("expected an image of {width}x{height} pixels, found {}x{}", image.width(), image.height())
        }
        Resize::Bilinear => Ok(image.resize_exact(width, height, FilterType::Triangle)),
    }
}

/// Interleaved bytes to planes of normalised numbers.
fn normalise(image: &DynamicImage, preprocessing: &Preprocessing) -> Vec<f32> {
    let pixels = match preprocessing.color {
        ColorMode::Rgb => image.to_rgb8().into_raw(),
        ColorMode::Gray => image.to_luma8().into_raw(),
    };
    let channels = preprocessing.color.channels();
    let plane = |channel: usize| {
        let (mean, std) = (preprocessing.mean[channel], preprocessing.std[channel]);
        pixels.iter().skip(channel).step_by(channels).map(move |&byte| (f32::from(byte) / 255.0 - mean) / std)
    };
    (0..channels).flat_map(plane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(mean: f32, std: f32) -> Preprocessing {
        Preprocessing { color: ColorMode::Rgb, resize: Resize::Exact, mean: vec![mean; 3], std: vec![std; 3] }
    }

    #[test]
    fn pixels_become_normalised_planes() {
        let image = image::RgbImage::from_raw(2, 1, vec![255, 0, 51, 0, 255, 102]).unwrap().into();
        assert_eq!(normalise(&image, &rgb(0.0, 1.0)), [1.0, 0.0, 0.0, 1.0, 0.2, 0.4]);
        assert_eq!(normalise(&image, &rgb(0.5, 0.5))[..2], [1.0, -1.0]);
    }

    #[test]
    fn an_exact_input_refuses_another_size() {
        let error = resize(&DynamicImage::new_rgb8(28, 28), (32, 32), Resize::Exact).unwrap_err();
        assert_eq!(error.to_string(), "expected an image of 32x32 pixels, found 28x28");
    }

    #[test]
    fn other_sizes_are_resized_where_the_manifest_says_so() {
        let image = resize(&DynamicImage::new_rgb8(28, 20), (32, 24), Resize::Bilinear).unwrap();
        assert_eq!((image.width(), image.height()), (32, 24));
    }
}
