//! Removal of what nothing reads: weights that kernels have in an order of their own, what an excerpt stands for, reads of
//! the mask.

use std::collections::HashSet;

use crate::plan::{Step, TensorId};

/// Removes the steps that `outputs` do not depend on.
pub(super) fn remove(steps: &mut Vec<Step>, outputs: &[TensorId]) {
    prune(steps, &mut outputs.iter().copied().collect());
}

/// Keeps the steps that define something in `read`, and adds what they read. Gates are kept all: the mask has an element
/// for each.
fn prune(steps: &mut Vec<Step>, read: &mut HashSet<TensorId>) {
    let mut kept = Vec::new();
    for mut step in steps.drain(..).rev() {
        let is_read = step.results().iter().any(|result| read.contains(result));
        if !is_read && !matches!(step, Step::Gate(_)) {
            continue;
        }
        match &mut step {
            Step::Gate(gate) => {
                read.insert(gate.result);
                prune(&mut gate.body, read);
            }
            Step::Branch(branch) => {
                for body in [&mut branch.otherwise, &mut branch.then] {
                    read.extend(&body.results);
                    prune(&mut body.steps, read);
                }
            }
            _ => {}
        }
        read.extend(step.operands());
        kept.push(step);
    }
    kept.reverse();
    *steps = kept;
}
