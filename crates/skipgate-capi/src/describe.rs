//! What an artifact says of itself: gates, classes, and how an image becomes its input.

use std::ffi::{CString, c_char};
use std::ptr;

use skipgate_core::{ColorMode, Interpolation, Layout, Preprocessing, Resize, class_count};
use skipgate_runtime::Manifest;

use crate::artifact::SkipgateArtifact;
use crate::status::{SkipgateStatus, failed, invalid, put};

/// A residual block that can be skipped. What it points to belongs to the artifact.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SkipgateGate {
    /// Name of the block in the ONNX model.
    pub block: *const c_char,
    /// Number of the segment that it belongs to; the blocks of a segment have results of one shape.
    pub segment: usize,
    /// Multiply-accumulate operations that skipping it saves, per image.
    pub macs: u64,
    /// Weights inside of it.
    pub parameters: u64,
}

/// Order of the channels of an image.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipgateColor {
    /// Red, green, blue.
    Rgb = 0,
    /// Blue, green, red.
    Bgr = 1,
    /// One channel, with the weights of ITU-R 601.
    Gray = 2,
}

/// What becomes of an image of another size than the input.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipgateResize {
    /// It is refused.
    Exact = 0,
    /// It is resized to the size of the input, whatever its aspect.
    Stretch = 1,
    /// Its shorter side becomes resize_height pixels, and the middle of it is the input.
    ShorterSide = 2,
    /// It becomes resize_height x resize_width pixels, and the middle of them is the input.
    Size = 3,
}

/// The filter that resizes; where an image becomes smaller, the filter becomes wider.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipgateInterpolation {
    /// A triangle, torchvision's default.
    Bilinear = 0,
    /// That of Catmull and Rom, timm's default.
    Bicubic = 1,
}

/// Order of the axes of the input.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipgateLayout {
    /// Batch, channels, rows, columns.
    Nchw = 0,
    /// Batch, rows, columns, channels.
    Nhwc = 1,
}

/// How an image becomes the input: put its channels in the order of color, resize, cut out the middle of height x width,
/// divide by 255, subtract mean, divide by deviation, and write in layout. What it points to belongs to the artifact.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SkipgatePreprocessing {
    /// Order of the channels.
    pub color: SkipgateColor,
    /// What becomes of an image of another size.
    pub resize: SkipgateResize,
    /// Pixels after resizing; 0 where resize needs none.
    pub resize_height: u32,
    /// Pixels after resizing; 0 where resize needs none.
    pub resize_width: u32,
    /// The filter that resizes.
    pub interpolation: SkipgateInterpolation,
    /// Order of the axes.
    pub layout: SkipgateLayout,
    /// Pixels of the input from top to bottom.
    pub height: u32,
    /// Pixels of the input from left to right.
    pub width: u32,
    /// Number of channels.
    pub channels: usize,
    /// Subtracted from each channel, on the scale from 0 to 1.
    pub mean: *const f32,
    /// Divides each channel after that.
    pub deviation: *const f32,
}

/// The names of an artifact's blocks and classes as C has them.
pub(crate) struct Texts {
    blocks: Vec<CString>,
    classes: Vec<CString>,
}

impl Texts {
    /// Errors: a name with a zero byte.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, String> {
        let blocks = manifest.gates.iter().map(|gate| text(&gate.block)).collect::<Result<_, _>>()?;
        let classes = manifest.class_names.iter().map(|name| text(name)).collect::<Result<_, _>>()?;
        Ok(Self { blocks, classes })
    }
}

fn text(name: &str) -> Result<CString, String> {
    CString::new(name).map_err(|_| format!("the name {name:?} has a zero byte"))
}

