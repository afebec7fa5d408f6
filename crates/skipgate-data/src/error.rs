//! What can go wrong.

use std::io;
use std::path::PathBuf;

use skipgate_core::{Hint, NotOneF32};

/// Why an image or a data set is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file of tensors is another file, or does not hold what is needed.
    #[error("{}: expected {expected}, found {found}", .path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The network does not take one f32 image, or does not give one f32 tensor.
    #[error(transparent)]
    NotOneF32(#[from] NotOneF32),
    /// The artifact does not say how an image becomes a tensor.
    #[error("the artifact does not say how an image becomes its input")]
    NoPreprocessing,
    /// The artifact does not take one image.
    #[error("the artifact takes a batch of shape {shape:?}; give it with --input")]
    Batch {
        /// Shape of the input.
        shape: Vec<usize>,
    },
    /// The file cannot be decoded.
    #[error("{} is not a PNG or JPEG image", .path.display())]
    NoImage {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: image::ImageError,
    },
    /// The decoder panicked at the file.
    #[error("{} cannot be decoded: the decoder gave up ({reason})", .path.display())]
    Decoder {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        reason: String,
    },
    /// The image has another size, and the artifact does not resize.
    #[error("{} does not fit the artifact", .path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// Both sizes.
        source: SizeError,
    },
    /// A file of a data set is damaged or something else.
    #[error("`{}`: expected {expected}, found {found}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A label is past the end of the network's classes.
    #[error("the data set has an image of class {label}, the network has {classes} classes, numbered from 0")]
    Label {
        /// The label.
        label: u32,
        /// Number of classes of the network.
        classes: usize,
    },
    /// The data set is of other classes than the network.
    #[error("the data set has no class `{class}`, which the network has")]
    Class {
        /// The missing one.
        class: String,
    },
}

/// An image of another size than the network takes. Sizes are widths and heights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    /// It has another size, and the network takes images as they are.
    #[error("expected an image of {}x{} pixels, found {}x{}", .expected.0, .expected.1, .found.0, .found.1)]
    Other {
        /// What the network takes.
        expected: (u32, u32),
        /// What the image has.
        found: (u32, u32),
    },
    /// It is too long or too narrow to be resized with its aspect.
    #[error(
        "an image of {}x{} pixels becomes one of {}x{}, which {}x{} cannot be cut out of",
        .found.0, .found.1, .resized.0, .resized.1, .expected.0, .expected.1
    )]
    Resized {
        /// What the network takes.
        expected: (u32, u32),
        /// What the image has.
        found: (u32, u32),
        /// What it is resized to.
        resized: (u32, u32),
    },
}

impl Hint for DataError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoPreprocessing => Some(
                "compile it with --preset, or with --mean, --std and --resize, which `skipgate compile --help` explains; \
                 `skipgate run` also takes the input as a tensor, with --input"
                    .to_owned(),
            ),
            Self::Decoder { .. } => {
                Some("the file is damaged, or of a rare kind; write it anew with another program".to_owned())
            }
            Self::Misfit { source: SizeError::Other { .. }, .. } => {
                Some("compile with --resize, and images of any size are resized".to_owned())
            }
            Self::File { .. } => Some(
                "give the unpacked folder of CIFAR's binary files, a folder with a subfolder per class, or `digits`"
                    .to_owned(),
            ),
            Self::Label { .. } | Self::Class { .. } => {
                Some("give the data set that the network was trained for".to_owned())
            }
            _ => None,
        }
    }
}
