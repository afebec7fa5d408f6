//! Images and data sets as a network wants them.
//!
//! [`load_image`] makes the input tensor of one image file. A [`Dataset`] holds many images with their labels, decoded
//! once: the digits that come with skipgate, the binary files of CIFAR-10 and CIFAR-100, or a folder with a subfolder
//! for every class.
#![forbid(unsafe_code)]

mod cifar;
mod dataset;
mod digits;
mod error;
mod folder;
mod preprocess;
mod resample;
mod source;

pub use dataset::Dataset;
pub use error::DataError;
pub use preprocess::load_image;
pub use source::{Part, Source};
