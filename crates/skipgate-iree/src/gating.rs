//! Gates that cost nothing: dispatches that are recorded or not.
//!
//! The importer writes a gated block as straight-line code between two [boundaries](Boundary), so that the compiler
//! sees one network without a branch, lays out its memory once and puts all its dispatches into one command buffer.
//! Two edits of its IR, each between two of the compiler's phases, make gates of that:
//!
//! * [`place`], on dispatches that still are operations on tensors, lets the last dispatch of a block write over the
//!   block's input, in the same memory, and marks all dispatches of the block with the gate's number;
//! * [`predicate`], on commands, makes those of a gate depend on its element of the mask.
//!
//! A block that is skipped so costs one test of a bit, and leaves its input where its output is expected. There is no
//! copy, no wait, no allocation and no command buffer per gate. A function for one configuration is a copy without the
//! commands of the blocks that it skips.

mod dispatches;
mod frames;
mod place;
mod predicate;

use std::fmt;

pub(crate) use dispatches::dispatches;
pub(crate) use place::{Placed, place};
pub(crate) use predicate::predicate;

use crate::ir::Op;

/// The location of an optimisation barrier behind a value that was put into its frame. Without it, the compiler would
/// compute the value for other readers once more outside of the frame.
pub(crate) const FRAME: &str = "skipgate frame";

/// Where a gated block begins or ends, as the location of an optimisation barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boundary {
    gate: usize,
    exit: bool,
}

impl Boundary {
    /// In front of the block.
    pub(crate) fn entry(gate: usize) -> Self {
        Self { gate, exit: false }
    }

    /// Behind it.
    pub(crate) fn exit(gate: usize) -> Self {
        Self { gate, exit: true }
    }

    fn parse(name: &str) -> Option<Self> {
        let (gate, side) = name.strip_prefix("skipgate gate ")?.split_once(' ')?;
        Some(Self { gate: gate.parse().ok()?, exit: side == "exit" })
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipgate gate {} {}", self.gate, if self.exit { "exit" } else { "entry" })
    }
}

/// Why gates cannot become skipped dispatches. None is expected of any model: the importer only writes what fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gate {gate}: {problem}")]
pub struct GateError {
    /// Number of the gate.
    pub gate: usize,
    /// What does not fit.
    pub problem: &'static str,
}

/// What the first edit leaves for the second, in the location of an operation: locations are what every phase of the
/// compiler carries along.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// The gate whose block the operation is part of.
    gate: usize,
    /// Bindings whose memory is that of another one, by number.
    aliases: Vec<(usize, usize)>,
}

impl Mark {
    fn set(&self, op: Op) {
        op.add_location_name(&self.to_string());
    }

    fn of(op: Op) -> Option<Self> {
        op.location_names().into_iter().find_map(Self::parse)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut words = name.strip_prefix("skipgate block ")?.split(' ');
        let gate = words.next()?.parse().ok()?;
        let alias = |word: &str| {
            let (from, to) = word.split_once('=')?;
            Some((from.parse().ok()?, to.parse().ok()?))
        };
        Some(Self { gate, aliases: words.map(alias).collect::<Option<_>>()? })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipgate block {}", self.gate)?;
        self.aliases.iter().try_for_each(|(from, to)| write!(f, " {from}={to}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_survive_as_text() {
        for boundary in [Boundary::entry(0), Boundary::exit(50)] {
            assert_eq!(Boundary::parse(&boundary.to_string()), Some(boundary));
        }
        assert_eq!(Boundary::parse("Conv layer1/conv1"), None);
    }

    #[test]
    fn marks_survive_as_text() {
        for aliases in [vec![], vec![(0, 3), (1, 3)]] {
            let mark = Mark { gate: 7, aliases };
            assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
        }
        assert_eq!(Mark::parse("skipgate gate 7 entry"), None);
    }
}
