//! Runs artifacts on another machine, a board, which the system's `ssh` program reaches.
//!
//! [`Board::connect`] looks at the board and finds out what it lacks, [`Board::copy`] sends that, and [`Board::run`] runs the
//! program there. Files are kept in one folder on the board under the SHA-256 of what they hold, written under another name
//! first: what is there already is not sent again, and a connection that breaks leaves nothing half. Each run has a temporary
//! folder of its own, which goes when the run ends in whatever way.
#![forbid(unsafe_code)]

mod board;
mod destination;
mod error;
mod files;
mod machine;
mod program;
mod script;
mod ssh;

pub use board::{Board, Ended, Input, Job, Pin};
pub use destination::{Destination, NotADestination};
pub use error::Error;
pub use files::{File, artifact_files, read_manifest};
pub use machine::{Core, Machine};
pub use program::find_program;
