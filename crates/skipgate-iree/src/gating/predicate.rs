//! The edit of commands: those of a block are recorded only if the block runs.

use std::mem::take;

use skipgate_core::EntryPoint;

use super::{GateError, Mark, Placed};
use crate::function_ids::look_up_once;
use crate::ir::{Ir, Op, Parts, Value};

const COPY: &str = "hal.command_buffer.copy_buffer";
pub(super) const DISPATCH: &str = "hal.command_buffer.dispatch";
const BARRIER: &str = "hal.command_buffer.execution_barrier";

/// Elements of the mask, each a byte, that are read at once.
const WORD: usize = 4;

/// Makes the marked commands of `function` depend on the mask, its last argument, and adds `entry_points` to the
/// module. Expects commands whose buffers are recorded anew by every call.
pub(crate) fn predicate(
    ir: &Ir,
    function: &str,
    gates: usize,
    entry_points: &[EntryPoint],
    placed: &Placed,
) -> Result<(), GateError> {
    let gated = ir.module().body().find(|op| op.text("sym_name") == Some(function));
    let gated = gated.ok_or(GateError { gate: 0, problem: "the function is gone" })?;
    check(gated, placed)?;
    look_up_once(ir, gated);
    gated.body().for_each(share_memory);
    for entry_point in entry_points {
        let copy = gated.duplicate();
        let name = entry_point.function.rsplit('.').next().unwrap_or_default();
        copy.set_attribute("sym_name", ir.attribute(&format!("\"{name}\"")));
        leave_out(copy, entry_point.mask.as_slice());
    }
    if gates == 0 {
        return Ok(());
    }
    let mask = Mask::read(gated, gates);
    for block in gated.blocks() {
        let mut run = Run::default();
        for (op, gate) in by_gate(block.operations()) {
            run.extend(op, gate, &mask);
        }
        run.end(&mask);
    }
    Ok(())
}

/// Checks that the compiler made of each block what the first edit asked for.
fn check(function: Op, placed: &Placed) -> Result<(), GateError> {
    let commands: Vec<_> = function
        .body()
        .filter(|op| kind(*op) == Kind::Command)
        .filter_map(|op| Some((op, Mark::of(op)?)))
        .collect();
    for (&gate, block) in &placed.0 {
        let own = || commands.iter().filter(|(_, mark)| mark.gate == gate);
        let aliases = own().any(|(op, mark)| op.name() == DISPATCH && !mark.aliases.is_empty());
        let problem = if own().next().is_none() {
            "the block has no commands"
        } else if block.reads_input != aliases {
            "the dispatch that writes its result is gone"
        } else if !block.copies && own().any(|(op, _)| op.name() == COPY) {
            "its result is not in the memory of its input"
        } else {
            continue;
        };
        return Err(GateError { gate, problem });
    }
    Ok(())
}

/// Gives the bindings of a dispatch that stand for one memory the same place in it.
fn share_memory(op: Op) {
    let Some(mark) = Mark::of(op).filter(|_| op.name() == DISPATCH) else { return };
    // The last segments are the buffers, offsets and lengths of all bindings.
    let sizes = op.numbers("operandSegmentSizes").unwrap_or_default();
    let bindings = sizes.last().and_then(|&count| usize::try_from(count).ok()).unwrap_or(0);
    let mut operands = op.operands();
    let first = operands.len() - 3 * bindings;
    for (from, to) in mark.aliases {
        for segment in 0..3 {
            operands[first + segment * bindings + from] = operands[first + segment * bindings + to];
        }
    }
    op.set_operands(&operands);
}

/// Removes the commands of blocks that do not run, and the barriers between them.
fn leave_out(function: Op, runs: &[bool]) {
    let stays = |gate: Option<usize>| gate.is_none_or(|gate| runs.get(gate) != Some(&false));
    for block in function.blocks() {
        for (op, gate) in by_gate(block.operations()) {
            if let Kind::Command | Kind::Barrier = kind(op) {
                if !stays(gate) {
                    op.remove();
                }
            }
        }
    }
}

/// What an operation is to the edit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Recorded into a command buffer.
    Command,
    /// Separates commands.
    Barrier,
    /// Computes an operand of commands.
    Operand,
    /// Anything else, which commands must not cross.
    Other,
}

