//! Gates that leave out only a part of their blocks.
//!
//! A command is left out with a gate if nothing else can see what it writes. Where the compiler puts together a value piece by
//! piece, each command counts as a reader of what was in its memory before, so commands of an earlier block may have a reader
//! outside of it and stay. The result is right then, but the gate saves less than it should.

use std::collections::{BTreeMap, HashSet};

use skipgate_core::{CostlyGate, Dispatch, GateForm};

use crate::plan::{Plan, Step};

/// The gates of `plan` that do not leave out all that their blocks alone need, by what became of its steps.
pub(crate) fn gates(plan: &Plan, dispatches: &[Dispatch]) -> Vec<CostlyGate> {
    let mut blocks = BTreeMap::new();
    collect(plan, &plan.steps, &mut blocks);
    blocks.iter().filter_map(|(&gate, block)| costly(gate, block, dispatches)).collect()
}

/// The labels of the nodes in each block.
fn collect(plan: &Plan, steps: &[Step], blocks: &mut BTreeMap<usize, HashSet<String>>) {
    for step in steps {
        match step {
            Step::Gate(gate) => {
                blocks.insert(gate.number, labels(plan, &gate.body));
                collect(plan, &gate.body, blocks);
            }
            Step::Branch(branch) => {
                collect(plan, &branch.then.steps, blocks);
                collect(plan, &branch.otherwise.steps, blocks);
            }
            _ => {}
        }
    }
}

fn labels(plan: &Plan, steps: &[Step]) -> HashSet<String> {
    let nodes = steps.iter().flat_map(|step| match step {
        Step::Concat(step) => vec![step.node],
        Step::Kernel(step) => step.nodes.clone(),
        Step::Operator(step) => vec![step.node],
        Step::Product(step) => vec![step.node],
        Step::Rows(step) => vec![step.node],
        Step::Quantise(step) => vec![step.node],
        Step::Excerpt(step) => vec![step.node],
        Step::Sum(step) => vec![step.node],
        Step::Constant(_) | Step::Put(_) | Step::Gate(_) | Step::Branch(_) => vec![],
    });
    nodes.map(|node| plan.graph.node(node).label()).collect()
}

fn costly(gate: usize, block: &HashSet<String>, dispatches: &[Dispatch]) -> Option<CostlyGate> {
    let is_of_block = |dispatch: &&Dispatch| {
        !dispatch.nodes.is_empty() && dispatch.nodes.iter().all(|node| block.contains(node))
    };
    let own: Vec<_> = dispatches.iter().filter(is_of_block).collect();
    let stay: Vec<_> = own.iter().filter(|dispatch| dispatch.gate.is_none()).collect();
    let first = stay.first()?.nodes.first()?;
    let (stay, own) = (stay.len(), own.len());
    let reason = format!("{stay} of its {own} calls are made then, too, `{first}` the first of them");
    Some(CostlyGate { gate, form: GateForm::Partial, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_a_block_alone_that_stay_are_counted() {
        let block = ["Conv a", "Relu b", "Concat c"].map(str::to_owned).into();
        let dispatch = |gate, nodes: &[&str]| Dispatch {
            gate,
            nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
        };
        let all = [
            dispatch(Some(3), &["Conv a", "Relu b"]),
            dispatch(None, &["Concat c"]),
            dispatch(None, &["Relu b", "Relu of another block"]),
            dispatch(None, &[]),
        ];
        let found = costly(3, &block, &all).unwrap();
        assert_eq!(
            format!("{}, since {}", found.form, found.reason),
            "left out in part when it is skipped, since 1 of its 2 calls are made then, too, `Concat c` the first of them"
        );
        assert_eq!(costly(3, &block, &all[..1]), None);
    }
}
