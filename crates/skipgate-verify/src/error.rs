//! What can go wrong.

use std::path::PathBuf;

use skipgate_core::Hint;

/// Why an artifact could not be verified. A mismatch is no error but a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The artifact cannot be opened or run.
    #[error(transparent)]
    Runtime(#[from] skipgate_runtime::Error),
    /// The model cannot be read or rewritten.
    #[error(transparent)]
    Model(#[from] skipgate_onnx::Error),
    /// The compiler library cannot be used.
    #[error(transparent)]
    Load(#[from] skipgate_iree::LoadError),
    /// A reference cannot be compiled.
    #[error("cannot compile the reference for mask {mask}: {source}")]
    Compile {
        /// The mask.
        mask: String,
        /// What the compiler says.
        source: skipgate_iree::CompileError,
    },
    /// A reference cannot be written to a temporary folder.
    #[error(transparent)]
    Artifact(#[from] skipgate_iree::ArtifactError),
    /// ONNX Runtime refuses the model.
    #[error("ONNX Runtime: {0}")]
    OnnxRuntime(#[from] ort::Error),
    /// The manifest cannot be used.
    #[error("cannot use `{}`: {source}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: skipgate_core::ManifestError,
    },
    /// The artifact was compiled from another model.
    #[error(
        "{} is not the model that the artifact was made of: its SHA-256 is {found}, the manifest says {expected}",
        .path.display()
    )]
    OtherModel {
        /// The model.
        path: PathBuf,
        /// Hash of the model, in hexadecimal.
        found: String,
        /// Hash in the manifest, in hexadecimal.
        expected: String,
    },
    /// Tensors do not fit the network.
    #[error(transparent)]
    Tensors(#[from] skipgate_data::StackedError),
    /// Something computes tensors of another type than the network.
    #[error(transparent)]
    Type(#[from] skipgate_core::WrongType),
    /// ONNX Runtime has an output of a type that no artifact has.
    #[error("ONNX Runtime gives `{name}` in a type that is not supported")]
    OutputType {
        /// Name of the output.
        name: String,
    },
    /// Nothing here can run the artifact.
    #[error("nothing here runs an artifact for {target}: {reason}")]
    NoEmulator {
        /// Name of the target.
        target: String,
        /// What is missing.
        reason: String,
    },
    /// The program for the board failed.
    #[error("the program for the board ended with {status}: {message}")]
    Board {
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it said.
        message: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Runtime(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Compile { source, .. } => source.hint(),
            Self::OtherModel { .. } => Some(
                "name the file that `skipgate compile` was given, or the one that was gated for it"
                    .to_owned(),
            ),
            Self::NoEmulator { .. } => Some(
                "install qemu-user, build the program for the board as the README says, and name it with --program"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