fn kind(op: Op) -> Kind {
    match op.name() {
        BARRIER => Kind::Barrier,
        DISPATCH | "hal.command_buffer.fill_buffer" | COPY | "hal.command_buffer.update_buffer" => {
            Kind::Command
        }
        "hal.executable.lookup.function" | "util.global.load" => Kind::Operand,
        name if name.starts_with("arith.") => Kind::Operand,
        _ => Kind::Other,
    }
}

/// Operations with the gate they are behind. A barrier is behind a gate if all commands since the last one are.
fn by_gate<'i>(operations: impl Iterator<Item = Op<'i>>) -> impl Iterator<Item = (Op<'i>, Option<usize>)> {
    let mut since_barrier: Vec<Option<usize>> = Vec::new();
    operations.map(move |op| match kind(op) {
        Kind::Command => {
            let gate = Mark::of(op).map(|mark| mark.gate);
            since_barrier.push(gate);
            (op, gate)
        }
        Kind::Barrier => {
            let gates = take(&mut since_barrier);
            let first = gates.first().copied().flatten();
            (op, first.filter(|_| gates.iter().all(|gate| *gate == first)))
        }
        Kind::Operand | Kind::Other => (op, None),
    })
}

/// Neighbouring commands behind one gate.
#[derive(Default)]
struct Run<'i> {
    gate: Option<usize>,
    commands: Vec<Op<'i>>,
}

impl<'i> Run<'i> {
    fn extend(&mut self, op: Op<'i>, gate: Option<usize>, mask: &Mask<'i>) {
        match kind(op) {
            Kind::Operand => {}
            Kind::Command | Kind::Barrier if gate == self.gate => self.commands.push(op),
            Kind::Command | Kind::Barrier => {
                self.end(mask);
                *self = Self { gate, commands: vec![op] };
            }
            Kind::Other => {
                self.end(mask);
                self.gate = None;
            }
        }
    }

    /// Puts the commands into a branch, at the place of the last one, where the operands of all are known.
    fn end(&mut self, mask: &Mask<'i>) {
        let commands = take(&mut self.commands);
        if let (Some(gate), Some(last)) = (self.gate, commands.last()) {
            let parts = Parts { operands: &[mask.runs[gate]], regions: 2, ..Parts::default() };
            last.insert_before("scf.if", &parts).adopt(&commands, "scf.yield");
        }
    }
}

/// The mask on the host.
struct Mask<'i> {
    /// Whether the block behind each gate runs.
    runs: Vec<Value<'i>>,
}

impl<'i> Mask<'i> {
    /// Reads all elements of the last argument at the beginning of `function`.
    fn read(function: Op<'i>, gates: usize) -> Self {
        let ir = function.ir();
        let entry = function.blocks().next().expect("the function has a body");
        let first = entry.operations().next().expect("a block has a terminator");
        let one = |name, operands: &[Value<'i>], ty: &str, attributes: &[_]| {
            let parts = Parts { operands, results: &[ir.ty(ty)], attributes, ..Parts::default() };
            first.insert_before(name, &parts).results()[0]
        };
        let constant = |value: usize, ty: &str| {
            one("arith.constant", &[], ty, &[("value", ir.attribute(&format!("{value} : {ty}")))])
        };
        let view = entry.arguments().last().copied().expect("a gated function takes a mask");
        let buffer = one("hal.buffer_view.buffer", &[view], "!hal.buffer", &[]);
        let not_equal = ("predicate", ir.attribute("1 : i64"));
        let load = |place, ty| one("hal.buffer.load", &[buffer, constant(place, "index")], ty, &[]);
        let is_set = |value, ty| one("arith.cmpi", &[value, constant(0, ty)], "i1", &[not_equal]);
        // Four elements at once where there are four: every load is a call out of the VM.
        let words: Vec<_> = (0..gates / WORD).map(|word| load(word * WORD, "i32")).collect();
        let element = |gate: usize| match words.get(gate / WORD) {
            Some(&word) => {
                let bits = constant(0xFF << (8 * (gate % WORD)), "i32");
                is_set(one("arith.andi", &[word, bits], "i32", &[]), "i32")
            }
            None => is_set(load(gate, "i8"), "i8"),
        };
        Self { runs: (0..gates).map(element).collect() }
    }
}
