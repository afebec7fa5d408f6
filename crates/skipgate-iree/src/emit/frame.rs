//! Values on their way into frames and out of them.

use skipgate_onnx::TensorType;

use super::{Emitter, types};
use crate::ImportError;
use crate::gating::FRAME;
use crate::plan::{CHANNELS_FIRST, CHANNELS_LAST, Frame, Put, TensorId, permuted};

impl Emitter<'_, '_> {
    pub(super) fn put(&mut self, put: &Put) -> Result<(), ImportError> {
        let frame = self.frame(put.result)?.clone();
        let memory = if frame.has_room() {
            let zeros = self.zeros(&frame);
            let value = self.builtin(put.source, &frame)?;
            let memory = self.fresh();
            let (place, inner, outer) = (types::place(&frame), types::inner(&frame), types::outer(&frame));
            self.line(&format!(
                "{memory} = tensor.insert_slice {value} into {zeros}{place} : {inner} into {outer}"
            ));
            memory
        } else {
            self.builtin(put.source, &frame)?
        };
        if !put.stays {
            self.names[put.result.0].memory = memory;
            return Ok(());
        }
        // Without it, the compiler would move the copy into what reads the frame.
        let memory = self.barrier(&memory, &frame, FRAME);
        self.stand(put.result, memory)
    }

    /// A tensor of zeros of the shape of `frame`.
    pub(super) fn zeros(&mut self, frame: &Frame) -> String {
        let [zero, empty, zeros] = [self.fresh(), self.fresh(), self.fresh()];
        let ty = types::outer(frame);
        self.line(&format!("{zero} = arith.constant 0.0 : f32"));
        self.line(&format!("{empty} = tensor.empty() : {ty}"));
        self.line(&format!("{zeros} = linalg.fill ins({zero} : f32) outs({empty} : {ty}) -> {ty}"));
        zeros
    }

    /// The value of `tensor` with its channels last, as a builtin tensor that fits into `frame`.
    fn builtin(&mut self, tensor: TensorId, frame: &Frame) -> Result<String, ImportError> {
        let (value, plan) = (self.value(tensor), self.plan.tensor(tensor));
        let value = self.transpose(&value, &plan.ty, CHANNELS_LAST)?;
        let builtin = self.fresh();
        let torch = types::vtensor(plan.name, &permuted(&plan.ty, CHANNELS_LAST))?;
        self.line(&format!(
            "{builtin} = torch_c.to_builtin_tensor {value} : {torch} -> {}",
            types::inner(frame)
        ));
        Ok(builtin)
    }

    /// Keeps the compiler from moving anything across; the barrier's location is `name`.
    pub(super) fn barrier(&mut self, memory: &str, frame: &Frame, name: &str) -> String {
        let (result, ty, location) = (self.fresh(), types::outer(frame), types::quoted(name));
        self.line(&format!("{result} = util.optimization_barrier {memory} : {ty} loc({location})"));
        result
    }

    /// Lets `tensor` stand in `memory`, where operators read it from.
    pub(super) fn stand(&mut self, tensor: TensorId, memory: String) -> Result<(), ImportError> {
        let frame = self.frame(tensor)?.clone();
        let [slice, value] = [self.fresh(), self.fresh()];
        let (place, inner, outer) = (types::place(&frame), types::inner(&frame), types::outer(&frame));
        self.line(&format!("{slice} = tensor.extract_slice {memory}{place} : {outer} to {inner}"));
        let plan = self.plan.tensor(tensor);
        let ty = permuted(&plan.ty, CHANNELS_LAST);
        let torch = types::vtensor(plan.name, &ty)?;
        self.line(&format!("{value} = torch_c.from_builtin_tensor {slice} : {inner} -> {torch}"));
        let value = self.transpose(&value, &ty, CHANNELS_FIRST)?;
        self.names[tensor.0] = super::Names { value, memory };
        Ok(())
    }

    /// Permutes the dimensions of an image; any other tensor has no channels and stays as it is.
    pub(super) fn transpose(
        &mut self,
        value: &str,
        ty: &TensorType,
        order: [usize; 4],
    ) -> Result<String, ImportError> {
        if ty.shape.len() != order.len() {
            return Ok(value.to_owned());
        }
        let result = self.fresh();
        let axes: Vec<_> = order.iter().map(|axis| format!("{axis} : si64")).collect();
        let (from, to) = (types::vtensor(value, ty)?, types::vtensor(value, &permuted(ty, order))?);
        self.line(&format!(
            "{result} = torch.operator \"onnx.Transpose\"({value}) {{torch.onnx.perm = [{}]}} : ({from}) -> ({to})",
            axes.join(", ")
        ));
        Ok(result)
    }
}
