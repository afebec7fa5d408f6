//! `BitCast` (operator set 26), which torch-mlir does not read: the same bits as elements of another type.

use skipgate_onnx::TensorType;
use skipgate_onnx::element_type::{FLOAT, INT32};

use super::{Emitter, types};
use crate::ImportError;
use crate::plan::Operator;

impl Emitter<'_, '_> {
    /// Writes `operator` if it is one of 32-bit elements; returns whether it is.
    pub(super) fn bit_cast(&mut self, operator: &Operator) -> Result<bool, ImportError> {
        let node = self.plan.graph.node(operator.node);
        let (&[Some(source)], &[result]) = (&operator.operands[..], &operator.results[..]) else {
            return Ok(false);
        };
        let [from, to] = [source, result].map(|tensor| &self.plan.tensor(tensor).ty);
        let pair = builtin(from).zip(builtin(to)).zip(from.static_shape());
        let Some((([from, from_element], [to, to_element]), shape)) =
            pair.filter(|_| node.op_type() == "BitCast")
        else {
            return Ok(false);
        };
        let (torch_from, torch_to) = (self.type_of(source)?, self.type_of(result)?);
        let [taken, empty, cast] = [self.fresh(), self.fresh(), self.fresh()];
        let value = self.value(source);
        let axes: Vec<_> = (0..shape.len()).map(|axis| format!("d{axis}")).collect();
        let map = format!("affine_map<({axes}) -> ({axes})>", axes = axes.join(", "));
        let iterators = vec!["\"parallel\""; shape.len()].join(", ");
        let location = types::quoted(&node.label());
        self.line(&format!("{taken} = torch_c.to_builtin_tensor {value} : {torch_from} -> {from}"));
        self.line(&format!("{empty} = tensor.empty() : {to}"));
        self.line(&format!(
            "{cast} = linalg.generic {{indexing_maps = [{map}, {map}], iterator_types = [{iterators}]}}
               ins({taken} : {from}) outs({empty} : {to}) {{
             ^bb0(%in: {from_element}, %out: {to_element}):
               %bits = arith.bitcast %in : {from_element} to {to_element}
               linalg.yield %bits : {to_element}
             }} -> {to} loc({location})"
        ));
        let value = self.define(result);
        self.line(&format!("{value} = torch_c.from_builtin_tensor {cast} : {to} -> {torch_to}"));
        Ok(true)
    }
}

/// The builtin type of a tensor of `ty`, and of its elements, which have no sign there.
fn builtin(ty: &TensorType) -> Option<[String; 2]> {
    let element = match ty.element_type {
        FLOAT => "f32",
        INT32 => "i32",
        _ => return None,
    };
    let extents: Vec<_> = ty.static_shape()?.iter().map(ToString::to_string).collect();
    let parts: Vec<_> = extents.into_iter().chain([element.to_owned()]).collect();
    Some([format!("tensor<{}>", parts.join("x")), element.to_owned()])
}
