//! Which commands are needed for a gate's block alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::sources::Sources;
use super::{Commands, OUTPUT, Place};

/// The gate that each command is left out with: all that reads what the command writes is left out too, or is the end of that
/// gate, where the block's result is taken.
pub(super) fn of(commands: &Commands, sources: &Sources) -> Vec<Option<usize>> {
    let readers = readers(commands, sources);
    let mut members = vec![None; commands.list.len()];
    for (end, gate) in gates(commands) {
        for command in block(commands, sources, &readers, end) {
            members[command] = Some(gate);
        }
    }
    members
}

/// Where each gate ends.
fn gates(commands: &Commands) -> impl Iterator<Item = (usize, usize)> {
    commands.list.iter().enumerate().filter_map(|(number, command)| Some((number, command.gate?)))
}

/// The accesses that read what each command writes.
fn readers(commands: &Commands, sources: &Sources) -> HashMap<usize, Vec<Place>> {
    let mut readers: HashMap<_, Vec<_>> = HashMap::new();
    for (place, _) in commands.places() {
        for piece in &sources[place.0][place.1] {
            if let Some(((writer, _), _)) = piece.writer {
                readers.entry(writer).or_default().push(place);
            }
        }
    }
    readers
}

/// The commands of the block that ends at `end`.
fn block(
    commands: &Commands,
    sources: &Sources,
    readers: &HashMap<usize, Vec<Place>>,
    end: usize,
) -> HashSet<usize> {
    let mut members = behind(commands, sources, end);
    loop {
        let stays = |command: &usize| {
            let inside =
                |&(reader, access): &Place| members.contains(&reader) || (reader, access) == (end, OUTPUT);
            readers.get(command).is_some_and(|readers| readers.iter().all(inside))
        };
        let staying: HashSet<_> = members.iter().copied().filter(stays).collect();
        if staying.len() == members.len() {
            return members;
        }
        members = staying;
    }
}

/// The commands that the result at `end` depends on, back to other gates, as far as nothing outside can see what they write.
fn behind(commands: &Commands, sources: &Sources, end: usize) -> HashSet<usize> {
    let (mut found, mut work) = (HashSet::new(), vec![(end, OUTPUT)]);
    while let Some((command, access)) = work.pop() {
        for ((writer, _), _) in sources[command][access].iter().filter_map(|piece| piece.writer) {
            let writes = &commands.list[writer];
            let is_visible =
                |place: &super::Access| place.writes && !commands.memories[place.memory].is_movable;
            if writes.gate.is_none() && !writes.accesses.iter().any(is_visible) && found.insert(writer) {
                work.extend((0..writes.accesses.len()).map(|access| (writer, access)));
            }
        }
    }
    found
}

/// The commands of each gate.
pub(super) fn by_gate(members: &[Option<usize>]) -> BTreeMap<usize, HashSet<usize>> {
    let mut gates: BTreeMap<_, HashSet<_>> = BTreeMap::new();
    for (command, gate) in members.iter().enumerate() {
        if let Some(gate) = gate {
            gates.entry(*gate).or_default().insert(command);
        }
    }
    gates
}
