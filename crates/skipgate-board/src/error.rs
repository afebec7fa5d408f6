//! What can go wrong.

use std::io;
use std::path::PathBuf;

use skipgate_core::{Arch, FileDigest, Hint, ManifestError, Target};

use crate::program::archive;

/// Why something could not be run on a board.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no manifest.
    #[error("`{}` is not an artifact folder: it has no manifest.json", .0.display())]
    NotAnArtifact(PathBuf),
    /// The manifest is not usable.
    #[error("cannot use `{}`", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A file of the artifact is not what the manifest says.
    #[error("`{}` is damaged: expected {expected}, found {found}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the manifest says.
        expected: FileDigest,
        /// What is there.
        found: FileDigest,
    },
    /// Nobody knows where the program for the board is.
    #[error("found no program for `{}`, a board with {}", .0.name, .0.arch.name())]
    NoProgram(Box<Target>),
    /// The program is for another machine.
    #[error("`{}` is a program for {found}, the artifact is for {}", .path.display(), .expected.name())]
    WrongProgram {
        /// The program.
        path: PathBuf,
        /// What it is for.
        found: String,
        /// What the artifact is for.
        expected: Arch,
    },
    /// The program that opens connections does not start.
    #[error("cannot start `{program}`: {source}")]
    NoSsh {
        /// `ssh`, or what stands in for it.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// `SKIPGATE_SSH` is no command.
    #[error("SKIPGATE_SSH: expected a command such as `ssh -F FILE`, found `{0}`")]
    SshVariable(String),
    /// There is no connection.
    #[error("cannot reach {host}: {said}")]
    Unreachable {
        /// The board.
        host: String,
        /// What ssh says.
        said: String,
    },
    /// The connection was there and is gone.
    #[error("the connection to {host} broke")]
    Broken {
        /// The board.
        host: String,
    },
    /// The board could not do what it was told.
    #[error("{host}: cannot {what}: {said}")]
    Failed {
        /// The board.
        host: String,
        /// What it was told.
        what: String,
        /// What it says.
        said: String,
    },
    /// The artifact is for another kind of processor.
    #[error("{host} is a machine of kind {found}, the artifact is for {} ({})", .target.arch.name(), .target.name)]
    WrongMachine {
        /// The board.
        host: String,
        /// What `uname -m` says.
        found: String,
        /// What the artifact is for.
        target: Box<Target>,
    },
    /// The board's processor lacks something.
    #[error("the processor of {host} lacks {}, which artifacts for {} need", .missing.join(", "), .target.name)]
    MissingFeatures {
        /// The board.
        host: String,
        /// What is missing.
        missing: Vec<String>,
        /// What the artifact is for.
        target: Box<Target>,
    },
    /// There is no room for the files.
    #[error("{host} has {available} bytes free in `{folder}`, {needed} are needed")]
    NoSpace {
        /// The board.
        host: String,
        /// The folder there.
        folder: String,
        /// Bytes that are free.
        available: u64,
        /// Bytes of the files that are missing there.
        needed: u64,
    },
    /// Text that cannot be handed to the board.
    #[error("cannot hand `{0}` to another machine: only text without NUL can be")]
    NotText(String),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io(_) | Self::SshVariable(_) | Self::NotText(_) => return None,
            Self::NotAnArtifact(_) => "give the folder that `skipgate compile` wrote".to_owned(),
            Self::Manifest { source, .. } => return source.hint(),
            Self::Damaged { .. } => "compile the model again with `skipgate compile`".to_owned(),
            Self::NoProgram(target) => no_program(target),
            Self::WrongProgram { .. } => "give the program for the board with --program".to_owned(),
            Self::NoSsh { .. } => {
                "install OpenSSH's client (Debian: apt-get install openssh-client), or name another one in SKIPGATE_SSH"
                    .to_owned()
            }
            Self::Unreachable { host, said } => unreachable(host, said),
            Self::Broken { host } => format!("see that {host} still answers, and try again"),
            Self::Failed { .. } => {
                "give another folder of the board in the address, such as ssh://HOST/var/tmp/skipgate".to_owned()
            }
            Self::WrongMachine { target, .. } => format!(
                "compile for that machine (`skipgate targets` lists them), or name with --runner what runs programs for {} there",
                target.arch.name()
            ),
            Self::MissingFeatures { .. } => "compile for that processor; `skipgate targets` lists them".to_owned(),
            Self::NoSpace { .. } => "make room there, or give another folder: ssh://HOST/FOLDER".to_owned(),
        })
    }
}

fn no_program(target: &Target) -> String {
    format!(
        "build it with `cargo xtask program {}` in a checkout, or unpack {}.tar.xz of the release beside skipgate, or name \
         the file with --program or in {}",
        target.name,
        archive(target.arch),
        target.arch.program_variable()
    )
}

fn unreachable(host: &str, said: &str) -> String {
    if said.contains("Host key verification failed") {
        format!("connect once with `ssh {host}` and compare the key that it shows")
    } else if said.contains("Permission denied") {
        format!("let it know your key: `ssh-copy-id {host}`")
    } else {
        format!("see that `ssh {host} true` works")
    }
}
