//! The edit of commands as they are recorded: those of a block are recorded only if the block runs.

use std::mem::take;

use skipgate_core::EntryPoint;

use super::{Count, GateError, Mark};
use crate::dialect::hal::{self, Kind, kind};
use crate::dialect::{DialectError, arith, scf};
use crate::function_ids::look_up_once;
use crate::ir::{Ir, Op, Value};

/// Elements of the mask, each a byte, that are read at once.
const WORD: usize = 4;

/// Makes the marked commands of `function` depend on the mask, its last argument, and adds `entry_points` to the
/// module. Expects commands whose buffers are recorded anew by every call, as many as `expected`.
pub(crate) fn predicate(
    ir: &Ir,
    function: &str,
    gates: usize,
    entry_points: &[EntryPoint],
    expected: &Count,
) -> Result<(), GateError> {
    let gated = ir.module().body().find(|op| op.text("sym_name") == Some(function));
    let gated = gated.ok_or_else(|| GateError::Function { name: function.to_owned() })?;
    check(gated, expected)?;
    look_up_once(gated)?;
    for entry_point in entry_points {
        let copy = gated.duplicate();
        let name = entry_point.function.rsplit('.').next().unwrap_or_default();
        copy.set_attribute("sym_name", ir.attribute(&format!("\"{name}\"")));
        leave_out(copy, entry_point.mask.as_slice());
    }
    if expected.is_empty() {
        return Ok(());
    }
    let mask = Mask::read(gated, gates)?;
    for block in gated.blocks() {
        let mut run = Run::default();
        for (op, mark) in by_mark(block.operations()) {
            run.extend(op, mark, &mask);
        }
        run.end(&mask);
    }
    Ok(())
}

/// Checks that every command that the first edit marked is there, and nothing else that does something is marked.
fn check(function: Op, expected: &Count) -> Result<(), GateError> {
    let mut found = Count::new();
    for (op, mark) in function.body().filter_map(with_mark) {
        match kind(op) {
            Kind::Command => *found.entry(mark).or_default() += 1,
            Kind::Barrier | Kind::Operand => {}
            Kind::Other => return Err(DialectError::of(op, "is marked as part of a gate").into()),
        }
    }
    for mark in expected.keys().chain(found.keys()) {
        let [expected, found] = [expected, &found].map(|count| count.get(mark).copied().unwrap_or(0));
        if expected != found {
            return Err(GateError::Commands { gate: mark.gate, expected, found });
        }
    }
    Ok(())
}

fn with_mark(op: Op<'_>) -> Option<(Op<'_>, Mark)> {
    Some((op, Mark::of(op)?))
}

/// Removes the commands that do not run if `runs` says which blocks do, and the barriers between them.
fn leave_out(function: Op, runs: &[bool]) {
    let stays = |mark: Option<Mark>| mark.is_none_or(|mark| runs.get(mark.gate) == Some(&mark.open));
    for block in function.blocks() {
        for (op, mark) in by_mark(block.operations()) {
            if let Kind::Command | Kind::Barrier = kind(op) {
                if !stays(mark) {
                    op.remove();
                }
            }
        }
    }
}

/// Operations with the condition that they run under. A barrier has one if all commands since the last one have it.
fn by_mark<'i>(operations: impl Iterator<Item = Op<'i>>) -> impl Iterator<Item = (Op<'i>, Option<Mark>)> {
    let mut since_barrier: Vec<Option<Mark>> = Vec::new();
    operations.map(move |op| match kind(op) {
        Kind::Command => {
            let mark = Mark::of(op);
            since_barrier.push(mark);
            (op, mark)
        }
        Kind::Barrier => {
            let marks = take(&mut since_barrier);
            let first = marks.first().copied().flatten();
            (op, first.filter(|_| marks.iter().all(|mark| *mark == first)))
        }
        Kind::Operand | Kind::Other => (op, None),
    })
}

/// Neighbouring commands that run under one condition.
#[derive(Default)]
struct Run<'i> {
    mark: Option<Mark>,
    commands: Vec<Op<'i>>,
}

impl<'i> Run<'i> {
    fn extend(&mut self, op: Op<'i>, mark: Option<Mark>, mask: &Mask<'i>) {
        match kind(op) {
            Kind::Operand => {}
            Kind::Command | Kind::Barrier if mark == self.mark => self.commands.push(op),
            Kind::Command | Kind::Barrier => {
                self.end(mask);
                *self = Self { mark, commands: vec![op] };
            }
            Kind::Other => {
                self.end(mask);
                self.mark = None;
            }
        }
    }

    /// Puts the commands into a branch, at the place of the last one, where the operands of all are known.
    fn end(&mut self, mask: &Mask<'i>) {
        let commands = take(&mut self.commands);
        let (Some(Mark { gate, open }), Some(last)) = (self.mark, commands.last()) else { return };
        let condition = if open { mask.runs[gate] } else { arith::not(*last, mask.runs[gate]) };
        scf::only_if(*last, condition, &commands);
    }
}

/// The mask on the host.
struct Mask<'i> {
    /// Whether the block behind each gate runs.
    runs: Vec<Value<'i>>,
}

impl<'i> Mask<'i> {
    /// Reads all elements of the last argument at the beginning of `function`.
    fn read(function: Op<'i>, gates: usize) -> Result<Self, DialectError> {
        let missing = |what| DialectError::of(function, what);
        let first = function.body().next().ok_or_else(|| missing("is empty"))?;
        let view = function.body_arguments().last().copied().ok_or_else(|| missing("takes no mask"))?;
        let buffer = hal::buffer(first, view);
        let load = |place: usize, ty| hal::load(first, buffer, place as u64, ty);
        // Four elements at once where there are four: every load is a call out of the VM.
        let words: Vec<_> = (0..gates / WORD).map(|word| load(word * WORD, "i32")).collect();
        let element = |gate: usize| match words.get(gate / WORD) {
            Some(&word) => {
                let bits = arith::constant(first, 0xFF << (8 * (gate % WORD)), "i32");
                arith::is_set(first, arith::and(first, word, bits, "i32"), "i32")
            }
            None => arith::is_set(first, load(gate, "i8"), "i8"),
        };
        Ok(Self { runs: (0..gates).map(element).collect() })
    }
}
