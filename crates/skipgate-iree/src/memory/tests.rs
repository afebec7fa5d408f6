//! Plans of commands against a simulation of their bytes.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::check::{self, CheckError};
use super::*;

/// A network as values that are computed one after another, and its commands with all values in places of their own.
#[derive(Debug, Clone)]
struct Network {
    steps: Vec<Step>,
}

/// What computes value number `1 + index`; value 0 is the input. All values are of one size.
#[derive(Debug, Clone)]
enum Step {
    /// A kernel that reads some values. If it is told to, it may write over the last one that it reads.
    Kernel { reads: Vec<usize>, in_place: bool },
    /// A gate with its input and the result of its block.
    Gate { input: usize, result: usize },
}

/// Bytes of a value. Those of the first one are the network's input.
const BYTES: u64 = 64;

impl Network {
    /// Values that something reads, or that are the last one, are the only ones that a compiler would keep.
    fn commands(&self) -> Commands {
        let mut places = vec![(0, 0)];
        let mut list = Vec::new();
        let mut gates = 0;
        let mut transient = 0;
        for (index, step) in self.steps.iter().enumerate() {
            let read = |place: (usize, u64)| access(place, true, false);
            match step {
                Step::Kernel { reads, in_place } => {
                    let is_last = index + 1 == self.steps.len();
                    let place = if is_last { (2, 0) } else { (1, transient * BYTES) };
                    transient += u64::from(!is_last);
                    let mut accesses: Vec<_> = reads.iter().map(|&value| read(places[value])).collect();
                    let pair = (accesses.len().wrapping_sub(1), accesses.len());
                    accesses.push(access(place, false, true));
                    let in_place = if *in_place && !reads.is_empty() { vec![pair] } else { vec![] };
                    list.push(Command { wave: index, accesses, gate: None, in_place });
                    places.push(place);
                }
                &Step::Gate { input, result } => {
                    let accesses = vec![read(places[input]), access(places[result], true, true)];
                    list.push(Command { wave: index, accesses, gate: Some(gates), in_place: vec![] });
                    places.push(places[result]);
                    gates += 1;
                }
            }
        }
        let memory = |bytes, is_movable| Memory { bytes, is_movable };
        Commands {
            list,
            memories: vec![memory(BYTES, false), memory(transient * BYTES, true), memory(BYTES, false)],
        }
    }

    fn gates(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Gate { .. })).count()
    }

    /// The last value, if `mask` says which gates are open.
    fn result(&self, mask: &[bool]) -> u64 {
        let mut values = vec![1];
        let mut gate = 0;
        for (index, step) in self.steps.iter().enumerate() {
            values.push(match step {
                Step::Kernel { reads, .. } => compute(index, reads.iter().map(|&value| values[value])),
                &Step::Gate { input, result } => {
                    gate += 1;
                    values[if mask[gate - 1] { result } else { input }]
                }
            });
        }
        *values.last().expect("there is the input")
    }
}

fn access((memory, offset): (usize, u64), reads: bool, writes: bool) -> Access {
    Access { memory, range: offset..offset + BYTES, reads, writes }
}

/// A number that tells what a kernel has read.
fn compute(kernel: usize, reads: impl Iterator<Item = u64>) -> u64 {
    reads.fold(kernel as u64 + 2, |sum, value| {
        sum.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(value).rotate_left(7)
    })
}

