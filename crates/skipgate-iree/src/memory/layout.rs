//! Where each value lies.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::lives::Lives;
use super::shared::Shared;
use super::{CACHE_LINE, Commands, as_they_are, in_cache_line};

/// What [`of`] finds.
pub(super) struct Places {
    /// Where each access begins.
    pub(super) offsets: Vec<Vec<u64>>,
    /// Size of each memory.
    pub(super) bytes: Vec<u64>,
}

/// Values that are in one place.
struct Group {
    values: Vec<usize>,
    memory: usize,
    /// Where in a cache line it begins: compiled code may count on that.
    lead: u64,
    /// Size from the start of that cache line on.
    bytes: u64,
    waves: RangeInclusive<usize>,
}

/// Puts values that do not live at the same time over each other: the largest first, each where it fits first.
pub(super) fn of(commands: &Commands, lives: &Lives, shared: &Shared) -> Places {
    let mut places = Places {
        offsets: as_they_are(commands),
        bytes: commands.memories.iter().map(|memory| memory.bytes).collect(),
    };
    for (memory, _) in commands.memories.iter().enumerate().filter(|(_, memory)| memory.is_movable) {
        let mut groups: Vec<_> =
            groups(lives, shared).into_iter().filter(|group| group.memory == memory).collect();
        groups.sort_by_key(|group| (u64::MAX - group.bytes, *group.waves.start(), group.values[0]));
        let mut placed: Vec<(u64, &Group)> = Vec::new();
        for group in &groups {
            let offset = first_fit(&placed, group);
            placed.push((offset, group));
            for &value in &group.values {
                let value = &lives.values[value];
                for &(command, access) in &value.places {
                    let within = commands.access((command, access)).range.start - value.range.start;
                    places.offsets[command][access] = offset + group.lead + within;
                }
            }
        }
        places.bytes[memory] =
            placed.iter().map(|(offset, group)| aligned(offset + group.bytes)).max().unwrap_or(0);
    }
    places
}

fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(CACHE_LINE)
}

/// The lowest cache line from which on `group` overlaps nothing that lives at the same time.
fn first_fit(placed: &[(u64, &Group)], group: &Group) -> u64 {
    let lives_too =
        |other: &Group| other.waves.start() <= group.waves.end() && group.waves.start() <= other.waves.end();
    let mut taken: Vec<_> = placed
        .iter()
        .filter(|(_, other)| lives_too(other))
        .map(|(offset, other)| (*offset, offset + other.bytes))
        .collect();
    taken.sort_unstable();
    let mut offset = 0;
    for (start, end) in taken {
        if offset + group.bytes <= start {
            break;
        }
        offset = offset.max(aligned(end));
    }
    offset
}

/// The values, those together that share a place.
fn groups(lives: &Lives, shared: &Shared) -> Vec<Group> {
    let mut leaders: Vec<_> = (0..lives.values.len()).collect();
    // Pairs are in the order of gates, and the output of one is the input of the next.
    for &(input, output) in &shared.pairs {
        let (keep, replace) = (leaders[input], leaders[output]);
        leaders.iter_mut().filter(|leader| **leader == replace).for_each(|leader| *leader = keep);
    }
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for (number, (value, leader)) in lives.values.iter().zip(leaders).enumerate() {
        let lead = in_cache_line(value.range.start);
        let bytes = lead + value.range.end - value.range.start;
        let group = groups.entry(leader).or_insert_with(|| Group {
            values: vec![],
            memory: value.memory,
            lead,
            bytes: 0,
            waves: value.waves.clone(),
        });
        group.values.push(number);
        group.bytes = group.bytes.max(bytes);
        group.waves =
            *group.waves.start().min(value.waves.start())..=*group.waves.end().max(value.waves.end());
    }
    groups.into_values().collect()
}
