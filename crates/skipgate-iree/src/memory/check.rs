//! Proof of a layout, independent of how it was found.
//!
//! Commands compute the same in the new layout if every byte that one reads was written last by the same command, at the
//! same place of what that command wrote, as before; and if no command reads or writes what another one of its wave
//! writes. A gate that is closed is right if, without the commands of its block, its input stands where its output is
//! expected. Other gates need not be looked at together with it: leaving out commands that nothing reads changes no
//! byte that something reads.

use super::members::by_gate;
use super::sources::{self, Sources, agree};
use super::{Access, Command, Commands, INPUT, Layout, OUTPUT, Place, in_cache_line};

/// The layout is wrong: a mistake of this program, found before it did harm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Two values that live at the same time share bytes.
    #[error("command {command} would read what another one wrote over its operand {access}")]
    Overwritten {
        /// Number of the command.
        command: usize,
        /// Number of the access.
        access: usize,
    },
    /// Two commands that may run at the same time get in each other's way.
    #[error("commands {first} and {second} may run at the same time and share bytes")]
    Race {
        /// Number of the one.
        first: usize,
        /// Number of the other.
        second: usize,
    },
    /// A command writes over what it still reads.
    #[error("command {command} would write over its own operand {access}")]
    SelfOverlap {
        /// Number of the command.
        command: usize,
        /// Number of the access that reads.
        access: usize,
    },
    /// An access would be outside of its memory.
    #[error("operand {access} of command {command} would be outside of its memory")]
    Outside {
        /// Number of the command.
        command: usize,
        /// Number of the access.
        access: usize,
    },
    /// An access would begin elsewhere in a cache line than the code that makes it counts on.
    #[error("operand {access} of command {command} would begin at another place of a cache line")]
    Alignment {
        /// Number of the command.
        command: usize,
        /// Number of the access.
        access: usize,
    },
    /// A block that is skipped would not leave its input where its output is expected.
    #[error("gate {gate} would not give its input when it is closed")]
    Closed {
        /// Number of the gate.
        gate: usize,
    },
}

/// Checks `layout` against what `commands` read where they are, which is `expected`.
pub(super) fn layout(commands: &Commands, expected: &Sources, layout: &Layout) -> Result<(), CheckError> {
    let moved = commands.moved(&layout.offsets);
    inside(&moved, &layout.bytes)?;
    alignment(commands, &moved)?;
    races(commands, &moved)?;
    let check = Check { commands, moved: &moved, expected, layout };
    check.reads(&sources::of(&moved, &|_| true), &|_| true)?;
    check.closed_gates()
}

struct Check<'a> {
    commands: &'a Commands,
    /// The same commands in the new layout.
    moved: &'a Commands,
    expected: &'a Sources,
    layout: &'a Layout,
}

impl Check<'_> {
    /// Checks that the commands that `runs` says run read what they are to.
    fn reads(&self, found: &Sources, runs: &dyn Fn(usize) -> bool) -> Result<(), CheckError> {
        for ((command, access), _) in self.commands.places().filter(|((command, _), _)| runs(*command)) {
            // A gate that shares a place reads its input only when it is closed.
            let is_unread = access == INPUT && self.shares_place(command);
            if !is_unread && !agree(&self.expected[command][access], &found[command][access]) {
                return Err(CheckError::Overwritten { command, access });
            }
        }
        Ok(())
    }

    /// Whether `command` is the end of a gate that copies nothing.
    fn shares_place(&self, command: usize) -> bool {
        let gate = self.commands.list[command].gate;
        gate.is_some_and(|gate| !self.layout.copying.contains_key(&gate))
    }

    /// Checks every gate when it alone is closed.
    fn closed_gates(&self) -> Result<(), CheckError> {
        let members = by_gate(&self.layout.members);
        for (end, command) in self.commands.list.iter().enumerate() {
            let Some(gate) = command.gate else { continue };
            let left_out = members.get(&gate);
            let runs = |command: usize| left_out.is_none_or(|left_out| !left_out.contains(&command));
            let found = sources::of(self.moved, &runs);
            // Where the copy reads from, or where the result is expected.
            let from = if self.shares_place(end) { OUTPUT } else { INPUT };
            if !agree(&self.expected[end][INPUT], &found[end][from]) {
                return Err(CheckError::Closed { gate });
            }
            self.reads(&found, &|command| command != end && runs(command))?;
        }
        Ok(())
    }
}

fn inside(moved: &Commands, bytes: &[u64]) -> Result<(), CheckError> {
    let outside = moved.places().find(|(_, access)| access.range.end > bytes[access.memory]);
    outside.map_or(Ok(()), |((command, access), _)| Err(CheckError::Outside { command, access }))
}

/// Checks that every access begins where in its cache line it did.
fn alignment(commands: &Commands, moved: &Commands) -> Result<(), CheckError> {
    let start = |access: &Access| in_cache_line(access.range.start);
    let shifted = |(place, access): &(Place, &Access)| start(access) != start(moved.access(*place));
    let shifted = commands.places().find(shifted);
    shifted.map_or(Ok(()), |((command, access), _)| Err(CheckError::Alignment { command, access }))
}

/// Checks that commands of one wave do not get in each other's way, and that none gets in its own, more than they did where
/// they were.
fn races(commands: &Commands, moved: &Commands) -> Result<(), CheckError> {
    let real: Vec<_> = (0..moved.list.len()).filter(|&number| moved.list[number].gate.is_none()).collect();
    for wave in real.chunk_by(|&a, &b| moved.list[a].wave == moved.list[b].wave) {
        for (position, &first) in wave.iter().enumerate() {
            own_overlap(commands, moved, first)?;
            for &second in &wave[position + 1..] {
                let pairs = pairs(&moved.list[first], &moved.list[second]);
                if pairs.into_iter().any(|(a, b)| is_new_conflict(commands, moved, (first, a), (second, b))) {
                    return Err(CheckError::Race { first, second });
                }
            }
        }
    }
    Ok(())
}

fn own_overlap(commands: &Commands, moved: &Commands, number: usize) -> Result<(), CheckError> {
    let command = &moved.list[number];
    for (a, b) in pairs(command, command).into_iter().filter(|(a, b)| a < b) {
        let allowed = command.accesses[a].range == command.accesses[b].range
            && (command.in_place.contains(&(a, b)) || command.in_place.contains(&(b, a)));
        if !allowed && is_new_conflict(commands, moved, (number, a), (number, b)) {
            return Err(CheckError::SelfOverlap { command: number, access: a });
        }
    }
    Ok(())
}

/// All pairs of an access of the one and an access of the other.
fn pairs(first: &Command, second: &Command) -> Vec<(usize, usize)> {
    let with_first = |a| (0..second.accesses.len()).map(move |b| (a, b));
    (0..first.accesses.len()).flat_map(with_first).collect()
}

/// Whether two accesses share bytes that one of them writes, and did not where they were.
fn is_new_conflict(commands: &Commands, moved: &Commands, a: Place, b: Place) -> bool {
    conflict(moved.access(a), moved.access(b)) && !conflict(commands.access(a), commands.access(b))
}

fn conflict(a: &Access, b: &Access) -> bool {
    let overlap = a.range.start.max(b.range.start) < a.range.end.min(b.range.end);
    a.memory == b.memory && overlap && (a.writes || b.writes)
}
