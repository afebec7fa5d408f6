//! What can go wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use skipgate_core::{
    Arch, ElementType, FileDigest, Hint, IREE_REVISION, IREE_VERSION, IndexInput, IreeVersion, MANIFEST_FILE,
    ManifestError, MaskError, NotOneF32, SIGNATURE_FILE, TensorSpec,
};

use crate::Device;

/// Why an artifact could not be opened or run. Owns everything it tells.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or mapped; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path is something else than an artifact folder.
    #[error("`{}` is not an artifact folder: {found}", .path.display())]
    NotAnArtifact {
        /// The path asked for.
        path: PathBuf,
        /// What is there.
        found: Found,
    },
    /// The manifest is not usable.
    #[error("cannot use `{}`: {source}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// Another version of IREE than this runtime's compiled the artifact.
    #[error(
        "`{}` was compiled by IREE {} ({}), this program runs IREE {IREE_VERSION} ({IREE_REVISION})",
        .path.display(), .found.version, .found.revision
    )]
    IreeVersion {
        /// The artifact.
        path: PathBuf,
        /// Its compiler.
        found: IreeVersion,
    },
    /// The artifact is for another instruction set.
    #[error(
        "`{}` was compiled for {target} ({}), this machine is {}",
        .path.display(), .found.name(), std::env::consts::ARCH
    )]
    Arch {
        /// The artifact.
        path: PathBuf,
        /// Name of its target.
        target: String,
        /// Instruction set of its target.
        found: Arch,
    },
    /// The artifact relies on instructions that this machine lacks.
    #[error("`{}` was compiled for {target}, this machine lacks {}", .path.display(), .features.join(", "))]
    MissingFeatures {
        /// The artifact.
        path: PathBuf,
        /// Name of its target.
        target: String,
        /// LLVM names of the missing features.
        features: Vec<String>,
    },
    /// A file is not the one that the manifest lists.
    #[error("`{}` is damaged: it is {found}, its manifest says {expected}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the manifest says.
        expected: FileDigest,
        /// What the file is; without a hash if its size tells enough.
        found: FileDigest,
    },
    /// The key that artifacts must be signed with is none.
    #[error("it is no public key of minisign's")]
    PublicKey,
    /// The artifact must be signed, and is not.
    #[error("`{}` is not signed: there is no {SIGNATURE_FILE}", .path.display())]
    Unsigned {
        /// The artifact.
        path: PathBuf,
    },
    /// The signature is damaged, by another key, or that of another manifest.
    #[error("`{}` is no signature of the manifest beside it by this key: {source}", .path.display())]
    Signature {
        /// The signature.
        path: PathBuf,
        /// What is wrong with it.
        source: minisign_verify::Error,
    },
    /// A file in a signed artifact, or the compiled network of any, is not listed in the manifest.
    #[error("`{}` is not listed in the manifest", .path.display())]
    Unlisted {
        /// The file.
        path: PathBuf,
    },
    /// The mask does not fit the gate table.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// One tensor is given to or asked of a network that has several, or others than f32.
    #[error(transparent)]
    NotOneF32(#[from] NotOneF32),
    /// The elements given do not fit the input.
    #[error("input `{expected}` takes {} elements of type {}, found {found} of type {found_type}",
        .expected.elements().unwrap_or_default(), .expected.element_type)]
    Input {
        /// The input.
        expected: TensorSpec,
        /// Number of elements given.
        found: usize,
        /// Type of the elements given.
        found_type: ElementType,
    },
    /// An input that the network uses as indices holds one that is not there.
    #[error("input `{}` holds {found} at place {place}, `{}` takes indices from {} to {}",
        .expected.input, .expected.node, .expected.least, .expected.most)]
    Index {
        /// The input and its limits.
        expected: IndexInput,
        /// The number of the element in row-major order.
        place: usize,
        /// The element.
        found: i64,
    },
    /// Not every input is given once.
    #[error("the network takes the inputs {expected}, found {found}")]
    Inputs {
        /// The names of all inputs.
        expected: String,
        /// The names given.
        found: String,
    },
    /// The network returned another tensor than its manifest promises.
    #[error("the model returned {found}, its manifest promises `{expected}`")]
    Output {
        /// The promise.
        expected: TensorSpec,
        /// Type and shape that came back.
        found: String,
    },
    /// The number of worker threads is out of range.
    #[error("{found} worker threads are not possible, 1 to {} are", Device::MAX_THREADS)]
    Threads {
        /// The number asked for.
        found: usize,
    },
    /// This target has no multi-threaded device.
    #[error("there are no worker threads on this 32-bit target")]
    NoWorkers,
    /// The thread of a server cannot be bound to this core.
    #[error("cannot pin the server to core {cpu}: {source}")]
    Cpu {
        /// The core asked for.
        cpu: usize,
        /// What the operating system says.
        source: io::Error,
    },
    /// A controller chose a configuration that does not exist.
    #[error("the controller chose configuration {found}, there are {count}")]
    Configuration {
        /// Its number.
        found: usize,
        /// Number of masks.
        count: usize,
    },
    /// A request asks for a configuration that does not exist.
    #[error("there is no configuration {found}, there are {count}, numbered from 0")]
    NoConfiguration {
        /// Its number.
        found: usize,
        /// Number of masks.
        count: usize,
    },
    /// A request could only be begun with after its deadline, and was not run.
    #[error("the deadline was over {} us before the request's turn came", .late.as_micros())]
    TooLate {
        /// Time from the deadline to its turn.
        late: Duration,
    },
    /// The thread of a server ended before it answered.
    #[error("the server's thread ended before it answered")]
    ServerStopped,
    /// IREE's runtime reported a failure.
    #[error("IREE failed to {doing}: {status}")]
    Iree {
        /// What was asked of it.
        doing: &'static str,
        /// What it answered.
        status: Status,
    },
}

