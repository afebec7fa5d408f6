//! What can go wrong.

use std::io;
use std::path::PathBuf;

use skipgate_core::{Hint, MaskError};
use skipgate_runtime as runtime;

/// Why an exploration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The artifact could not be loaded or failed.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The network has nothing to choose from.
    #[error("the network has no gates, so there is no block to skip")]
    NoGates,
    /// The file is no results store.
    #[error("`{}`, line {line}, is not a result: {found}", .path.display())]
    StoreSyntax {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        found: String,
    },
    /// The results store holds the results of something else.
    #[error("`{}` holds results of another {what}: {found}, expected {expected}", .path.display())]
    StoreOfAnother {
        /// The file.
        path: PathBuf,
        /// Model or data set.
        what: &'static str,
        /// Hash of this one.
        expected: String,
        /// Hash in the file.
        found: String,
    },
    /// Another process works with the results store.
    #[error("`{}` is in use by another process", .path.display())]
    StoreInUse {
        /// The file.
        path: PathBuf,
    },
    /// There are too few images for two halves.
    #[error(
        "the data set has {found} images, at least {expected} are needed: half to choose masks on, half to report on"
    )]
    SmallDataSet {
        /// Images needed.
        expected: usize,
        /// Images there.
        found: usize,
    },
    /// There are fewer images than are asked for.
    #[error("the search needs {expected} images and some more to report on, the data set has {found}")]
    TooFewImages {
        /// Images asked for.
        expected: usize,
        /// Images there.
        found: usize,
    },
    /// The rest of the work belongs to other shards.
    #[error("{missing} evaluations are the work of other shards")]
    Pending {
        /// Number of masks times blocks of images.
        missing: usize,
    },
    /// The text is no shard.
    #[error("a shard is written K/N, with K from 1 to N, found `{found}`")]
    Shard {
        /// What was given.
        found: String,
    },
    /// A file with scores of blocks is not usable.
    #[error("cannot use the scores in `{}`: {found}", .path.display())]
    Scores {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A file with latencies is not usable.
    #[error("cannot use the latencies in `{}`: {found}", .path.display())]
    Latencies {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The picture could not be drawn.
    #[error(transparent)]
    Plot(#[from] skipgate_plot::Error),
    /// A mask does not fit the network.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Runtime(error) => return error.hint(),
            Self::Io(_) | Self::Mask(_) | Self::Plot(_) => return None,
            Self::NoGates => "compile it without `--ungated`".to_owned(),
            Self::StoreSyntax { .. } => "give another file with --store, or remove the line".to_owned(),
            Self::StoreOfAnother { .. } => "give another file with --store".to_owned(),
            Self::StoreInUse { .. } => "wait for it, or give another file with --store".to_owned(),
            Self::SmallDataSet { .. } => "add images, or give another part of the data set with --part".to_owned(),
            Self::TooFewImages { .. } => "ask for fewer with --search-images".to_owned(),
            Self::Pending { .. } => {
                "run the other shards, put their stores together with `skipgate merge`, and go on with the result"
                    .to_owned()
            }
            Self::Shard { .. } => "the second of four shards is 2/4".to_owned(),
            Self::Scores { .. } => "write them with `skipgate-models importance`".to_owned(),
            Self::Latencies { .. } => "measure them with `skipgate bench DIR --format json`".to_owned(),
        })
    }
}
