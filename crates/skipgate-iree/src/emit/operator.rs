//! Nodes that the compiler's generic code computes.

use super::{Emitter, attributes, types};
use crate::ImportError;
use crate::plan::Operator;

impl Emitter<'_, '_> {
    pub(super) fn operator(&mut self, operator: &Operator) -> Result<(), ImportError> {
        let node = self.plan.graph.node(operator.node);
        let mut read = Vec::new();
        for operand in &operator.operands {
            read.push(match operand {
                Some(tensor) => (self.value(*tensor), self.type_of(*tensor)?),
                None => ("%none".to_owned(), "!torch.none".to_owned()),
            });
        }
        let (operands, operand_types): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let attributes = attributes::dictionary(&mut self.blobs, node)?;
        let result_types = self.types_of(&operator.results)?;
        let results: Vec<_> = operator.results.iter().map(|&result| self.define(result)).collect();
        self.line(&format!(
            "{} = torch.operator {}({}) {attributes} : ({}) -> ({result_types}) loc({})",
            results.join(", "),
            types::quoted(&format!("onnx.{}", node.op_type())),
            operands.join(", "),
            operand_types.join(", "),
            types::quoted(&node.label()),
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use skipgate_core::{CompileOptions, Target};

    use crate::import_onnx;
    use crate::net::Net;

    #[test]
    fn an_operator_with_a_hostile_name_stays_one_string() {
        let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
        net.push("Relu\"(%v1) {}\n}\\", &[&x], "y", &[]);
        net.output("y", &[1, 3, 8, 8]);
        let target = Target::named("x86-64-v3").unwrap();
        let mlir = import_onnx(&net.model(), &target, &CompileOptions::default()).unwrap();
        let line = mlir.lines().find(|line| line.contains("onnx.Relu")).unwrap();
        let expected = r#"%v2 = torch.operator "onnx.Relu\22(%v1) {}\0A}\5C"(%v1) {} : ("#;
        assert!(line.starts_with(expected), "{line}");
    }
}
