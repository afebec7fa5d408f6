//! From an image file to the input tensor, as the manifest says.

use std::io::Cursor;
use std::path::Path;

use half::f16;
use image::error::{ImageError, ImageFormatHint, ImageResult};
use image::{
    DynamicImage, GrayImage, ImageBuffer, ImageFormat, ImageReader, Limits, Luma, Pixel, RgbImage, imageops,
};
use skipgate_core::{
    ColorMode, ElementType, Layout, Manifest, Preprocessing, Resize, TensorSpec, Values, file,
};

use crate::error::SizeError;
use crate::resample::resize;
use crate::{DataError, panics};

/// Most bytes of a file with an image.
pub const MOST_FILE_BYTES: u64 = 256 << 20;
/// Most pixels in a row or a column of an image.
pub const MOST_PIXELS_IN_LINE: u32 = 1 << 15;
/// Most bytes of an image as its decoder gives it, which is 89 million pixels of 8-bit colour. Conversions and the decoder itself
/// may take some times as much.
pub const MOST_DECODED_BYTES: u64 = 256 << 20;

/// Decodes the PNG or JPEG file `path` and makes the artifact's image input of it, of its element type: f32, f16, or
/// bytes with or without a sign, for which values are rounded to the nearest byte.
///
/// For a PNG file that is what torchvision gives, to the last bit of a pixel where the aspect is kept. JPEG leaves rounding
/// to the decoder: pixels were seen to differ from those of Pillow's by 4 of 255.
///
/// # Errors
///
/// When the file is no image or has another size than an artifact that does not resize takes, or when the artifact does
/// not say how to make a tensor of an image.
pub fn load_image(path: &Path, manifest: &Manifest) -> Result<Values, DataError> {
    let tensor = image_tensor(manifest)?;
    let input = Input::of_tensor(tensor, manifest)?;
    let pixels = input.decode(path)?;
    let mut values = vec![0.0; pixels.len()];
    input.normalise(&pixels, &mut values);
    Ok(of_type(values, tensor.element_type))
}

/// The input of a network that has one, which can hold pixels.
fn image_tensor(manifest: &Manifest) -> Result<&TensorSpec, DataError> {
    match manifest.inputs() {
        [tensor] if matches!(tensor.element_type, ElementType::F16 | ElementType::U8 | ElementType::I8) => {
            Ok(tensor)
        }
        _ => Ok(manifest.image()?),
    }
}

