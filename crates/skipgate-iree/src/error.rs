//! What can go wrong between an ONNX model and an artifact.

use std::io;
use std::path::PathBuf;

use skipgate_core::{Hint, IREE_VERSION, MaskError};

use crate::{DialectError, GateError, LIBRARY_VARIABLE, PlanError, TemporaryFolderError};

/// The compiler library could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is in none of the places where it is looked for.
    #[error("libIREECompiler.so was not found; looked in {}", searched.join(", "))]
    NotFound {
        /// The places, in the order they were tried.
        searched: Vec<String>,
    },
    /// The dynamic loader refused the file.
    #[error("{} could not be opened as a compiler library: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the loader said, a missing symbol included.
        source: libloading::Error,
    },
    /// It is a version that this program was not tested with.
    #[error("{} is IREE {found}, expected {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What the library reports.
        found: String,
        /// What this program works with.
        expected: String,
    },
}

impl Hint for LoadError {
    fn hint(&self) -> Option<String> {
        Some(format!(
            "install it with `pip install iree-base-compiler=={IREE_VERSION}` in an active Python environment, \
             or set {LIBRARY_VARIABLE} to its libIREECompiler.so; in a checkout, `cargo xtask setup` does it"
        ))
    }
}

/// The ONNX model has no form in MLIR.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A construct of ONNX that the importer does not translate.
    #[error("node `{node}` ({op_type}): {what} cannot be compiled")]
    Unsupported {
        /// Name of the node, or of its first output.
        node: String,
        /// Its operator.
        op_type: String,
        /// The construct.
        what: String,
    },
    /// The type or shape of an input is not static.
    #[error("the shape of `{value}` is not known")]
    UnknownShape {
        /// Name of the value.
        value: String,
    },
    /// The type or shape of what a node computes could not be inferred.
    #[error("node `{node}` ({op_type}): the shape of its result `{value}` is not known")]
    UnknownResult {
        /// Name of the node, or of its first output.
        node: String,
        /// Its operator.
        op_type: String,
        /// Name of the result.
        value: String,
    },
    /// An element type that has no form in MLIR.
    #[error("`{value}` has ONNX element type {element_type}, which cannot be compiled")]
    ElementType {
        /// Name of the value.
        value: String,
        /// Number in ONNX's `TensorProto.DataType`.
        element_type: i32,
    },
    /// The model itself is at fault.
    #[error(transparent)]
    Model(#[from] skipgate_onnx::Error),
    /// The compiler planned something else than the model.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Hint for ImportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownShape { .. } | Self::UnknownResult { .. } => {
                Some("export the model with static shapes, or run onnx.shape_inference on it".to_owned())
            }
            Self::Unsupported { .. } | Self::ElementType { .. } => None,
            Self::Model(error) => error.hint(),
            Self::Plan(_) => Some("report this with the model".to_owned()),
        }
    }
}

