//! Which command wrote the bytes that each access reads.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Access, Commands, Place};

/// A piece of what an access reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Bytes, counted from the beginning of the access.
    pub(super) range: Range<u64>,
    /// The access that wrote them last, and where in it they begin; none if nothing has written them.
    pub(super) writer: Option<(Place, u64)>,
}

/// What every access reads, by command and access: pieces in ascending order without gaps, none for one that only writes.
pub(super) type Sources = Vec<Vec<Vec<Piece>>>;

/// Whether an access that is to read `expected` does so if it reads `found`. What nothing has written may be anything.
pub(super) fn agree(expected: &[Piece], found: &[Piece]) -> bool {
    let is_found = |wanted: &Piece| {
        let Some((writer, offset)) = wanted.writer else { return true };
        found.iter().any(|piece| {
            piece.range.start <= wanted.range.start
                && wanted.range.end <= piece.range.end
                && piece.writer.is_some_and(|(other, first)| {
                    other == writer && first + (wanted.range.start - piece.range.start) == offset
                })
        })
    };
    expected.iter().all(is_found)
}

/// The sources of all commands that `runs` says run, if they run in order. Commands of one wave do not see what others of
/// the same wave write.
pub(super) fn of(commands: &Commands, runs: &dyn Fn(usize) -> bool) -> Sources {
    let mut contents = vec![Content::default(); commands.memories.len()];
    let mut sources: Sources =
        commands.list.iter().map(|command| vec![vec![]; command.accesses.len()]).collect();
    let mut written: Vec<Place> = Vec::new();
    let mut wave = 0;
    for (number, command) in commands.list.iter().enumerate().filter(|(number, _)| runs(*number)) {
        if command.wave != wave {
            wave = command.wave;
            write(commands, &mut contents, &mut written);
        }
        for (index, access) in command.accesses.iter().enumerate() {
            if access.reads {
                sources[number][index] = contents[access.memory].read(access);
            }
            if access.writes {
                written.push((number, index));
            }
        }
    }
    sources
}

/// Makes visible what the accesses in `written` write.
fn write(commands: &Commands, contents: &mut [Content], written: &mut Vec<Place>) {
    for place in written.drain(..) {
        let access = commands.access(place);
        contents[access.memory].write(access, place);
    }
}

/// Who wrote which bytes of a memory: ranges by their start, with their end, the writer, and where in the writer's access the
/// range begins. Ranges do not overlap.
#[derive(Debug, Clone, Default)]
struct Content(BTreeMap<u64, (u64, Place, u64)>);

impl Content {
    fn read(&self, access: &Access) -> Vec<Piece> {
        let Range { start, end } = access.range;
        let before = self.0.range(..start).next_back();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut at = start;
        for (&from, &(to, writer, offset)) in before.into_iter().chain(self.0.range(start..end)) {
            let (first, last) = (from.max(start), to.min(end));
            if first >= last {
                continue;
            }
            if first > at {
                pieces.push(Piece { range: at - start..first - start, writer: None });
            }
            pieces.push(Piece {
                range: first - start..last - start,
                writer: Some((writer, offset + (first - from))),
            });
            at = last;
        }
        if at < end {
            pieces.push(Piece { range: at - start..end - start, writer: None });
        }
        joined(pieces)
    }

    fn write(&mut self, access: &Access, writer: Place) {
        let Range { start, end } = access.range;
        let overlapping: Vec<_> = {
            let before = self.0.range(..start).next_back();
            before.into_iter().chain(self.0.range(start..end)).map(|(&from, &rest)| (from, rest)).collect()
        };
        for (from, (to, old, offset)) in overlapping {
            if to <= start {
                continue;
            }
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, (start, old, offset));
            }
            if to > end {
                self.0.insert(end, (to, old, offset + (end - from)));
            }
        }
        if start < end {
            self.0.insert(start, (end, writer, 0));
        }
    }
}

/// Joins neighbours that continue each other.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if continues(last, &piece) => last.range.end = piece.range.end,
            _ => joined.push(piece),
        }
    }
    joined
}

fn continues(a: &Piece, b: &Piece) -> bool {
    match (a.writer, b.writer) {
        (None, None) => true,
        (Some((first, offset)), Some((second, next))) => {
            first == second && offset + (a.range.end - a.range.start) == next
        }
        _ => false,
    }
}