/// `values` in an element type that holds pixels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the nearest byte is meant")]
fn of_type(values: Vec<f32>, element_type: ElementType) -> Values {
    let values = values.into_iter();
    match element_type {
        ElementType::F16 => values.map(f16::from_f32).collect::<Vec<_>>().into(),
        ElementType::U8 => values.map(|value| value.round() as u8).collect::<Vec<_>>().into(),
        ElementType::I8 => values.map(|value| value.round() as i8).collect::<Vec<_>>().into(),
        _ => values.collect::<Vec<_>>().into(),
    }
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
    /// The image input of a network that takes floats.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, DataError> {
        Self::of_tensor(manifest.image()?, manifest)
    }

    fn of_tensor(tensor: &TensorSpec, manifest: &Manifest) -> Result<Self, DataError> {
        let shape = &tensor.shape;
        let preprocessing = manifest.preprocessing.clone().ok_or(DataError::NoPreprocessing)?;
        let batch = || DataError::Batch { shape: shape.clone() };
        let [1, ..] = shape[..] else { return Err(batch()) };
        let (height, width) = preprocessing.size(shape).map_err(|_| batch())?;
        let Preprocessing { mean, std, .. } = &preprocessing;
        let table =
            |(mean, std): (&f32, &f32)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std);
        let values = mean.iter().zip(std).map(table).collect();
        Ok(Self { preprocessing, width, height, values })
    }

    /// Bytes of an image: the channels of a pixel side by side, row by row.
    pub(crate) fn len(&self) -> usize {
        self.values.len() * self.width as usize * self.height as usize
    }

    /// Decodes an image file to bytes, of the network's size and colour. A decoder that panics, as they do at some files
    /// that are damaged, fails for that file alone.
    pub(crate) fn decode(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        let bytes = file::read(path, MOST_FILE_BYTES)?;
        panics::caught(|| {
            let image =
                decode(bytes).map_err(|source| DataError::NoImage { path: path.to_owned(), source })?;
            self.fit(image).map_err(|source| DataError::Misfit { path: path.to_owned(), source })
        })
        .unwrap_or_else(|reason| Err(DataError::Decoder { path: path.to_owned(), reason }))
    }

    /// Bytes of an image of any size and colour. Colours come first, since that is what they do in torchvision.
    pub(crate) fn fit(&self, image: DynamicImage) -> Result<Vec<u8>, SizeError> {
        Ok(match self.preprocessing.color {
            ColorMode::Rgb => self.sized(image.into_rgb8())?.into_raw(),
            ColorMode::Bgr => reversed(self.sized(image.into_rgb8())?),
            ColorMode::Gray => self.sized(gray(image))?.into_raw(),
        })
    }

    /// The middle of the resized image.
    fn sized<P>(&self, image: ImageBuffer<P, Vec<u8>>) -> Result<ImageBuffer<P, Vec<u8>>, SizeError>
    where
        P: Pixel<Subpixel = u8> + 'static,
    {
        let found = image.dimensions();
        let resized = self.resized(found)?;
        let image =
            if resized == found { image } else { resize(&image, resized, self.preprocessing.interpolation) };
        if resized == (self.width, self.height) {
            return Ok(image);
        }
        let (left, top) = (half(resized.0 - self.width), half(resized.1 - self.height));
        Ok(imageops::crop_imm(&image, left, top, self.width, self.height).to_image())
    }

    /// Width and height that an image of those that were `found` is resized to, which are at least those of the input.
    fn resized(&self, found: (u32, u32)) -> Result<(u32, u32), SizeError> {
        let expected = (self.width, self.height);
        let resized = match self.preprocessing.resize {
            Resize::Exact if expected == found => found,
            Resize::Exact => return Err(SizeError::Other { expected, found }),
            Resize::Stretch => expected,
            Resize::Size { height, width } => (width, height),
            Resize::ShorterSide(side) => scaled(found, side),
        };
        let elongated = resized.0.max(resized.1) > Resize::MOST;
        if elongated || resized.0 < expected.0 || resized.1 < expected.1 {
            return Err(SizeError::Resized { expected, found, resized });
        }
        Ok(resized)
    }

    /// Bytes of an image to normalised numbers in the layout of the input.
    pub(crate) fn normalise(&self, pixels: &[u8], into: &mut [f32]) {
        let channels = self.values.len();
        match self.preprocessing.layout {
            Layout::Nchw => {
                for ((channel, table), plane) in
                    self.values.iter().enumerate().zip(into.chunks_exact_mut(pixels.len() / channels))
                {
                    let bytes = pixels.iter().skip(channel).step_by(channels);
                    plane.iter_mut().zip(bytes).for_each(|(value, &byte)| *value = table[usize::from(byte)]);
                }
            }
            Layout::Nhwc => {
                let tables = self.values.iter().cycle();
                for ((value, &byte), table) in into.iter_mut().zip(pixels).zip(tables) {
                    *value = table[usize::from(byte)];
                }
            }
        }
    }
}

/// An image in the bytes of a PNG or JPEG file.
fn decode(bytes: Vec<u8>) -> ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS_IN_LINE);
    limits.max_image_height = Some(MOST_PIXELS_IN_LINE);
    limits.max_alloc = Some(MOST_DECODED_BYTES);
    let format = image::guess_format(&bytes)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg) {
        return Err(ImageError::Unsupported(ImageFormatHint::Exact(format).into()));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.decode()
}

