//! Finds residual blocks in ONNX models and puts weightless gates in front of them.
//!
//! ```no_run
//! use skipgate_onnx::{GateSelection, Model, find_blocks, gate};
//!
//! let model = Model::load("resnet20.onnx".as_ref())?;
//! for block in find_blocks(&model)? {
//!     println!("{}: {}", block.name, block.verdict);
//! }
//! gate(&model, &GateSelection::default())?.save("gated.onnx".as_ref())?;
//! # Ok::<(), skipgate_onnx::Error>(())
//! ```
//!
//! One phase per module, each a function from one [`Model`] to the next or to a finding:
//!
//! 1. [`Model::load`] reads and checks a file, [`Model::save`] writes one;
//! 2. [`infer_shapes`] types every value it can;
//! 3. [`normalise`] brings it into a plain form that the compiler honours, or refuses it;
//! 4. [`fold_batch_norm`] merges batch normalisation into the convolution before it;
//! 5. [`dequantize_constants`] turns the integers that a quantised network keeps into the floats that they stand for;
//! 6. [`find_blocks`] finds the residual blocks and says which can be skipped;
//! 7. [`gate`] puts gates in front of those a [`GateSelection`] selects, [`remove_blocks`] removes blocks for good,
//!    [`ungate`] puts one branch in place of each gate.
//!
//! [`Graph`] is an index over a model for what reads one without changing it, and [`recognise_gates`] finds its gates again.
//!
//! What the rewriter does not understand (unknown fields, metadata, other domains) is carried through.
#![forbid(unsafe_code)]

mod activation;
mod attributes;
mod blocks;
mod check;
mod constants;
mod cost;
mod dataflow;
mod dequantize;
mod dimensions;
mod edit;
mod error;
mod external;
mod fold;
mod gate;
mod graph;
mod kind;
mod layers;
mod metadata;
mod model;
mod naming;
mod normalise;
mod operator_set;
mod order;
pub mod proto;
mod remove;
mod scores;
mod segments;
mod select;
mod shapes;
mod tensor;
mod ungate;
mod unknown;

pub use activation::is_activation;
pub use blocks::{ResidualBlock, Shortcut, Verdict, find_blocks};
pub use dequantize::dequantize_constants;
pub use dimensions::{fix_batch, fix_dimensions, open_dimensions};
pub use error::{Error, FunctionProblem, NodeProblem, TensorProblem};
pub use fold::fold_batch_norm;
pub use gate::{MASK_INPUT, MaskedBranch, MaskedGate, MaskedNodes, gate, recognise_gates};
pub use graph::{Attribute, Graph, Node, NodeId, Origin, Reader, Scope, ScopeId, Value, ValueId};
pub use kind::BlockKind;
pub use metadata::{CLASS_NAMES_KEY, GATES_KEY, PREPROCESSING_KEY};
pub use model::{IR_VERSIONS, MAX_BYTES, Model, OPSET_VERSIONS};
pub use normalise::normalise;
pub use normalise::places::inputs::{IndexChecks, index_checks};
pub use remove::remove_blocks;
pub use scores::find_scores;
pub use select::{GateSelection, GateUnit};
pub use shapes::{Excerpt, TensorType, find_excerpts, infer_shapes};
pub use tensor::{element_type, tensor_bytes};
pub use ungate::ungate;
