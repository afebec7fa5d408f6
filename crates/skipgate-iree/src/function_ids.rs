//! Looks up the functions of executables once, when a module is loaded.
//!
//! With commands recorded by every call, IREE 3.13 also looks up every function by its name in every call, those of
//! skipped blocks included: about a microsecond each on a desktop processor.

use crate::dialect::DialectError;
use crate::dialect::hal::{LOOKUP, executable_of};
use crate::dialect::util::{self, Global};
use crate::ir::Op;

/// Moves the look-ups of `function`, in a module in the HAL dialect, to an initialiser in front of it.
pub(crate) fn look_up_once(function: Op) -> Result<(), DialectError> {
    let lookups = function.body().filter(|op| op.name() == LOOKUP);
    let moved: Vec<_> = lookups
        .enumerate()
        .map(|(number, lookup)| replace(function, number, lookup))
        .collect::<Result<_, _>>()?;
    util::initialise(function, &moved.concat());
    Ok(())
}

/// Replaces `lookup` by a load of a new global; returns what is to be done in the initialiser.
fn replace<'i>(function: Op<'i>, number: usize, lookup: Op<'i>) -> Result<[Op<'i>; 3], DialectError> {
    let global = Global::new(function, format!("__skipgate_function_{number}"));
    let executable = executable_of(lookup)?.duplicate();
    let copy = lookup.duplicate();
    copy.set_operands(&executable.results());
    let store = global.store(lookup, copy.results()[0]);
    let id = lookup.results()[0];
    id.replace_with(global.load(lookup, id.ty()));
    lookup.remove();
    Ok([executable, copy, store])
}
