//! How an image becomes the input of a network.

use std::fmt;
use std::str::FromStr;

use serde::de::value::Error as NameError;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize, Serialize};

/// How an image file becomes the input tensor: decode, convert to `color`, resize, cut out the middle of the size of
/// the input, divide by 255, subtract `mean`, divide by `std`, and write in `layout`.
///
/// Every step is that of torchvision on images of PIL, which most networks are trained with: colours lose their
/// transparency and become grey with the weights of ITU-R 601, and smaller images are antialiased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Channels of the input.
    pub color: ColorMode,
    /// What to do with an image of another size.
    pub resize: Resize,
    /// How pixels between pixels are computed.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Order of the axes of the input.
    #[serde(default)]
    pub layout: Layout,
    /// Subtracted per channel, in the order of `color`, on the 0..1 scale.
    pub mean: Vec<f32>,
    /// Divides per channel, in the order of `color`, on the 0..1 scale.
    pub std: Vec<f32>,
}

impl Preprocessing {
    /// Height and width that an image has in the end, in an input of `shape`.
    ///
    /// Errors: what contradicts `shape` or itself, in words.
    pub fn size(&self, shape: &[usize]) -> Result<(u32, u32), String> {
        let Self { color, resize, interpolation: _, layout, mean, std } = self;
        let channels = color.channels();
        let image = match (layout, shape) {
            (Layout::Nchw, &[_, c, height, width]) | (Layout::Nhwc, &[_, height, width, c])
                if c == channels =>
            {
                u32::try_from(height).ok().zip(u32::try_from(width).ok())
            }
            _ => None,
        };
        let (height, width) = image.ok_or_else(|| {
            format!("preprocessing for {channels} channels ({color}) in {layout} does not fit an input of shape {shape:?}")
        })?;
        let finite = mean.iter().chain(std).all(|value| value.is_finite());
        if mean.len() != channels || std.len() != channels || !finite || std.iter().any(|std| *std <= 0.0) {
            return Err(format!(
                "preprocessing for {channels} channels has the means {mean:?} and the deviations {std:?}, which must be positive"
            ));
        }
        let too_small = match *resize {
            Resize::Exact | Resize::Stretch => false,
            Resize::ShorterSide(side) => side < height.min(width) || side > Resize::MOST,
            Resize::Size { height: h, width: w } => h < height || w < width || h.max(w) > Resize::MOST,
        };
        if too_small {
            return Err(format!(
                "after resizing to {resize} there is no image of {height}x{width} to cut out; sizes go up to {}",
                Resize::MOST
            ));
        }
        Ok((height, width))
    }
}

/// Channels of the input tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ColorMode {
    /// Three channels: red, green, blue.
    Rgb,
    /// Three channels: blue, green, red.
    Bgr,
    /// One channel.
    #[serde(alias = "grey")]
    Gray,
}

impl ColorMode {
    /// Number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Gray => 1,
        }
    }
}

/// Order of the axes of the input tensor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channels, rows, columns.
    #[default]
    Nchw,
    /// Batch, rows, columns, channels.
    Nhwc,
}

/// How pixels between pixels are computed. Where an image becomes smaller, the filter becomes wider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// From two by two, with a triangle filter: torchvision's default.
    #[default]
    Bilinear,
    /// From four by four, with Catmull and Rom's filter: timm's default.
    Bicubic,
}

/// What to do with an image whose size is not that of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Refuse it.
    Exact,
    /// Resize it to the size of the input, whatever becomes of its aspect.
    #[serde(alias = "bilinear")]
    Stretch,
    /// Resize it so that its shorter side has so many pixels, and keep its aspect; what counts is the middle.
    ShorterSide(u32),
    /// Resize it to this size, whatever becomes of its aspect; what counts is the middle.
    Size {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
}

impl Resize {
    /// Longest side that an image is resized to on purpose.
    pub const MOST: u32 = 1 << 14;
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Stretch => f.write_str("stretch"),
            Self::ShorterSide(side) => write!(f, "{side}"),
            Self::Size { height, width } => write!(f, "{height}x{width}"),
        }
    }
}

impl FromStr for Resize {
    type Err = String;

    /// `exact`, `stretch`, a number of pixels for the shorter side, or `HEIGHTxWIDTH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let resize = match text.split_once('x') {
            _ if text == "exact" => Some(Self::Exact),
            None if text == "stretch" => Some(Self::Stretch),
            None => text.parse().ok().map(Self::ShorterSide),
            Some((height, width)) => height
                .parse()
                .ok()
                .zip(width.parse().ok())
                .map(|(height, width)| Self::Size { height, width }),
        };
        resize.ok_or_else(|| {
            format!(
                "expected `exact`, `stretch`, the pixels of the shorter side or HEIGHTxWIDTH, found `{text}`"
            )
        })
    }
}

