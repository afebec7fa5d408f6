//! Values on their way into frames and out of them.

use skipgate_onnx::TensorType;

use super::excerpt::{Part, Source};
use super::{Emitter, types};
use crate::ImportError;
use crate::plan::{CHANNELS_FIRST, CHANNELS_LAST, Frame, Layout, Put, TensorId, permuted};

impl Emitter<'_, '_> {
    pub(super) fn put(&mut self, put: &Put) -> Result<(), ImportError> {
        let frame = self.frame(put.result)?.clone();
        let memory = if frame.has_room() {
            self.padded(put.source, &frame)?
        } else {
            self.builtin(put.source, &frame)?
        };
        if put.stays {
            return self.stand(put.result, memory);
        }
        self.names[put.result.0].memory = memory;
        Ok(())
    }

    /// The value of `tensor` in the middle of zeros.
    fn padded(&mut self, tensor: TensorId, frame: &Frame) -> Result<String, ImportError> {
        let is_planar = self.plan.inputs.contains(&tensor);
        let from = self.plan.tensor(tensor).frame.clone();
        let from = from.filter(|from| from.layout() == frame.layout());
        let (memory, shape, low) = match from {
            Some(from) => (self.memory(tensor)?.0, from.outer(), from.low().to_vec()),
            // The kernel reads the network's own input as it is.
            None if is_planar => (self.planar(tensor, frame)?, frame.inner().to_vec(), vec![0; 4]),
            None => (self.builtin(tensor, frame)?, frame.inner().to_vec(), vec![0; 4]),
        };
        let source = Source { memory, shape, is_planar };
        let part =
            Part { starts: low, steps: vec![1; 4], sizes: frame.inner().to_vec(), low: frame.low().to_vec() };
        let label = format!("Pad {}", self.plan.tensor(tensor).name);
        self.call_excerpt(&source, &part, frame, &label)
    }

    /// The value of `tensor` in ONNX's layout, as a builtin tensor.
    fn planar(&mut self, tensor: TensorId, frame: &Frame) -> Result<String, ImportError> {
        let (value, torch, builtin) = (self.value(tensor), self.type_of(tensor)?, self.fresh());
        let ty = types::planar(frame);
        self.line(&format!("{builtin} = torch_c.to_builtin_tensor {value} : {torch} -> {ty}"));
        Ok(builtin)
    }

    /// The value of `tensor` in the layout of `frame`, as a builtin tensor that fits into it.
    fn builtin(&mut self, tensor: TensorId, frame: &Frame) -> Result<String, ImportError> {
        let (mut value, plan) = (self.value(tensor), self.plan.tensor(tensor));
        if frame.layout() == Layout::ChannelsLast {
            value = self.transpose(&value, &plan.ty, CHANNELS_LAST)?;
        }
        let builtin = self.fresh();
        let torch = types::vtensor(plan.name, &frame.layout().of_type(&plan.ty))?;
        self.line(&format!(
            "{builtin} = torch_c.to_builtin_tensor {value} : {torch} -> {}",
            types::inner(frame)
        ));
        Ok(builtin)
    }

    /// Lets `tensor` stand in `memory`, where operators read it from.
    pub(super) fn stand(&mut self, tensor: TensorId, memory: String) -> Result<(), ImportError> {
        let frame = self.frame(tensor)?.clone();
        let [slice, value] = [self.fresh(), self.fresh()];
        let (place, inner, outer) = (types::place(&frame), types::inner(&frame), types::outer(&frame));
        self.line(&format!("{slice} = tensor.extract_slice {memory}{place} : {outer} to {inner}"));
        let plan = self.plan.tensor(tensor);
        let ty = frame.layout().of_type(&plan.ty);
        let torch = types::vtensor(plan.name, &ty)?;
        self.line(&format!("{value} = torch_c.from_builtin_tensor {slice} : {inner} -> {torch}"));
        let value = match frame.layout() {
            Layout::ChannelsLast => self.transpose(&value, &ty, CHANNELS_FIRST)?,
            Layout::InOrder => value,
        };
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
