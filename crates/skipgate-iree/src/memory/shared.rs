//! Which gates may have their input and output in one place.

use std::collections::BTreeMap;

use super::lives::{Lives, Value};
use super::{Command, Commands, INPUT, OUTPUT, Place, in_cache_line};

/// What [`of`] finds.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Pairs of values that are to be in one place.
    pub(super) pairs: Vec<(usize, usize)>,
    /// Why the other gates have to copy.
    pub(super) copying: BTreeMap<usize, &'static str>,
}

/// `members` says with which gate each command is left out.
pub(super) fn of(commands: &Commands, lives: &Lives, members: &[Option<usize>]) -> Shared {
    let mut shared = Shared::default();
    for (end, command) in commands.list.iter().enumerate() {
        let Some(gate) = command.gate else { continue };
        match obstacle(commands, lives, end, |command| members[command] == Some(gate)) {
            Some(obstacle) => drop(shared.copying.insert(gate, obstacle)),
            None => shared.pairs.push((lives.value_of((end, INPUT)), lives.value_of((end, OUTPUT)))),
        }
    }
    shared
}

/// Why the gate that ends at `end` cannot have its output in the place of its input; `is_member` tells the commands of its
/// block.
fn obstacle(
    commands: &Commands,
    lives: &Lives,
    end: usize,
    is_member: impl Fn(usize) -> bool,
) -> Option<&'static str> {
    let [input, output] = [INPUT, OUTPUT].map(|access| (end, access));
    let [x, y] = [input, output].map(|place| &lives.values[lives.value_of(place)]);
    let is_movable = |value: &Value| commands.memories[value.memory].is_movable;
    let is_whole = |value: &Value, place: Place| commands.access(place).range == value.range;
    if !is_movable(x) {
        return Some("its input is the network's own");
    }
    if !is_movable(y) || x.memory != y.memory {
        return Some("its output is the network's own");
    }
    if lives.value_of(input) == lives.value_of(output) {
        return Some("its input and its output are read as one");
    }
    if !is_whole(x, input) || !is_whole(y, output) {
        return Some("its input or its output is part of another tensor");
    }
    if in_cache_line(x.range.start) != in_cache_line(y.range.start) {
        return Some("its input and its output begin at different places of a cache line");
    }
    let writes = |place: &&Place| place.0 != end && commands.access(**place).writes;
    let own_writes = y.places.iter().filter(writes).map(|place| place.0);
    let writers: Vec<_> = own_writes.take_while(|command| *command < end).collect();
    let Some(&first_write) = writers.first() else { return Some("nothing computes its output") };
    if !writers.iter().all(|&command| is_member(command)) {
        return Some("something else reads what computes its output");
    }
    let is_through = |place: &Place| {
        place.0 == end
            || commands.list[place.0].wave < commands.list[first_write].wave
            || (place.0 == first_write && reads_in_place(&commands.list[first_write], *place, y))
    };
    (!x.places.iter().all(is_through)).then_some("its input is read when its output is being written")
}

/// Whether `command`, which writes `y`, reads at `place` only what it is about to write over.
fn reads_in_place(command: &Command, place: Place, y: &Value) -> bool {
    command.in_place.iter().any(|&(reads, writes)| reads == place.1 && y.places.contains(&(place.0, writes)))
}
