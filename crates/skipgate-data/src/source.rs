//! Where a data set is.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A data set, as on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Handwritten digits that come with skipgate; written `digits`.
    Digits,
    /// A folder, whose kind is recognised by what is in it: the binary files of CIFAR-10 or CIFAR-100, or images in a
    /// subfolder per class.
    Folder(PathBuf),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "digits" { Self::Digits } else { Self::Folder(text.into()) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("digits"),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What networks are trained on.
    Train,
    /// What they are tested on.
    Test,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "train" => Ok(Self::Train),
            "test" => Ok(Self::Test),
            _ => Err(format!("expected `train` or `test`, found `{text}`")),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}
