//! Calls of kernels ([`crate::kernels`]).

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{NodeId, tensor_bytes};

use super::{Emitter, types};
use crate::ImportError;
use crate::kernels::{Kernel, Preparation};
use crate::plan::{self, TensorId};

impl Emitter<'_, '_> {
    pub(super) fn kernel(&mut self, step: &plan::Kernel) -> Result<(), ImportError> {
        let input = self.memory(step.input)?;
        let residual = step.residual.map(|residual| self.memory(residual)).transpose()?;
        let (_, result) = self.memory(step.result)?;
        let weights = by_filter(&step.weights, step.convolution.window.filters)?;
        let bias = match step.bias {
            Some(bias) => floats(bias)?,
            None => vec![0.0; step.convolution.window.filters],
        };
        let kernel = self.kernels.kernel(&step.convolution, &weights);
        let weights = match &kernel.preparation {
            Some(preparation) => self.prepared(&kernel, preparation),
            None => self.constant_floats(&kernel.weights, &kernel.weights_shape),
        };
        let bias = self.constant_floats(&bias, &[bias.len()]);
        let operands = [input, weights, bias].into_iter().chain(residual);
        let (operands, operand_types): (Vec<_>, Vec<_>) = operands.unzip();
        let scratch = kernel.scratch.map(|floats| types::builtin([floats].into_iter()));
        let results: Vec<_> = [result].into_iter().chain(scratch).collect();
        let names: Vec<_> = results.iter().map(|_| self.fresh()).collect();
        let label = |&node| types::quoted(&self.plan.graph.node(node).label());
        let nodes: Vec<_> = step.nodes.iter().map(label).collect();
        self.line(&format!(
            "{} = flow.dispatch @{symbol}::@{symbol}({}) : ({}) -> ({}) loc(fused[{}])",
            names.join(", "),
            operands.join(", "),
            operand_types.join(", "),
            results.join(", "),
            nodes.join(", "),
            symbol = kernel.symbol,
        ));
        self.stand(step.result, names[0].clone())
    }

    /// The SSA name and the type of weights that are transformed when the network is loaded. The barrier keeps the compiler
    /// from doing that itself and storing the result.
    fn prepared(&mut self, kernel: &Kernel, preparation: &Preparation) -> (String, String) {
        let Preparation { symbol, shape } = preparation;
        let [from, to] = [&kernel.weights_shape, shape].map(|shape| types::builtin(shape.iter().copied()));
        let literal = self.blobs.floats(&kernel.weights, &kernel.weights_shape);
        let global = format!("@weights_{}", self.globals.len());
        self.globals.push(format!(
            "util.global private {global} : {to}
             util.initializer {{
               %constant = arith.constant {literal}
               %raw = util.optimization_barrier %constant : {from}
               %prepared = flow.dispatch @{symbol}::@{symbol}(%raw) : ({from}) -> {to}
               util.global.store %prepared, {global} : {to}
               util.return
             }}
"
        ));
        let value = self.fresh();
        self.line(&format!("{value} = util.global.load immutable {global} : {to}"));
        (value, to)
    }

    /// Calls the kernel `symbol`, which does `node`, with `operands`, names and their types.
    pub(super) fn call(
        &mut self,
        symbol: &str,
        node: NodeId,
        operands: &[(String, String)],
        result: TensorId,
    ) -> Result<(), ImportError> {
        let (operands, operand_types): (Vec<_>, Vec<_>) = operands.iter().cloned().unzip();
        let (name, (_, ty)) = (self.fresh(), self.memory(result)?);
        let location = types::quoted(&self.plan.graph.node(node).label());
        self.line(&format!(
            "{name} = flow.dispatch @{symbol}::@{symbol}({}) : ({}) -> {ty} loc({location})",
            operands.join(", "),
            operand_types.join(", "),
        ));
        self.stand(result, name)
    }

    /// The SSA name of a constant, and its type.
    pub(super) fn constant_floats(&mut self, values: &[f32], shape: &[usize]) -> (String, String) {
        let literal = self.blobs.floats(values, shape);
        let value = self.fresh();
        self.line(&format!("{value} = arith.constant {literal}"));
        (value, types::builtin(shape.iter().copied()))
    }
}

/// Weights as `[filter][channel][row][column]`.
fn by_filter(weights: &plan::Weights, filters: usize) -> Result<Vec<f32>, ImportError> {
    let floats = floats(weights.tensor)?;
    if !weights.filters_last {
        return Ok(floats);
    }
    Ok((0..filters).flat_map(|filter| floats.iter().skip(filter).step_by(filters)).copied().collect())
}

/// The elements of `tensor`, which is one of floats.
pub(super) fn floats(tensor: &TensorProto) -> Result<Vec<f32>, ImportError> {
    debug_assert_eq!(tensor.data_type, FLOAT, "so the plan has it");
    let bytes = tensor_bytes(tensor)?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}
