//! Images, data sets and tensors in files, as a network wants them.
//!
//! [`load_image`] makes the input tensor of one image file. A [`Dataset`] holds many images with their labels, decoded
//! once: the digits that come with skipgate, the binary files of CIFAR-10 and CIFAR-100, or a folder with a subfolder
//! for every class. [`Stacked`] are tensors for some runs of a network, from NumPy's files ([`tensor_file`]).
#![forbid(unsafe_code)]

mod cifar;
mod dataset;
mod digits;
mod error;
mod folder;
mod panics;
mod preprocess;
mod resample;
mod source;
mod stacked;
pub mod tensor_file;

pub use dataset::Dataset;
pub use error::DataError;
pub use panics::hide_caught_panics;
pub use preprocess::{MOST_DECODED_BYTES, MOST_FILE_BYTES, MOST_PIXELS_IN_LINE, load_image};
pub use source::{Part, Source};
pub use stacked::{Stacked, StackedError, can_write};