/// Runs commands in a layout: every range holds one number. What is overwritten in part is lost.
fn run(commands: &Commands, layout: &Layout, mask: &[bool]) -> u64 {
    let moved = commands.moved(&layout.offsets);
    let mut contents: BTreeMap<(usize, u64), u64> = [((0, 0), 1)].into();
    let write = |contents: &mut BTreeMap<(usize, u64), u64>, access: &Access, value: u64| {
        let own = access.range.start;
        contents.retain(|&(memory, start), _| {
            memory != access.memory || start + BYTES <= own || own + BYTES <= start
        });
        contents.insert((access.memory, own), value);
    };
    let read = |contents: &BTreeMap<(usize, u64), u64>, access: &Access| {
        contents.get(&(access.memory, access.range.start)).copied().unwrap_or(0)
    };
    for (number, command) in moved.list.iter().enumerate() {
        if let Some(gate) = command.gate {
            if !mask[gate] && layout.copying.contains_key(&gate) {
                let value = read(&contents, &command.accesses[INPUT]);
                write(&mut contents, &command.accesses[OUTPUT], value);
            }
        } else if layout.members[number].is_none_or(|gate| mask[gate]) {
            let (result, reads) = command.accesses.split_last().expect("a kernel writes");
            let value = compute(number, reads.iter().map(|access| read(&contents, access)));
            write(&mut contents, result, value);
        }
    }
    read(&contents, &access((2, 0), true, false))
}

/// A network of at most `1 + steps.len()` kernels and gates. Every number picks one of the values that there are.
fn network(picks: Vec<(bool, bool, Vec<usize>)>) -> Network {
    let mut steps = Vec::new();
    for (is_gate, in_place, picked) in picks {
        let values = steps.len() + 1;
        let pick = |index: usize| picked.get(index).map_or(0, |pick| pick % values);
        // A gate takes a kernel's result that nothing else reads, as the importer has it, and what became a gate's output is
        // known by that name only.
        let is_gone = |value: &usize| {
            steps.iter().any(|step| matches!(step, Step::Gate { result, .. } if result == value))
        };
        let is_kernel = matches!(steps.last(), Some(Step::Kernel { .. }));
        let input = pick(0) % values.saturating_sub(1).max(1);
        if is_gate && is_kernel && input < values - 1 && !is_gone(&input) {
            steps.push(Step::Gate { input, result: values - 1 });
        } else {
            let mut reads: Vec<_> = (0..picked.len()).map(pick).filter(|value| !is_gone(value)).collect();
            reads.dedup();
            steps.push(Step::Kernel { reads, in_place });
        }
    }
    let last = steps.len();
    steps.push(Step::Kernel { reads: vec![last], in_place: false });
    Network { steps }
}

fn residual_block() -> Network {
    Network {
        steps: vec![
            Step::Kernel { reads: vec![0], in_place: false },
            Step::Kernel { reads: vec![1], in_place: false },
            Step::Kernel { reads: vec![2, 1], in_place: true },
            Step::Gate { input: 1, result: 3 },
            Step::Kernel { reads: vec![4], in_place: false },
        ],
    }
}

#[test]
fn a_block_whose_input_nothing_else_reads_is_free() {
    let network = residual_block();
    let layout = plan(&network.commands()).unwrap();
    assert!(layout.copying.is_empty(), "{:?}", layout.copying);
    assert_eq!(layout.members, [None, Some(0), Some(0), None, None]);
    assert_eq!(layout.offsets[3][INPUT], layout.offsets[3][OUTPUT]);
    for mask in [[true], [false]] {
        assert_eq!(run(&network.commands(), &layout, &mask), network.result(&mask));
    }
}

#[test]
fn a_block_whose_input_is_read_again_copies_it() {
    let mut network = residual_block();
    network.steps.pop();
    network.steps.push(Step::Kernel { reads: vec![4, 1], in_place: false });
    let layout = plan(&network.commands()).unwrap();
    assert_eq!(layout.copying[&0], "its input is read when its output is being written");
    for mask in [[true], [false]] {
        assert_eq!(run(&network.commands(), &layout, &mask), network.result(&mask));
    }
}

#[test]
fn what_something_outside_reads_always_runs() {
    let mut network = residual_block();
    network.steps.pop();
    network.steps.push(Step::Kernel { reads: vec![4, 2], in_place: false });
    let layout = plan(&network.commands()).unwrap();
    assert_eq!(layout.members, [None, None, Some(0), None, None]);
}

