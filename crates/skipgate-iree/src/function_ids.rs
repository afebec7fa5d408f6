//! Looks up the functions of executables once, when a module is loaded.
//!
//! With commands recorded by every call, IREE 3.13 also looks up every function by its name in every call, those of
//! skipped blocks included: about a microsecond each on a desktop processor.

use crate::dialect::hal::LOOKUP;
use crate::ir::{Ir, Op, Parts};

/// Moves the look-ups of `function`, in a module in the HAL dialect, to an initialiser in front of it.
pub(crate) fn look_up_once(ir: &Ir, function: Op) {
    let lookups = function.body().filter(|op| op.name() == LOOKUP);
    let moved: Vec<_> =
        lookups.enumerate().flat_map(|(number, lookup)| replace(ir, function, number, lookup)).collect();
    let attributes = [("function_type", ir.attribute("() -> ()"))];
    let parts = Parts { attributes: &attributes, regions: 1, ..Parts::default() };
    function.insert_before("util.initializer", &parts).adopt(&moved, "util.return");
}

/// Replaces `lookup` by a load of a new global; returns what is to be done in the initialiser.
fn replace<'i>(ir: &'i Ir<'i>, function: Op<'i>, number: usize, lookup: Op<'i>) -> [Op<'i>; 3] {
    let name = format!("__skipgate_function_{number}");
    let id = lookup.results()[0];
    let attributes = [
        ("sym_name", ir.attribute(&format!("\"{name}\""))),
        ("sym_visibility", ir.attribute("\"private\"")),
        ("type", ir.attribute("i64")),
        ("is_mutable", ir.attribute("unit")),
    ];
    function.insert_before("util.global", &Parts { attributes: &attributes, ..Parts::default() });
    let global = [("global", ir.attribute(&format!("@{name}")))];
    let (executable, _) = lookup.operands()[0].definition().expect("executables are globals");
    let executable = executable.duplicate();
    let copy = lookup.duplicate();
    copy.set_operands(&executable.results());
    let stored = Parts { operands: &copy.results(), attributes: &global, ..Parts::default() };
    let store = lookup.insert_before("util.global.store", &stored);
    let loaded = Parts { results: &[id.ty()], attributes: &global, ..Parts::default() };
    id.replace_with(lookup.insert_before("util.global.load", &loaded).results()[0]);
    lookup.remove();
    [executable, copy, store]
}