/// The value that serde calls `name`.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    T::deserialize(name.into_deserializer()).map_err(|error: NameError| error.to_string())
}

impl FromStr for ColorMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(text)
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(text)
    }
}

impl FromStr for Interpolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(text)
    }
}

impl fmt::Display for ColorMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Gray => "gray",
        })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nchw => "nchw",
            Self::Nhwc => "nhwc",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imagenet() -> Preprocessing {
        Preprocessing {
            color: ColorMode::Rgb,
            resize: Resize::ShorterSide(256),
            interpolation: Interpolation::Bilinear,
            layout: Layout::Nchw,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }

    #[test]
    fn the_layout_says_which_axes_are_rows_and_columns() {
        assert_eq!(imagenet().size(&[1, 3, 224, 192]), Ok((224, 192)));
        let last = Preprocessing { layout: Layout::Nhwc, ..imagenet() };
        assert_eq!(last.size(&[1, 224, 192, 3]), Ok((224, 192)));
        for (preprocessing, shape) in [(imagenet(), [1, 224, 224, 3]), (last, [1, 3, 224, 224])] {
            let error = preprocessing.size(&shape).unwrap_err();
            assert!(error.contains("for 3 channels (rgb) in n") && error.contains("does not fit"), "{error}");
        }
    }

    #[test]
    fn what_is_cut_out_must_be_there() {
        for (resize, fits) in [
            (Resize::Exact, true),
            (Resize::Stretch, true),
            (Resize::ShorterSide(192), true),
            (Resize::ShorterSide(191), false),
            (Resize::ShorterSide(Resize::MOST + 1), false),
            (Resize::Size { height: 224, width: 192 }, true),
            (Resize::Size { height: 192, width: 224 }, false),
        ] {
            let preprocessing = Preprocessing { resize, ..imagenet() };
            assert_eq!(preprocessing.size(&[1, 3, 224, 192]).is_ok(), fits, "{resize}");
        }
    }

    #[test]
    fn means_and_deviations_are_one_per_channel_and_numbers_that_can_divide() {
        for (mean, std) in [
            (vec![0.5], vec![0.5; 3]),
            (vec![0.5; 3], vec![0.5; 4]),
            (vec![0.5; 3], vec![0.5, 0.0, 0.5]),
            (vec![f32::NAN; 3], vec![0.5; 3]),
            (vec![0.5; 3], vec![f32::INFINITY; 3]),
        ] {
            assert!(Preprocessing { mean, std, ..imagenet() }.size(&[1, 3, 224, 224]).is_err());
        }
    }

    #[test]
    fn names_on_the_command_line_are_those_of_the_file() {
        for resize in
            [Resize::Exact, Resize::Stretch, Resize::ShorterSide(256), Resize::Size { height: 2, width: 3 }]
        {
            assert_eq!(resize.to_string().parse(), Ok(resize));
        }
        assert!("256x".parse::<Resize>().unwrap_err().contains("found `256x`"));
        for color in [ColorMode::Rgb, ColorMode::Bgr, ColorMode::Gray] {
            assert_eq!(color.to_string().parse(), Ok(color));
        }
        assert_eq!("grey".parse(), Ok(ColorMode::Gray));
        for layout in [Layout::Nchw, Layout::Nhwc] {
            assert_eq!(layout.to_string().parse(), Ok(layout));
        }
        assert_eq!("bicubic".parse(), Ok(Interpolation::Bicubic));
        let error = "lanczos".parse::<Interpolation>().unwrap_err();
        assert!(error.contains("expected `bilinear` or `bicubic`"), "{error}");
    }

    #[test]
    fn what_older_models_say_of_themselves_is_understood() {
        let json = r#"{"color": "rgb", "resize": "bilinear", "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}"#;
        let read: Preprocessing = serde_json::from_str(json).unwrap();
        assert_eq!((read.resize, read.layout), (Resize::Stretch, Layout::Nchw));
        let json = serde_json::to_string(&imagenet()).unwrap();
        assert!(json.contains(r#""resize":{"shorter-side":256}"#), "{json}");
        assert_eq!(serde_json::from_str::<Preprocessing>(&json).unwrap(), imagenet());
    }
}
