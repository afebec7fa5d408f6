//! Nodes that the compiler's generic code computes.

use skipgate_onnx::TensorType;
use skipgate_onnx::element_type::FLOAT;

use super::{Emitter, attributes, types};
use crate::ImportError;
use crate::plan::{Operator, TensorId};

impl Emitter<'_, '_> {
    pub(super) fn operator(&mut self, operator: &Operator) -> Result<(), ImportError> {
        if self.bit_cast(operator)? {
            return Ok(());
        }
        let node = self.plan.graph.node(operator.node);
        let mut read = Vec::new();
        for operand in &operator.operands {
            read.push(match operand {
                Some(tensor) => (self.value(*tensor), self.type_of(*tensor)?),
                None => ("%none".to_owned(), "!torch.none".to_owned()),
            });
        }
        if self.cuts_convolution(operator) {
            let (value, ty) = &read[0];
            read[0] = (self.whole(value, ty, operator.operands[0]), ty.clone());
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

impl Emitter<'_, '_> {
    /// Whether `operator` takes a part of what a convolution of the compiler's own code computes and nothing else reads.
    /// The compiler moves the cut into the convolution and trips over its own reshapes there.
    fn cuts_convolution(&self, operator: &Operator) -> bool {
        let graph = &self.plan.graph;
        let node = graph.node(operator.node);
        let mut work: Vec<_> = match node.op_type() {
            "Slice" | "Split" => node.input(0).into_iter().collect(),
            _ => Vec::new(),
        };
        while let Some(value) = work.pop() {
            let Some(producer) = graph.producer(value).filter(|_| graph.only_reader(value).is_some()) else {
                continue;
            };
            let producer = graph.node(producer);
            if matches!(producer.op_type(), "Conv" | "ConvTranspose") {
                return true;
            }
            work.extend(producer.reads());
        }
        false
    }

    /// `value` behind a barrier: the compiler computes it as a whole.
    fn whole(&mut self, value: &str, torch: &str, tensor: Option<TensorId>) -> String {
        let of_floats = |tensor| Some(&self.plan.tensor(tensor).ty).filter(|ty| ty.element_type == FLOAT);
        let Some(shape) = tensor.and_then(of_floats).and_then(TensorType::static_shape) else {
            return value.to_owned();
        };
        let ty = types::builtin(shape.into_iter());
        let [builtin, whole, result] = [self.fresh(), self.fresh(), self.fresh()];
        self.line(&format!("{builtin} = torch_c.to_builtin_tensor {value} : {torch} -> {ty}"));
        self.line(&format!("{whole} = util.optimization_barrier {builtin} : {ty}"));
        self.line(&format!("{result} = torch_c.from_builtin_tensor {whole} : {ty} -> {torch}"));
        result
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