#[test]
fn two_live_values_in_one_place_are_found() {
    let commands = residual_block().commands();
    let expected = sources::of(&commands, &|_| true);
    let mut layout = plan(&commands).unwrap();
    // The block's first kernel writes over its input, which the second one still needs.
    layout.offsets[1][1] = layout.offsets[1][0];
    layout.offsets[2][0] = layout.offsets[1][0];
    let error = check::layout(&commands, &expected, &layout).unwrap_err();
    assert_eq!(error, CheckError::SelfOverlap { command: 1, access: 0 });
}

#[test]
fn a_closed_gate_that_loses_its_input_is_found() {
    let commands = residual_block().commands();
    let expected = sources::of(&commands, &|_| true);
    let mut layout = plan(&commands).unwrap();
    layout.members[2] = None;
    let error = check::layout(&commands, &expected, &layout).unwrap_err();
    assert_eq!(error, CheckError::Closed { gate: 0 });
}

/// Moves the values that begin `from` bytes into the network's own memory or later half a cache line further.
fn shift(commands: &mut Commands, from: u64) {
    let accesses = commands.list.iter_mut().flat_map(|command| &mut command.accesses);
    for access in accesses.filter(|access| access.memory == 1 && access.range.start >= from) {
        access.range = access.range.start + CACHE_LINE / 2..access.range.end + CACHE_LINE / 2;
    }
    commands.memories[1].bytes += CACHE_LINE;
}

#[test]
fn values_stay_where_they_are_in_a_cache_line() {
    let mut commands = residual_block().commands();
    shift(&mut commands, 0);
    let layout = plan(&commands).unwrap();
    assert!(layout.copying.is_empty(), "{:?}", layout.copying);
    assert_ne!(layout.offsets, as_they_are(&commands));
    let places = commands.places().filter(|(_, access)| access.memory == 1);
    assert!(
        places.map(|((command, access), _)| layout.offsets[command][access]).all(|offset| offset % 64 == 32)
    );
}

#[test]
fn a_block_whose_output_is_elsewhere_in_a_cache_line_copies() {
    let mut commands = residual_block().commands();
    shift(&mut commands, BYTES);
    let layout = plan(&commands).unwrap();
    assert_eq!(layout.copying[&0], "its input and its output begin at different places of a cache line");
}

#[test]
fn a_value_at_another_place_of_a_cache_line_is_found() {
    let commands = residual_block().commands();
    let expected = sources::of(&commands, &|_| true);
    let mut layout = plan(&commands).unwrap();
    layout.bytes[1] += CACHE_LINE;
    layout.offsets[0][1] += 4;
    let error = check::layout(&commands, &expected, &layout).unwrap_err();
    assert_eq!(error, CheckError::Alignment { command: 0, access: 1 });
}

#[test]
fn commands_of_one_wave_do_not_share_what_they_write() {
    let mut commands = residual_block().commands();
    commands.list[2].wave = 1;
    let expected = sources::of(&commands, &|_| true);
    let mut layout = Layout {
        offsets: as_they_are(&commands),
        bytes: commands.memories.iter().map(|memory| memory.bytes).collect(),
        members: vec![None; 5],
        copying: [(0, "")].into(),
    };
    layout.offsets[2][2] = layout.offsets[1][0];
    let error = check::layout(&commands, &expected, &layout).unwrap_err();
    assert_eq!(error, CheckError::Race { first: 1, second: 2 });
}

proptest! {
    #[test]
    fn every_mask_computes_what_it_computes_with_all_values_apart(
        picks in vec((any::<bool>(), any::<bool>(), vec(0_usize..64, 1..4)), 1..14),
        bits in any::<u16>(),
    ) {
        let network = network(picks);
        let commands = network.commands();
        let layout = plan(&commands).unwrap();
        let mask: Vec<_> = (0..network.gates()).map(|gate| bits >> (gate % 16) & 1 == 1).collect();
        prop_assert_eq!(run(&commands, &layout, &mask), network.result(&mask), "{:?}", network);
    }
}