/// A model could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It could not be written as MLIR.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Inputs and outputs that a compiled network cannot have.
    #[error("expected inputs and outputs of static shape, of f32, f16, i8, u8, i32, i64 or bool; {found}")]
    Interface {
        /// What there is instead.
        found: String,
    },
    /// A value is larger than the target can have it.
    #[error("{node} has a result of {} GiB, more than the {} GiB that a value may have", gib(*bytes), gib((*limit).into()))]
    ValueTooLarge {
        /// What computes it.
        node: String,
        /// Its size; the largest number for a size that is larger still.
        bytes: u128,
        /// The largest size that is compiled.
        limit: u64,
    },
    /// The values of the network are too large together.
    #[error("all values together have more than {} GiB; the largest is that of {node}, {} GiB", gib((*limit).into()), gib(*bytes))]
    ValuesTooLarge {
        /// What computes the largest value.
        node: String,
        /// Its size.
        bytes: u128,
        /// The largest sum that is compiled.
        limit: u64,
    },
    /// Temporary files cannot be written.
    #[error(transparent)]
    TemporaryFolder(#[from] TemporaryFolderError),
    /// The compiler refused a flag of the target.
    #[error("the compiler refused the flag `{flag}`: {message}")]
    Flag {
        /// The flag.
        flag: String,
        /// What the compiler said.
        message: String,
    },
    /// The compiler has no code for a part of the network.
    #[error("{}the compiler failed while {phase}: {reason}", at_nodes(nodes))]
    Compiler {
        /// Which step failed.
        phase: &'static str,
        /// Operators and names of the nodes that it failed at, as far as they are known.
        nodes: Vec<String>,
        /// The first thing that it said.
        reason: String,
        /// All that it said, in its own words.
        diagnostics: Vec<String>,
    },
    /// The code calls functions that neither the compiler nor this program has.
    #[error("{}the code for {target} calls {}, which there is no library for", at_nodes(nodes), functions.join(", "))]
    Link {
        /// Names of the functions.
        functions: Vec<String>,
        /// Operators and names of the nodes whose code calls them, as far as they are known.
        nodes: Vec<String>,
        /// What was compiled for.
        target: String,
    },
    /// An edit of the compiler's IR made something of it that is not valid, which is a mistake in this program.
    #[error("{edit} left invalid IR:\n{}", diagnostics.join("\n"))]
    Edit {
        /// Which edit.
        edit: &'static str,
        /// What it asked for in vain, then what the compiler found.
        diagnostics: Vec<String>,
    },
    /// The compiler made something of gated blocks that cannot be skipped.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The compiler's IR is not of the form that this program knows.
    #[error(transparent)]
    Dialect(#[from] DialectError),
    /// A configuration has another number of elements than the model has gates.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// A temporary file could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CompileError {
    /// Whether the same network may compile with branches for gates.
    pub(crate) fn is_about_gates(&self) -> bool {
        matches!(self, Self::Gate(_) | Self::Dialect(_) | Self::Edit { .. })
    }
}

impl Hint for CompileError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Import(error) => error.hint(),
            Self::Gate(_) | Self::Dialect(_) | Self::Edit { .. } => {
                Some("report this with the model".to_owned())
            }
            Self::TemporaryFolder(error) => error.hint(),
            Self::Compiler { nodes, .. } | Self::Link { nodes, .. } if !nodes.is_empty() => Some(
                "export the model with another operator or element type in place of this one, or report it with the model"
                    .to_owned(),
            ),
            Self::Compiler { .. } | Self::Link { .. } => Some("report this with the model".to_owned()),
            Self::ValueTooLarge { .. } | Self::ValuesTooLarge { .. } => {
                Some("check the shapes and repeats that the model gives to this node".to_owned())
            }
            _ => None,
        }
    }
}

/// The beginning of a message about nodes, of which there may be many.
fn at_nodes(nodes: &[String]) -> String {
    let Some((first, others)) = nodes.split_first() else { return String::new() };
    let first = match first.split_once(' ') {
        Some((op_type, name)) => format!("node `{name}` ({op_type})"),
        None => format!("node `{first}`"),
    };
    match others.len() {
        0 => format!("{first}: "),
        more => format!("{first} and {more} more: "),
    }
}

/// A number of bytes in units of 2^30, as text.
fn gib(bytes: u128) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 30))
}

/// An artifact folder could not be written. Nothing is left behind, and an artifact that was there is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// There is something at the output path that is not an artifact.
    #[error("{} exists and is not an artifact folder (it has no manifest.json)", path.display())]
    NotAnArtifact {
        /// The output path.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("the artifact {} could not be written: {source}", path.display())]
    Io {
        /// The output path.
        path: PathBuf,
        /// What it said, with the file it said it about.
        source: io::Error,
    },
}

impl Hint for ArtifactError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAnArtifact { .. } => "name another folder with -o, or remove this one".to_owned(),
            Self::Io { .. } => "name a folder with -o that you may write to and that has room".to_owned(),
        })
    }
}
