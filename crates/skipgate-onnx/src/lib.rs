//! Finds residual blocks in ONNX models and puts weightless gates in front of them.
//!
//! One phase per module, each a function from one [`Model`] to the next or to a finding:
//!
//! 1. [`Model::load`] reads and checks a file, [`Model::save`] writes one;
//! 2. [`infer_shapes`] types every value it can;
//! 3. [`fold_batch_norm`] merges batch normalisation into the convolution before it.
//!
//! What the rewriter does not understand (unknown fields, metadata, other domains, functions) is carried through.
#![forbid(unsafe_code)]

mod attributes;
mod check;
mod constants;
mod error;
mod external;
mod metadata;
mod model;
pub mod proto;
mod shapes;
mod tensor;

pub use error::{Error, NodeProblem, TensorProblem};
pub use metadata::{CLASS_NAMES_KEY, GATES_KEY, PREPROCESSING_KEY};
pub use model::{IR_VERSIONS, Model, OPSET_VERSIONS};
pub use shapes::{TensorType, infer_shapes};
pub use tensor::{element_type, tensor_bytes};
