//! Which accesses are of one value, and how long each value lives.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Range, RangeInclusive};

use super::sources::Sources;
use super::{Access, Commands, Place};

/// Bytes that have to stay in one place relative to each other, because something reads them together.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) memory: usize,
    /// Where it lies.
    pub(super) range: Range<u64>,
    /// From the wave that first accesses it to the one that last does.
    pub(super) waves: RangeInclusive<usize>,
    /// All accesses of it, in order.
    pub(super) places: Vec<Place>,
}

/// The values of all commands.
#[derive(Debug)]
pub(super) struct Lives {
    pub(super) values: Vec<Value>,
    /// The value that each access is of.
    of_place: HashMap<Place, usize>,
}

impl Lives {
    pub(super) fn value_of(&self, place: Place) -> usize {
        self.of_place[&place]
    }
}

pub(super) fn of(commands: &Commands, sources: &Sources) -> Lives {
    let places: Vec<_> = commands.places().map(|(place, _)| place).collect();
    let numbers: HashMap<_, _> = places.iter().enumerate().map(|(number, &place)| (place, number)).collect();
    let mut groups = Groups((0..places.len()).collect());
    for (number, &(command, access)) in places.iter().enumerate() {
        for (writer, _) in sources[command][access].iter().filter_map(|piece| piece.writer) {
            groups.join(number, numbers[&writer]);
        }
    }
    let mut members: BTreeMap<usize, Vec<Place>> = BTreeMap::new();
    for (number, &place) in places.iter().enumerate() {
        members.entry(groups.root(number)).or_default().push(place);
    }
    let values: Vec<_> = members.into_values().map(|places| value(commands, places)).collect();
    let of_place = values
        .iter()
        .enumerate()
        .flat_map(|(number, value)| value.places.iter().map(move |&place| (place, number)))
        .collect();
    Lives { values, of_place }
}

/// The value that `places`, of which there is one at least, access.
fn value(commands: &Commands, places: Vec<Place>) -> Value {
    let Access { memory, range, .. } = commands.access(places[0]).clone();
    let wave = commands.list[places[0].0].wave;
    let mut value = Value { memory, range, waves: wave..=wave, places };
    for &place in &value.places {
        let (own, wave) = (&commands.access(place).range, commands.list[place.0].wave);
        value.range = value.range.start.min(own.start)..value.range.end.max(own.end);
        value.waves = *value.waves.start().min(&wave)..=*value.waves.end().max(&wave);
    }
    value
}

/// Disjoint sets of numbers, each number with the one that it hangs from.
struct Groups(Vec<usize>);

impl Groups {
    fn root(&mut self, mut number: usize) -> usize {
        while self.0[number] != number {
            self.0[number] = self.0[self.0[number]];
            number = self.0[number];
        }
        number
    }

    /// The smaller root stays one, so that groups are in the order of their first members.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
