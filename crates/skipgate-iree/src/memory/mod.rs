//! Who shares memory with whom.
//!
//! By the time the compiler has laid out memory, a network is a list of commands over ranges of bytes, and every reader of
//! every byte is in that list. So this is where gates get the memory that makes them free: a block's output is put where
//! its input is, if nothing reads the input any more once the block writes. Then a block that is skipped leaves its input
//! where its output is expected. Where that is not so, the gate copies its input when the block is skipped.
//!
//! [`plan`] decides, in these steps:
//!
//! 1. [`sources`]: which command wrote the bytes that each access reads;
//! 2. [`members`]: which commands are needed for a gate's block alone, and are left out with it;
//! 3. [`lives`]: which accesses are of one value, and how long each value lives;
//! 4. [`shared`]: which gates may have their input and output in one place;
//! 5. [`layout`]: where each value lies;
//!
//! and [`check`] proves the result by running both layouts side by side, byte range by byte range.
//!
//! Nothing here knows of the compiler: `crate::gating` reads commands from its IR and writes the new places back.

mod check;
mod layout;
mod lives;
mod members;
mod shared;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

pub use check::CheckError;

/// Size of a cache line in bytes, which memory begins at a multiple of. The compiler has told code how much of it the places
/// that it reads and writes begin at a multiple of.
const CACHE_LINE: u64 = 64;

/// Where in its cache line a byte is.
fn in_cache_line(offset: u64) -> u64 {
    offset % CACHE_LINE
}

/// The commands of one submission, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commands {
    pub(crate) list: Vec<Command>,
    pub(crate) memories: Vec<Memory>,
}

/// A buffer that commands read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) bytes: u64,
    /// Whether only these commands use it, so that values may be put elsewhere in it, and what it holds at the end is of no
    /// interest.
    pub(crate) is_movable: bool,
}

/// Something that is done to memory.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// Commands of one wave may run at the same time. Waves run one after another, in ascending order.
    pub(crate) wave: usize,
    pub(crate) accesses: Vec<Access>,
    /// The gate that this stands for, if it is no command but the place where a gate ends: its first access reads the
    /// gate's input, its second one reads and writes the gate's output.
    pub(crate) gate: Option<usize>,
    /// Pairs of a reading and a writing access, by number, of which the command reads every byte before it writes the byte
    /// in the same place, and reads it never again: both may be in one place.
    pub(crate) in_place: Vec<(usize, usize)>,
}

/// A range of bytes that a command reads, writes or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) memory: usize,
    pub(crate) range: Range<u64>,
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

/// An access of a command: the numbers of both.
pub(crate) type Place = (usize, usize);

/// The input of a gate, among the accesses of the command that stands for it.
pub(crate) const INPUT: usize = 0;
/// Its output.
pub(crate) const OUTPUT: usize = 1;

/// What [`plan`] decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// Where each access begins, by command and access.
    pub(crate) offsets: Vec<Vec<u64>>,
    /// Size of every memory.
    pub(crate) bytes: Vec<u64>,
    /// The gate that each command is left out with.
    pub(crate) members: Vec<Option<usize>>,
    /// Why the gates that have to copy their input cannot do without.
    pub(crate) copying: BTreeMap<usize, &'static str>,
}

/// Decides where everything lies and what is left out with each gate; fails if the result would not compute the same.
pub(crate) fn plan(commands: &Commands) -> Result<Layout, CheckError> {
    let sources = sources::of(commands, &|_| true);
    let members = members::of(commands, &sources);
    let lives = lives::of(commands, &sources);
    let shared = shared::of(commands, &lives, &members);
    let planned = layout::of(commands, &lives, &shared);
    let (offsets, bytes) = if fits_better(&planned.bytes, commands) || !shared.pairs.is_empty() {
        (planned.offsets, planned.bytes)
    } else {
        (as_they_are(commands), commands.memories.iter().map(|memory| memory.bytes).collect())
    };
    let layout = Layout { offsets, bytes, members, copying: shared.copying };
    check::layout(commands, &sources, &layout)?;
    Ok(layout)
}

/// Whether movable memory of these sizes takes less room than what the commands have.
fn fits_better(bytes: &[u64], commands: &Commands) -> bool {
    let movable = commands.memories.iter().zip(bytes).filter(|(memory, _)| memory.is_movable);
    let (now, then): (Vec<_>, Vec<_>) = movable.map(|(memory, &bytes)| (memory.bytes, bytes)).unzip();
    then.iter().sum::<u64>() < now.iter().sum()
}

fn as_they_are(commands: &Commands) -> Vec<Vec<u64>> {
    let offsets = |command: &Command| command.accesses.iter().map(|access| access.range.start).collect();
    commands.list.iter().map(offsets).collect()
}

impl Commands {
    /// All accesses, in order.
    fn places(&self) -> impl Iterator<Item = (Place, &Access)> {
        self.list.iter().enumerate().flat_map(|(number, command)| {
            command.accesses.iter().enumerate().map(move |(access, found)| ((number, access), found))
        })
    }

    fn access(&self, (command, access): Place) -> &Access {
        &self.list[command].accesses[access]
    }

    /// The same commands with their accesses elsewhere.
    fn moved(&self, offsets: &[Vec<u64>]) -> Self {
        let mut moved = self.clone();
        for (command, offsets) in moved.list.iter_mut().zip(offsets) {
            for (access, &offset) in command.accesses.iter_mut().zip(offsets) {
                access.range = offset..offset + (access.range.end - access.range.start);
            }
        }
        moved
    }
}
