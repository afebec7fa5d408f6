//! The edit of dispatches: one memory for a block's input and output, and marks.

use std::collections::{BTreeMap, HashSet};

use super::frames::{share_frames, store_whole_ranks};
use super::{Boundary, FRAME, GateError, Mark};
use crate::ir::{Ir, Op, Parts, Type, Value};

const BARRIER: &str = "util.optimization_barrier";
pub(super) const DISPATCH: &str = "flow.dispatch.workgroups";
/// A call of one of `crate::kernels`.
pub(super) const KERNEL: &str = "flow.dispatch";
const EMPTY: &str = "flow.tensor.empty";
/// Operations that become copies of bytes where they are contiguous.
const COPIES: [&str; 3] = [UPDATE, "flow.tensor.slice", "flow.tensor.clone"];
pub(super) const RESHAPE: &str = "flow.tensor.reshape";
const SPLAT: &str = "flow.tensor.splat";
const UPDATE: &str = "flow.tensor.update";
pub(super) const TIED_OPERANDS: &str = "tied_operands";

/// Edits all gates of a module whose dispatches are formed but not yet outlined.
pub(crate) fn place(ir: &Ir) -> Result<Placed, GateError> {
    let mut placed = Placed::default();
    for function in ir.module().body() {
        for op in function.body().filter(|op| op.name() == BARRIER && op.location_names().contains(&FRAME)) {
            op.results()[0].replace_with(op.operands()[0]);
            op.remove();
        }
        for (gate, ends) in barriers(function) {
            let error = |problem| GateError { gate, problem };
            let (Some(entry), Some(exit)) = ends else { return Err(error("a boundary is missing")) };
            placed.0.insert(gate, Block { gate, entry, exit }.place().map_err(error)?);
        }
        for op in function.body().filter(|op| op.name() == DISPATCH) {
            store_whole_ranks(op);
        }
        share_frames(function);
    }
    Ok(placed)
}

/// What the first edit tells the second: the blocks behind the gates, by number.
#[derive(Debug, Default)]
pub(crate) struct Placed(pub(super) BTreeMap<usize, PlacedBlock>);

/// What to expect of a block's commands.
#[derive(Debug)]
pub(super) struct PlacedBlock {
    /// Whether it copies tensors on its own.
    pub(super) copies: bool,
    /// Whether the dispatch that writes its result also reads its input.
    pub(super) reads_input: bool,
}

/// The barriers of each gate, in front of its block and behind it.
fn barriers(function: Op<'_>) -> BTreeMap<usize, (Option<Op<'_>>, Option<Op<'_>>)> {
    let mut gates = BTreeMap::<_, (_, _)>::new();
    for op in function.body().filter(|op| op.name() == BARRIER) {
        if let Some(boundary) = op.location_names().into_iter().find_map(Boundary::parse) {
            let ends = gates.entry(boundary.gate).or_default();
            *if boundary.exit { &mut ends.1 } else { &mut ends.0 } = Some(op);
        }
    }
    gates
}

/// A gated block.
struct Block<'i> {
    gate: usize,
    entry: Op<'i>,
    exit: Op<'i>,
}