/// The gate `number`, counted from 0 as in a mask. What it points to is valid until the artifact is freed.
///
/// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
///
/// # Safety
///
/// `artifact` is null or live; `gate` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_gate(
    artifact: *const SkipgateArtifact,
    number: usize,
    gate: *mut SkipgateGate,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(artifact) = (unsafe { artifact.as_ref() }) else { return invalid("the artifact is null") };
    let found = artifact.artifact.gates().get(number).zip(artifact.texts.blocks.get(number));
    let Some((found, block)) = found else { return invalid("there is no gate of that number") };
    let described = SkipgateGate {
        block: block.as_ptr(),
        segment: found.segment,
        macs: found.macs,
        parameters: found.parameters,
    };
    // SAFETY: by the caller's promise about `gate`.
    unsafe { put(described, gate) }
}

/// Number of classes, which the first output has a number for each; 0 for a null artifact.
///
/// # Safety
///
/// `artifact` is null or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_classes(artifact: *const SkipgateArtifact) -> usize {
    // SAFETY: by the caller's promise.
    let Some(artifact) = (unsafe { artifact.as_ref() }) else { return 0 };
    artifact.artifact.manifest().outputs().first().map_or(0, |output| class_count(&output.shape))
}

/// Name of the class `number`, counted from 0 as in the first output; null if the artifact has no name for it. It is valid
/// until the artifact is freed.
///
/// # Safety
///
/// `artifact` is null (then null) or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_class(
    artifact: *const SkipgateArtifact,
    number: usize,
) -> *const c_char {
    // SAFETY: by the caller's promise.
    let name = unsafe { artifact.as_ref() }.and_then(|artifact| artifact.texts.classes.get(number));
    name.map_or(ptr::null(), |name| name.as_ptr())
}

/// How an image becomes the input. What it points to is valid until the artifact is freed.
///
/// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT; SKIPGATE_STATUS_ABSENT if the artifact does not say.
///
/// # Safety
///
/// `artifact` is null or live; `preprocessing` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_preprocessing(
    artifact: *const SkipgateArtifact,
    preprocessing: *mut SkipgatePreprocessing,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(artifact) = (unsafe { artifact.as_ref() }) else { return invalid("the artifact is null") };
    let manifest = artifact.artifact.manifest();
    let said = manifest.preprocessing.as_ref().zip(manifest.inputs().first());
    let described = said.and_then(|(said, input)| described(said, &input.shape));
    let Some(described) = described else {
        let what =
            "the artifact does not say how an image becomes its input; `skipgate compile --preset` adds it";
        return failed(SkipgateStatus::Absent, what);
    };
    // SAFETY: by the caller's promise about `preprocessing`.
    unsafe { put(described, preprocessing) }
}

/// `None` for an input that it does not fit, which no manifest has that was checked.
fn described(said: &Preprocessing, input: &[usize]) -> Option<SkipgatePreprocessing> {
    let (height, width) = said.size(input).ok()?;
    let Preprocessing { color, resize, interpolation, layout, mean, std } = said;
    let (resize, resize_height, resize_width) = match *resize {
        Resize::Exact => (SkipgateResize::Exact, 0, 0),
        Resize::Stretch => (SkipgateResize::Stretch, 0, 0),
        Resize::ShorterSide(side) => (SkipgateResize::ShorterSide, side, 0),
        Resize::Size { height, width } => (SkipgateResize::Size, height, width),
    };
    Some(SkipgatePreprocessing {
        color: match color {
            ColorMode::Rgb => SkipgateColor::Rgb,
            ColorMode::Bgr => SkipgateColor::Bgr,
            ColorMode::Gray => SkipgateColor::Gray,
        },
        resize,
        resize_height,
        resize_width,
        interpolation: match interpolation {
            Interpolation::Bilinear => SkipgateInterpolation::Bilinear,
            Interpolation::Bicubic => SkipgateInterpolation::Bicubic,
        },
        layout: match layout {
            Layout::Nchw => SkipgateLayout::Nchw,
            Layout::Nhwc => SkipgateLayout::Nhwc,
        },
        height,
        width,
        channels: color.channels(),
        mean: mean.as_ptr(),
        deviation: std.as_ptr(),
    })
}
