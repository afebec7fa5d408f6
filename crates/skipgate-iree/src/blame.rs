//! Which node the compiler has no code for, where it does not say so itself: some of its operations have lost their
//! location by the time they fail.

use skipgate_core::Target;

use crate::emit::Operators;
use crate::plan::Plan;
use crate::{CompileError, Compiler};

/// `error`, of compiling `plan` for `target`, with the node at fault: the first that fails in the same way on its own.
pub(crate) fn with_node(
    compiler: &Compiler,
    plan: &Plan,
    target: &Target,
    error: CompileError,
) -> CompileError {
    let CompileError::Compiler { phase, nodes, reason, diagnostics } = error else { return error };
    let nodes = if nodes.is_empty() { culprit(compiler, plan, target) } else { nodes };
    CompileError::Compiler { phase, nodes, reason, diagnostics }
}

fn culprit(compiler: &Compiler, plan: &Plan, target: &Target) -> Vec<String> {
    let operators = Operators::of(plan);
    let mut alone = operators.alone().filter_map(Result::ok);
    let culprit = alone.find(|(_, mlir)| match compiler.check(mlir.clone(), target) {
        // Where there is a location, it fails for want of the others: its operands are constants in the network.
        Err(CompileError::Compiler { nodes, .. }) => nodes.is_empty(),
        _ => false,
    });
    culprit.map(|(label, _)| label).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use skipgate_core::CompileOptions;
    use skipgate_onnx::element_type::{FLOAT, INT32};

    use super::*;
    use crate::Verification;
    use crate::net::{Net, int};

    #[test]
    fn an_operation_without_a_location_leads_to_its_node() {
        let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
        net.push("Cast", &[&x], "integers", &[int("to", i64::from(INT32))]);
        net.push("ReduceMean", &["integers"], "mean", &[]);
        net.push("Cast", &["mean"], "y", &[int("to", i64::from(FLOAT))]);
        net.output("y", &[1, 1, 1, 1]);
        let target = Target::named("x86-64-v3").unwrap();
        let (compiler, model) = (Compiler::get().unwrap(), net.model());
        let (options, verification) = (CompileOptions::default(), Verification::default());
        let error = crate::compile(compiler, &model, String::new(), &target, &[], &options, verification);
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("node `node_mean` (ReduceMean): the compiler failed"), "{error}");
    }
}
