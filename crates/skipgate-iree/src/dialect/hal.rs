//! The HAL dialect: commands as they are recorded.

use super::util::GLOBAL_LOAD;
use super::{DialectError, arith};
use crate::ir::{Op, Parts, Value};

pub(crate) const DISPATCH: &str = "hal.command_buffer.dispatch";
pub(crate) const LOOKUP: &str = "hal.executable.lookup.function";
const BARRIER: &str = "hal.command_buffer.execution_barrier";
const COPY: &str = "hal.command_buffer.copy_buffer";
const FILL: &str = "hal.command_buffer.fill_buffer";
const UPDATE: &str = "hal.command_buffer.update_buffer";
const BUFFER_OF_VIEW: &str = "hal.buffer_view.buffer";
const LOAD: &str = "hal.buffer.load";

/// What an operation is to gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Recorded into a command buffer.
    Command,
    /// Separates commands.
    Barrier,
    /// Computes an operand of commands, and does nothing else.
    Operand,
    /// Anything else, which commands must not cross.
    Other,
}

pub(crate) fn kind(op: Op) -> Kind {
    match op.name() {
        BARRIER => Kind::Barrier,
        DISPATCH | COPY | FILL | UPDATE => Kind::Command,
        LOOKUP | GLOBAL_LOAD => Kind::Operand,
        name if name.starts_with(arith::PREFIX) => Kind::Operand,
        _ => Kind::Other,
    }
}

/// The buffer behind the view `view`, in front of `before`.
pub(crate) fn buffer<'i>(before: Op<'i>, view: Value<'i>) -> Value<'i> {
    let parts = Parts { operands: &[view], results: &[before.ir().ty("!hal.buffer")], ..Parts::default() };
    before.insert_before(BUFFER_OF_VIEW, &parts).results()[0]
}

/// What `buffer` holds from byte `place` on, as a number of type `ty`, read in front of `before`.
pub(crate) fn load<'i>(before: Op<'i>, buffer: Value<'i>, place: u64, ty: &str) -> Value<'i> {
    let place = arith::constant(before, place, "index");
    let parts = Parts { operands: &[buffer, place], results: &[before.ir().ty(ty)], ..Parts::default() };
    before.insert_before(LOAD, &parts).results()[0]
}

/// The operation that gives the executable which `lookup` looks into.
pub(crate) fn executable_of(lookup: Op<'_>) -> Result<Op<'_>, DialectError> {
    let executable = lookup.operands().first().and_then(|operand| operand.definition());
    let (executable, _) =
        executable.ok_or_else(|| DialectError::of(lookup, "looks into something else than an executable"))?;
    Ok(executable)
}