impl<'i> Block<'i> {
    fn place(&self) -> Result<PlacedBlock, &'static str> {
        let x = self.entry.results()[0];
        let writer = Writer::of(self.exit.operands()[0]).ok_or("its result is not written to a frame")?;
        // A kernel says so itself: its result is tied to its operand.
        let in_place = writer.frame() == x;
        if !in_place && !is_zeros(writer.frame()) {
            return Err("its result is written over something else");
        }
        let inside = self.inside(writer.op);
        for &op in &inside {
            Mark { gate: self.gate, aliases: vec![] }.set(op);
        }
        let reads_input = !in_place && writer.write_over(x, self.gate);
        let source = self.entry.operands()[0];
        let source = if source.uses().len() == 1 {
            source
        } else {
            // What else reads it must not see the block's result. The copy is not part of the block.
            let parts = Parts { operands: &[source], results: &[source.ty()], ..Parts::default() };
            self.entry.insert_before("flow.tensor.clone", &parts).results()[0]
        };
        x.replace_with(source);
        self.exit.results()[0].replace_with(self.exit.operands()[0]);
        self.exit.remove();
        self.entry.remove();
        Ok(PlacedBlock { copies: inside.iter().any(|op| COPIES.contains(&op.name())), reads_input })
    }

    /// What is computed for this block alone: the operations that `writer` depends on, back to the entry, but for those
    /// that something outside depends on too. Fills stay outside: frames outlive blocks.
    fn inside(&self, writer: Op<'i>) -> Vec<Op<'i>> {
        let (mut inside, mut work) = (vec![], vec![writer]);
        let mut seen = HashSet::from([self.entry, self.exit]);
        while let Some(op) = work.pop() {
            if seen.insert(op) && op.name() != SPLAT {
                inside.push(op);
                work.extend(op.operands().iter().filter_map(|value| value.definition()).map(|(op, _)| op));
            }
        }
        loop {
            let members: HashSet<_> = inside.iter().copied().chain([self.exit]).collect();
            let before = inside.len();
            inside.retain(|op| {
                op.results().iter().all(|result| result.uses().iter().all(|user| members.contains(user)))
            });
            if inside.len() == before {
                return inside;
            }
        }
    }
}

/// An operation that writes a value into a frame and leaves the rest of the frame as it is.
pub(super) struct Writer<'i> {
    pub(super) op: Op<'i>,
    /// Place among its operands of the frame that it writes to.
    pub(super) frame: usize,
}

impl<'i> Writer<'i> {
    /// The writer of `value`.
    fn of(value: Value<'i>) -> Option<Self> {
        let (op, result) = behind_reshapes(value).definition()?;
        let frame = match op.name() {
            UPDATE => 0,
            DISPATCH | KERNEL => usize::try_from(*op.numbers(TIED_OPERANDS)?.get(result)?).ok()?,
            _ => return None,
        };
        (frame < op.operands().len()).then_some(Self { op, frame })
    }

    pub(super) fn frame(&self) -> Value<'i> {
        self.op.operands()[self.frame]
    }

    /// Makes it write to the memory of `x`; returns whether it reads `x` too.
    ///
    /// Told the truth, the compiler would copy `x` for such a read, since it does not see that it happens element by
    /// element. So the operand becomes a tensor without content here, and gets the memory of `x` when memory is laid out.
    fn write_over(&self, x: Value<'i>, gate: usize) -> bool {
        let frame = self.frame();
        let mut operands = self.op.operands();
        let reads: Vec<_> = (0..operands.len())
            .filter(|&index| index != self.frame && behind_reshapes(operands[index]) == x)
            .collect();
        for &index in &reads {
            operands[index] = self.before(EMPTY, &[], operands[index].ty());
        }
        operands[self.frame] = if x.ty() == frame.ty() { x } else { self.before(RESHAPE, &[x], frame.ty()) };
        self.op.set_operands(&operands);
        Mark { gate, aliases: reads.iter().map(|&index| (index, self.frame)).collect() }.set(self.op);
        !reads.is_empty()
    }

    fn before(&self, name: &'static str, operands: &[Value<'i>], ty: Type) -> Value<'i> {
        self.op.insert_before(name, &Parts { operands, results: &[ty], ..Parts::default() }).results()[0]
    }
}

/// Whether `value` is a tensor of zeros.
pub(super) fn is_zeros(value: Value) -> bool {
    let splat = behind_reshapes(value).definition().filter(|(op, _)| op.name() == SPLAT);
    let constant = splat.and_then(|(op, _)| op.operands()[0].definition());
    constant.is_some_and(|(op, _)| op.attribute("value") == Some(op.ir().attribute("0.0 : f32")))
}

pub(super) fn behind_reshapes(mut value: Value<'_>) -> Value<'_> {
    while let Some((op, _)) = value.definition().filter(|(op, _)| op.name() == RESHAPE) {
        value = op.operands()[0];
    }
    value
}
