//! The HAL dialect: commands as they are recorded.

use crate::ir::Op;

pub(crate) const DISPATCH: &str = "hal.command_buffer.dispatch";
pub(crate) const LOOKUP: &str = "hal.executable.lookup.function";
const BARRIER: &str = "hal.command_buffer.execution_barrier";
const COPY: &str = "hal.command_buffer.copy_buffer";
const FILL: &str = "hal.command_buffer.fill_buffer";
const UPDATE: &str = "hal.command_buffer.update_buffer";
const GLOBAL_LOAD: &str = "util.global.load";

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
        name if name.starts_with("arith.") => Kind::Operand,
        _ => Kind::Other,
    }
}
