//! Which ONNX nodes each function of compiled code is for.

use std::collections::BTreeMap;

use super::{everything_inside, nodes};
use crate::dialect::stream::{EXECUTABLE, FUNCTION};
use crate::ir::Ir;

/// The nodes of each function, by its name, in a module at the end of the stream phase.
pub(crate) fn functions(ir: &Ir) -> BTreeMap<String, Vec<String>> {
    let executables = ir.module().body().filter(|op| op.name() == EXECUTABLE);
    let functions = executables.flat_map(everything_inside).filter(|op| op.name() == FUNCTION);
    let named = functions.filter_map(|function| Some((function.text("sym_name")?, function)));
    named.map(|(name, function)| (name.to_owned(), nodes(everything_inside(function)))).collect()
}
