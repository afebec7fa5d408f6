//! Calls of kernels.

use skipgate_onnx::ValueId;

use super::Builder;
use crate::ImportError;
use crate::kernels::{self, Convolution, Place};
use crate::passes::{Layer, Then};
use crate::plan::{Frame, Kernel, Layout, Put, Step, TensorId};

impl<'m> Builder<'_, 'm> {
    pub(super) fn kernel(&mut self, layer: &Layer<'m>) -> Result<(), ImportError> {
        let node = self.graph.node(layer.nodes[0]);
        let wanted = Frame::of_reader(node, self.ty(layer.input)?);
        let input = self.laid_out(layer.input, layer.layout, wanted)?;
        let residual = layer.residual.map(|value| self.laid_out(value, layer.layout, None)).transpose()?;
        let wanted = self.findings.frames.of_value(layer.result);
        let frame = match wanted.filter(|frame| frame.layout() == layer.layout) {
            Some(frame) => Some(frame.clone()),
            None => Frame::just(self.ty(layer.result)?, layer.layout),
        };
        let result = self.define(layer.result, frame)?;
        let convolution = self.convolution(layer, input, residual, result)?;
        self.coverage.kernels += 1;
        self.steps.push(Step::Kernel(Box::new(Kernel {
            nodes: layer.nodes.clone(),
            convolution,
            weights: layer.weights,
            bias: layer.bias,
            input,
            residual,
            result,
        })));
        self.put_where_wanted(layer.result)
    }

    fn convolution(
        &self,
        layer: &Layer,
        input: TensorId,
        residual: Option<TensorId>,
        result: TensorId,
    ) -> Result<Convolution, ImportError> {
        let added = residual.map(|residual| self.place(residual, [0; 2])).transpose()?;
        let step = |then: &Then| match *then {
            Then::Add => added.map(kernels::Step::Add),
            Then::Relu => Some(kernels::Step::Relu),
            Then::Clip { low, high } => Some(kernels::Step::Clip { low, high }),
            Then::Curve(curve) => Some(kernels::Step::Curve(curve)),
            Then::TimesCurve(curve) => Some(kernels::Step::TimesCurve(curve)),
            Then::Quantize(quantization) => Some(kernels::Step::Quantize(quantization)),
        };
        Ok(Convolution {
            window: layer.window.clone(),
            input: self.place(input, layer.window.low)?,
            steps: layer.then.iter().filter_map(step).collect(),
            output: self.place(result, [0; 2])?,
        })
    }

    /// Where in its frame an image begins, `before` rows and columns further up and left.
    fn place(&self, tensor: TensorId, before: [usize; 2]) -> Result<Place, ImportError> {
        let place = self.frame_of(tensor).and_then(Frame::pixels).and_then(|pixels| {
            let Place { outer, low } = pixels.place;
            let low = [low[0].checked_sub(before[0])?, low[1].checked_sub(before[1])?];
            Some(Place { outer, low })
        });
        let name = || self.tensors[tensor.0].name.to_owned();
        place.ok_or_else(|| ImportError::UnknownShape { value: name() })
    }

    /// `value` in `layout` among the room of `wanted`, if that is asked for, else as it stands. It gets a frame of its own
    /// for this where it stands in none, in another layout, or in one with less room.
    pub(super) fn laid_out(
        &mut self,
        value: ValueId,
        layout: Layout,
        wanted: Option<Frame>,
    ) -> Result<TensorId, ImportError> {
        let source = self.read(value)?;
        let has_room = |frame: &Frame| wanted.as_ref().is_none_or(|wanted| frame.has_room_for(wanted));
        if self.frame_of(source).is_some_and(|frame| frame.layout() == layout && has_room(frame)) {
            return Ok(source);
        }
        let own = wanted.or(Frame::just(self.ty(value)?, layout));
        let name = || self.graph.value(value).name.to_owned();
        self.copy(value, own.ok_or_else(|| ImportError::UnknownShape { value: name() })?)
    }

    /// `value` in `frame` and no other, where it is put for one kernel unless it stands there already.
    pub(super) fn exactly_in(&mut self, value: ValueId, frame: &Frame) -> Result<TensorId, ImportError> {
        let source = self.read(value)?;
        if self.frame_of(source) == Some(frame) { Ok(source) } else { self.copy(value, frame.clone()) }
    }

    /// A copy of `value` in `frame` for one kernel.
    fn copy(&mut self, value: ValueId, frame: Frame) -> Result<TensorId, ImportError> {
        let (source, result) = (self.read(value)?, self.tensor(value, Some(frame))?);
        self.steps.push(Step::Put(Put { source, result, stays: false }));
        Ok(result)
    }
}
