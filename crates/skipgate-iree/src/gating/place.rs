//! The edit of commands over memory: what belongs to each gate, and where everything lies.

use std::collections::{BTreeMap, HashMap};

use super::marker::{Marker, SYMBOL};
use super::{Count, GateError, Mark, everything_inside};
use crate::dialect::stream::{Access, Command, Resource, Submission, calls};
use crate::dialect::{DialectError, arith};
use crate::ir::{Ir, Op, Value};
use crate::kernels::InPlace;
use crate::memory::{self, Layout};

/// What the edit tells about gates.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// How many commands have each mark.
    pub(crate) commands: Count,
    /// Why gates that copy their input when they are closed do so.
    pub(crate) copying: BTreeMap<usize, &'static str>,
}

/// Edits all gates of `function`, in a module at the end of the stream phase; `in_place` are the kernels with bindings that
/// may be in one place.
pub(crate) fn place(ir: &Ir, function: &str, in_place: &[InPlace]) -> Result<Placed, GateError> {
    let mut placed = Placed::default();
    for function in ir.module().body().filter(|op| op.text("sym_name") == Some(function)) {
        let Some(first) = function.body().next() else { continue };
        let mut constants = Constants { first, known: HashMap::new() };
        for op in everything_inside(function) {
            if !has_marker(op) {
                continue;
            }
            if let Some(submission) = Submission::of(op)? {
                Edit::new(submission, in_place)?.apply(&mut constants, &mut placed)?;
            }
        }
    }
    remove_kernel(ir)?;
    Ok(placed)
}

/// Whether a gate ends inside of `op`.
fn has_marker(op: Op) -> bool {
    everything_inside(op).into_iter().any(|inner| calls(inner, SYMBOL))
}

/// Removes the kernel that markers call, which no marker does any more.
fn remove_kernel(ir: &Ir) -> Result<(), GateError> {
    if let Some(left) = everything_inside(ir.module()).into_iter().find(|op| calls(*op, SYMBOL)) {
        return Err(GateError::Marker { gates: gates(left) });
    }
    ir.module().body().filter(|op| op.text("sym_name") == Some(SYMBOL)).for_each(Op::remove);
    Ok(())
}

/// The edit of one submission.
struct Edit<'i> {
    submission: Submission<'i>,
    resources: Vec<Resource<'i>>,
    commands: Vec<Command<'i>>,
    /// The gate that each command stands for.
    ends: Vec<Option<usize>>,
    in_place: &'i [InPlace],
}

impl<'i> Edit<'i> {
    fn new(submission: Submission<'i>, in_place: &'i [InPlace]) -> Result<Self, GateError> {
        let (resources, commands) = (submission.resources()?, submission.commands()?);
        let ends = commands.iter().map(end_of_gate).collect::<Result<_, _>>()?;
        Ok(Self { submission, resources, commands, ends, in_place })
    }

    fn apply(&self, constants: &mut Constants<'i>, placed: &mut Placed) -> Result<(), GateError> {
        let layout = memory::plan(&self.as_commands()?)?;
        self.relocate(&layout, constants);
        for (command, gate) in self.commands.iter().zip(&layout.members) {
            if let Some(gate) = *gate {
                mark(command.op, Mark { gate, open: true }, placed);
            }
        }
        for (command, gate) in self.commands.iter().zip(&self.ends) {
            let Some(gate) = *gate else { continue };
            if layout.copying.contains_key(&gate) {
                let copy = command.copy_before(memory::INPUT, memory::OUTPUT);
                mark(copy, Mark { gate, open: false }, placed);
            }
            command.op.remove();
        }
        placed.copying.extend(layout.copying);
        Ok(())
    }

    /// The commands as [`memory`] sees them.
    fn as_commands(&self) -> Result<memory::Commands, DialectError> {
        let commands = self.commands.iter().zip(&self.ends);
        let list = commands.map(|(command, &gate)| {
            Ok(memory::Command {
                wave: command.wave,
                accesses: command
                    .accesses
                    .iter()
                    .map(|access| self.as_access(command, access))
                    .collect::<Result<_, _>>()?,
                gate,
                in_place: self.pairs_in_place(command.op),
            })
        });
        let list = list.collect::<Result<_, DialectError>>()?;
        let memories = self
            .resources
            .iter()
            .map(|resource| memory::Memory { bytes: resource.bytes, is_movable: resource.is_own() });
        Ok(memory::Commands { list, memories: memories.collect() })
    }

    fn as_access(&self, command: &Command<'i>, access: &Access<'i>) -> Result<memory::Access, DialectError> {
        let memory = self.resources.iter().position(|resource| resource.inside == access.resource);
        Ok(memory::Access {
            memory: memory.ok_or_else(|| DialectError::of(command.op, "uses a resource from elsewhere"))?,
            range: access.offset..access.offset.saturating_add(access.length),
            reads: access.reads,
            writes: access.writes,
        })
    }

    /// The bindings of the kernel that `op` calls that may be in one place.
    fn pairs_in_place(&self, op: Op) -> Vec<(usize, usize)> {
        let known = self.in_place.iter().filter(|kernel| calls(op, &kernel.symbol));
        known.map(|kernel| (kernel.reads, kernel.writes)).collect()
    }

    /// Puts everything where `layout` says.
    fn relocate(&self, layout: &Layout, constants: &mut Constants<'i>) {
        for (number, resource) in self.resources.iter().enumerate().filter(|(_, resource)| resource.is_own())
        {
            let size = constants.get(layout.bytes[number]);
            self.submission.resize(number, resource, size);
            for (command, offsets) in self.commands.iter().zip(&layout.offsets) {
                for (access, &offset) in offsets.iter().enumerate() {
                    if command.accesses[access].resource == resource.inside {
                        command.relocate(access, size, constants.get(offset));
                    }
                }
            }
        }
    }
}

fn mark(op: Op, mark: Mark, placed: &mut Placed) {
    mark.set(op);
    *placed.commands.entry(mark).or_default() += 1;
}

/// The gate that ends at `command`, if it is a marker: a call with the gate's input and output.
fn end_of_gate(command: &Command) -> Result<Option<usize>, GateError> {
    if !calls(command.op, SYMBOL) {
        return Ok(None);
    }
    let modes: Vec<_> = command.accesses.iter().map(|access| (access.reads, access.writes)).collect();
    match gates(command.op)[..] {
        [gate] if modes == [(true, false), (true, true)] => Ok(Some(gate)),
        _ => Err(GateError::Marker { gates: gates(command.op) }),
    }
}

/// The gates that end at `op`.
fn gates(op: Op) -> Vec<usize> {
    Marker::of(op).into_iter().map(|marker| marker.gate).collect()
}

/// Constants at the beginning of a function, where everything in it can use them.
struct Constants<'i> {
    first: Op<'i>,
    known: HashMap<u64, Value<'i>>,
}

impl<'i> Constants<'i> {
    fn get(&mut self, number: u64) -> Value<'i> {
        let first = self.first;
        *self.known.entry(number).or_insert_with(|| arith::constant(first, number, "index"))
    }
}
