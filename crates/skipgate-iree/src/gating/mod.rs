//! Gates that cost nothing: commands that are recorded or not.
//!
//! The importer writes a gated block as straight-line code that ends in the call of a kernel that does nothing, its
//! [`marker`]: it takes the block's input and result, and gives the gate's output in the memory of the result. So the
//! compiler sees one network without a branch, keeps the input as long as a closed gate may need it, and lays out its
//! memory once. Two edits of its IR make gates of that:
//!
//! * [`place`], on commands over ranges of memory, finds out which commands are needed for each block alone, puts the
//!   output of a block where its input is, as far as [`crate::memory`] finds and proves that nothing is lost by it, and
//!   replaces markers by copies of the input where it does not;
//! * [`predicate`], on commands as they are recorded, makes those of a gate depend on its element of the mask.
//!
//! A block that is skipped so costs one test of a bit, and leaves its input where its output is expected. There is no
//! wait, no allocation and no command buffer per gate. A function for one configuration is a copy without the commands of
//! the blocks that it skips.

mod dispatches;
mod functions;
pub(crate) mod marker;
mod place;
mod predicate;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use dispatches::dispatches;
pub(crate) use functions::functions;
pub(crate) use place::{Placed, place};
pub(crate) use predicate::predicate;

use crate::dialect::DialectError;
use crate::ir::Op;
use crate::memory::CheckError;

/// Why the gates of a network cannot become skipped commands. Such a network is compiled with branches instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The compiler's IR is not of the form that this program knows.
    #[error(transparent)]
    Dialect(#[from] DialectError),
    /// The planned memory was found to be wrong.
    #[error("the memory of gates does not hold: {0}")]
    Memory(#[from] CheckError),
    /// The compiler made something else of the end of a gate.
    #[error("the compiler changed the end of gate {gates:?}")]
    Marker {
        /// Numbers of the gates that end there.
        gates: Vec<usize>,
    },
    /// The compiler lost or added commands of a block behind the plan's back.
    #[error("{expected} commands belong to gate {gate}, found {found}")]
    Commands {
        /// Number of the gate.
        gate: usize,
        /// As planned.
        expected: usize,
        /// As they are recorded.
        found: usize,
    },
    /// The function is not there.
    #[error("the function `{name}` is gone")]
    Function {
        /// Its name.
        name: String,
    },
}

/// When a command runs, in the location of its operation: locations are what every phase of the compiler carries along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) gate: usize,
    /// Whether it runs if the gate is open; otherwise if it is closed.
    pub(crate) open: bool,
}

impl Mark {
    fn set(self, op: Op) {
        op.add_location_name(&self.to_string());
    }

    fn of(op: Op) -> Option<Self> {
        op.location_names().into_iter().find_map(Self::parse)
    }

    fn parse(name: &str) -> Option<Self> {
        let (gate, state) = name.strip_prefix("skipgate commands of gate ")?.split_once(' ')?;
        Some(Self { gate: gate.parse().ok()?, open: state == "open" })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipgate commands of gate {} {}", self.gate, if self.open { "open" } else { "closed" })
    }
}

/// The operators and names of the nodes in the locations of `operations`, each once.
fn nodes<'i>(operations: impl IntoIterator<Item = Op<'i>>) -> Vec<String> {
    let mut nodes: Vec<String> = Vec::new();
    for name in operations.into_iter().flat_map(Op::location_names) {
        // What is computed of constants alone is no part of an inference.
        let is_node = !name.starts_with("skipgate ") && !name.starts_with("Constant ");
        if is_node && nodes.iter().all(|node| node != name) {
            nodes.push(name.to_owned());
        }
    }
    nodes
}

/// All operations inside of `op`, at any depth.
fn everything_inside(op: Op<'_>) -> Vec<Op<'_>> {
    op.body().flat_map(|inner| [vec![inner], everything_inside(inner)].concat()).collect()
}

/// How many of something there are for each mark.
pub(crate) type Count = BTreeMap<Mark, usize>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_as_text() {
        for open in [true, false] {
            let mark = Mark { gate: 7, open };
            assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
        }
        assert_eq!(Mark::parse("Conv layer1/conv1"), None);
    }
}