/// The size of an image whose shorter side becomes `side`; torchvision rounds the longer one down.
fn scaled((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let short = u64::from(width.min(height).max(1));
    let long = u64::from(side) * u64::from(width.max(height)) / short;
    let long = u32::try_from(long).unwrap_or(u32::MAX);
    if width <= height { (side, long) } else { (long, side) }
}

/// Half of `length`, rounded to an even number if it is between two, as Python does.
fn half(length: u32) -> u32 {
    let down = length / 2;
    down + (length & down & 1)
}

/// Bytes with the channels of each pixel in the opposite order.
fn reversed(image: RgbImage) -> Vec<u8> {
    let mut bytes = image.into_raw();
    bytes.chunks_exact_mut(3).for_each(<[u8]>::reverse);
    bytes
}

/// An image without colours, with PIL's weights; those of the decoder are others.
fn gray(image: DynamicImage) -> GrayImage {
    if !image.color().has_color() {
        return image.into_luma8();
    }
    let image = image.into_rgb8();
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue] = image.get_pixel(x, y).0.map(u32::from);
        let [_, gray, _, _] = (19_595 * red + 38_470 * green + 7_471 * blue + 0x8000).to_be_bytes();
        Luma([gray])
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use skipgate_core::{
        Abi, CompileOptions, Coverage, ElementType, FORMAT_VERSION, Interpolation, IreeVersion, Scores,
        Target, TensorSpec,
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
                index_inputs: vec![],
            },
            gates: vec![],
            coverage: Coverage::default(),
            preprocessing: Some(Preprocessing {
                color: ColorMode::Rgb,
                resize,
                interpolation: Interpolation::Bilinear,
                layout: Layout::Nchw,
                mean: vec![0.0, 0.5, 1.0],
                std: vec![1.0, 0.5, 2.0],
            }),
            class_names: vec![],
            scores: Scores::Logits,
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
    fn the_layout_and_the_order_of_channels_are_those_of_the_manifest() {
        let mut last = manifest(2, 1, Resize::Exact);
        last.abi.inputs[0].shape = vec![1, 1, 2, 3];
        last.preprocessing.as_mut().unwrap().layout = Layout::Nhwc;
        let mut values = vec![0.0; 6];
        Input::of(&last).unwrap().normalise(&[255, 0, 51, 0, 255, 102], &mut values);
        assert_eq!(values, [1.0, -1.0, -0.4, 0.0, 1.0, -0.3]);
        let mut image = RgbImage::new(2, 1);
        image.put_pixel(1, 0, image::Rgb([1, 2, 3]));
        last.preprocessing.as_mut().unwrap().color = ColorMode::Bgr;
        assert_eq!(Input::of(&last).unwrap().fit(image.into()).unwrap(), [0, 0, 0, 3, 2, 1]);
    }

    #[test]
    fn colours_become_grey_as_in_pil_and_transparency_is_left_out() {
        let mut one = manifest(3, 1, Resize::Exact);
        one.abi.inputs[0].shape[1] = 1;
        let gray = Preprocessing {
            color: ColorMode::Gray,
            mean: vec![0.0],
            std: vec![1.0],
            ..one.preprocessing.unwrap()
        };
        one.preprocessing = Some(gray);
        let mut image = image::RgbaImage::new(3, 1);
        for (x, color) in [[255, 0, 0, 7], [0, 255, 0, 255], [0, 0, 255, 0]].into_iter().enumerate() {
            image.put_pixel(u32::try_from(x).unwrap(), 0, image::Rgba(color));
        }
        assert_eq!(Input::of(&one).unwrap().fit(image.into()).unwrap(), [76, 150, 29]);
    }

    #[test]
    fn the_middle_is_cut_out_where_torchvision_does() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(half), [0, 0, 1, 2, 2, 2, 3, 4]);
        assert_eq!(scaled((640, 427), 256), (383, 256));
        assert_eq!(scaled((427, 640), 256), (256, 383));
        // A column for every number, and four rows.
        let image = RgbImage::from_fn(9, 4, |x, _| image::Rgb([u8::try_from(x).unwrap(); 3]));
        let pixels = input(4, 4, Resize::ShorterSide(4)).fit(image.into()).unwrap();
        assert_eq!(pixels.iter().step_by(3).take(4).copied().collect::<Vec<_>>(), [2, 3, 4, 5]);
    }

    #[test]
    fn an_image_that_nothing_can_be_cut_out_of_is_refused() {
        let error = input(32, 16, Resize::ShorterSide(16)).fit(DynamicImage::new_rgb8(20, 20)).unwrap_err();
        let expected = "an image of 20x20 pixels becomes one of 16x16, which 32x16 cannot be cut out of";
        assert_eq!(error.to_string(), expected);
        let line = DynamicImage::new_rgb8(1, 2000);
        assert!(input(16, 16, Resize::ShorterSide(16)).fit(line).is_err());
    }

    #[test]
    fn an_exact_input_refuses_another_size() {
        let error = input(32, 32, Resize::Exact).fit(DynamicImage::new_rgb8(28, 28)).unwrap_err();
        assert_eq!(error.to_string(), "expected an image of 32x32 pixels, found 28x28");
    }

    #[test]
    fn other_sizes_and_colours_are_converted_where_the_manifest_says_so() {
        let pixels = input(32, 24, Resize::Stretch).fit(DynamicImage::new_luma8(28, 20)).unwrap();
        assert_eq!(pixels.len(), 3 * 32 * 24);
    }

    #[test]
    fn an_image_has_the_element_type_of_the_input() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pixel.png");
        RgbImage::from_pixel(1, 1, image::Rgb([0, 128, 255])).save(&path).unwrap();
        let mut manifest = manifest(1, 1, Resize::Exact);
        let mut load = |element_type, mean: f32, std: f32| {
            manifest.abi.inputs[0].element_type = element_type;
            let preprocessing = manifest.preprocessing.as_mut().unwrap();
            (preprocessing.mean, preprocessing.std) = (vec![mean; 3], vec![std; 3]);
            load_image(&path, &manifest)
        };
        let byte = 1.0 / 255.0;
        assert_eq!(load(ElementType::U8, 0.0, byte).unwrap(), vec![0u8, 128, 255].into());
        assert_eq!(load(ElementType::I8, 128.0 * byte, byte).unwrap(), vec![-128i8, 0, 127].into());
        let halves = [0.0, 128.0 / 255.0, 1.0].map(f16::from_f32).to_vec();
        assert_eq!(load(ElementType::F16, 0.0, 1.0).unwrap(), halves.into());
        assert!(matches!(load(ElementType::I64, 0.0, 1.0), Err(DataError::NotOneF32(_))));
    }

    #[test]
    fn an_artifact_without_preprocessing_or_for_several_images_takes_no_image_file() {
        let without = Manifest { preprocessing: None, ..manifest(2, 2, Resize::Exact) };
        assert!(matches!(Input::of(&without), Err(DataError::NoPreprocessing)));
        let mut several = manifest(2, 2, Resize::Exact);
        several.abi.inputs[0].shape[0] = 4;
        assert!(matches!(Input::of(&several), Err(DataError::Batch { .. })));
    }

    /// A PNG file of these chunks.
    fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, data) in chunks {
            file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            let named = [&name[..], data].concat();
            let mut sum = flate2::Crc::new();
            sum.update(&named);
            file.extend(named);
            file.extend(sum.sum().to_be_bytes());
        }
        file
    }

    /// The first chunk of an image of that size.
    fn header(width: u32, height: u32, bits: u8, color: u8) -> (&'static [u8; 4], Vec<u8>) {
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        (b"IHDR", [size, vec![bits, color, 0, 0, 0]].concat())
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode_bytes(bytes: &[u8]) -> Result<Vec<u8>, DataError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), bytes).unwrap();
        input(2, 2, Resize::Stretch).decode(file.path())
    }

    /// Palettes whose length is no multiple of three, beside transparency.
    #[test]
    fn a_png_at_which_the_decoder_panics_is_an_error() {
        let mut panicked = 0;
        for palette in 0..8 {
            for transparent in [0, 1, 2, 3, 8] {
                for bits in [1, 2, 4, 8] {
                    let file = png(&[
                        header(2, 2, bits, 3),
                        (b"PLTE", vec![7; palette]),
                        (b"tRNS", vec![9; transparent]),
                        (b"IDAT", packed(&[0; 6])),
                        (b"IEND", vec![]),
                    ]);
                    panicked += usize::from(matches!(decode_bytes(&file), Err(DataError::Decoder { .. })));
                }
            }
        }
        assert!(panicked > 0, "the decoder was mended: find another image for this test");
    }

    #[test]
    fn damaged_images_are_errors() {
        let mut png = Cursor::new(Vec::new());
        let mut jpeg = Cursor::new(Vec::new());
        let image =
            RgbImage::from_fn(9, 7, |x, y| image::Rgb([x, y, x * y].map(|value| value.to_le_bytes()[0])));
        image.write_to(&mut png, ImageFormat::Png).unwrap();
        image.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        for whole in [png.into_inner(), jpeg.into_inner()] {
            decode_bytes(&whole).unwrap();
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << (at % 8);
                // An error or another image: nothing else can come of it.
                let _ = decode_bytes(&damaged);
                let _ = decode_bytes(&whole[..at]);
            }
        }
        for other in [&b"GIF89a\x01\0\x01\0\0\0\0"[..], b"BM", b"II*\0", b"P6 1 1 255 abc", b""] {
            assert!(matches!(decode_bytes(other), Err(DataError::NoImage { .. })), "{other:?}");
        }
    }

    #[test]
    fn an_image_that_is_large_is_refused_before_it_is_decoded() {
        for (width, height) in
            [(MOST_PIXELS_IN_LINE + 1, 1), (1, 1 << 20), (20_000, 20_000), (1 << 31, 1 << 31)]
        {
            let file = png(&[header(width, height, 8, 2), (b"IDAT", packed(&[0])), (b"IEND", vec![])]);
            assert!(matches!(decode_bytes(&file), Err(DataError::NoImage { .. })), "{width} {height}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let error = input(2, 2, Resize::Stretch).decode(file.path()).unwrap_err().to_string();
        assert!(error.contains("expected at most 268435456 bytes"), "{error}");
    }
}