/// What a path that is no artifact folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// A folder without a manifest.
    Folder,
    /// An ONNX model.
    Onnx,
    /// A compiled network without its folder.
    Vmfb,
    /// Another file.
    File,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => write!(f, "it holds no {MANIFEST_FILE}"),
            Self::Onnx => f.write_str("it is an ONNX model"),
            Self::Vmfb => f.write_str("it is a compiled network without its folder"),
            Self::File => f.write_str("it is a file"),
        }
    }
}

/// A failure inside IREE's runtime, copied out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Number of the code, as in IREE's `iree_status_code_t`.
    pub code: u32,
    /// Place in IREE's source, name of the code, and explanation.
    pub message: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotAnArtifact { found: Found::Onnx, .. } => {
                "compile it first: `skipgate compile MODEL.onnx -o DIR`, then open DIR"
            }
            Self::NotAnArtifact { .. } => "name the folder that `skipgate compile` wrote",
            Self::Manifest { source, .. } => return source.hint(),
            Self::IreeVersion { .. } => "compile the model again with the `skipgate` of this version",
            Self::Arch { .. } => {
                "run it on its own machine, or compile the model for this one (`skipgate targets` lists them)"
            }
            Self::MissingFeatures { .. } => {
                "compile the model with `--target host` on this machine, or for a lower level such as `x86-64-v3`"
            }
            Self::Damaged { .. } => {
                "copy the artifact again, or compile the model again; sign it again if you changed it yourself"
            }
            Self::PublicKey => "name the `.pub` file that `skipgate keygen` or `minisign -G` wrote",
            Self::Unsigned { .. } => {
                "sign it: `skipgate sign DIR --key KEY`; or ask who made it for a signed one"
            }
            Self::Signature { .. } => {
                "do not use the artifact unless you know why; ask who made it for one with their signature"
            }
            Self::Unlisted { .. } => {
                "remove it if you do not know it, and sign the artifact again if you do: `skipgate sign`"
            }
            Self::Cpu { .. } => {
                "cores count from 0, and this process must be allowed to use them; see `taskset -pc $$`"
            }
            Self::NoWorkers => "use the single-threaded device",
            Self::NotOneF32(_) => "give and take tensors by name (`Session::run_named`)",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
