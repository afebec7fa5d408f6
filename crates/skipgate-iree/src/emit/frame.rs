//! Values in memory that has room around them.
//!
//! A convolution with padding reads its input among zeros. Left to the compiler, each one costs a fill and a copy of
//! the input. Here the operation that computes such an input writes it straight into the middle of a tensor of zeros,
//! its *frame*, and everything that reads it reads that tensor; `crate::gating` then lets frames of one shape share
//! their memory, so that their zeros are written once.
//!
//! Frames hold images with their channels last, the layout that convolutions are compiled in.

use std::collections::HashMap;

use skipgate_onnx::TensorType;
use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::{GraphProto, NodeProto};

use super::{Importer, types};
use crate::ImportError;
use crate::gating::FRAME;

/// From NCHW to NHWC, and back.
pub(super) const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];
pub(super) const CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];

/// Room around a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Shape of the value, channels last.
    inner: Vec<usize>,
    /// Zeros in front of the value, by dimension.
    low: Vec<usize>,
    /// Zeros behind it.
    high: Vec<usize>,
}

/// A value in its frame.
#[derive(Debug, Clone)]
pub(super) struct Framed {
    pub(super) frame: Frame,
    /// SSA name of the frame's tensor.
    pub(super) memory: String,
}

impl Frame {
    /// The frame in which `node`, a convolution of images with padding, finds a value of type `ty` padded.
    pub(super) fn of_reader(node: &NodeProto, ty: &TensorType) -> Option<Self> {
        let pads = pads(node).filter(|pads| pads.iter().any(|&pad| pad > 0))?;
        let [top, left, bottom, right] = pads[..] else { return None };
        Self::new(ty, vec![0, top, left, 0], vec![0, bottom, right, 0])
    }

    /// A frame with one more row. It pads nothing: it makes the value a part of a tensor that can be written again.
    pub(super) fn with_room(ty: &TensorType) -> Option<Self> {
        let rank = ty.shape.len();
        let mut high = vec![0; rank];
        *high.get_mut(1)? = 1;
        Self::new(ty, vec![0; rank], high)
    }

    /// Just the value.
    pub(super) fn without_room(ty: &TensorType) -> Option<Self> {
        let none = vec![0; ty.shape.len()];
        Self::new(ty, none.clone(), none)
    }

    /// Whether this frame has the room of `other` too.
    pub(super) fn has_room_for(&self, other: &Self) -> bool {
        let enough = |(have, want): (&usize, &usize)| have >= want;
        self.inner == other.inner
            && self.low.iter().zip(&other.low).all(enough)
            && self.high.iter().zip(&other.high).all(enough)
    }

    /// Rows and columns of the frame, and where those of the value begin.
    pub(super) fn rows_and_columns(&self) -> ([usize; 2], [usize; 2]) {
        let outer = self.outer();
        ([outer[1], outer[2]], [self.low[1], self.low[2]])
    }

    /// Where in the frame the element at `place` of the value is.
    pub(super) fn inside(&self, place: [usize; 4]) -> [usize; 4] {
        std::array::from_fn(|axis| place[axis] + self.low[axis])
    }

    fn new(ty: &TensorType, low: Vec<usize>, high: Vec<usize>) -> Option<Self> {
        let inner = channels_last(ty).static_shape()?;
        (ty.element_type == FLOAT && inner.len() == low.len()).then_some(Self { inner, low, high })
    }

    pub(super) fn builtin(shape: impl Iterator<Item = usize>) -> String {
        let extents: Vec<_> = shape.map(|extent| extent.to_string()).collect();
        format!("tensor<{}xf32>", extents.join("x"))
    }

    /// Type of the value, channels last.
    fn inner_type(&self) -> String {
        Self::builtin(self.inner.iter().copied())
    }

    /// Shape of the frame.
    fn outer(&self) -> Vec<usize> {
        self.inner
            .iter()
            .zip(&self.low)
            .zip(&self.high)
            .map(|((inner, low), high)| inner + low + high)
            .collect()
    }

    pub(super) fn outer_type(&self) -> String {
        Self::builtin(self.outer().into_iter())
    }

    /// Where the value is in the frame: offsets, sizes and strides.
    fn place(&self) -> String {
        let strides = vec![1; self.inner.len()];
        [&self.low, &self.inner, &strides].map(|numbers| format!("{numbers:?}")).concat()
    }
}

/// The frame of every value that a padded convolution reads, by name. Where several read it, the first decides.
pub(super) fn wanted(graph: &GraphProto, types: &HashMap<String, TensorType>) -> HashMap<String, Frame> {
    let mut frames = HashMap::new();
    collect(graph, types, &mut frames);
    frames
}

fn collect(graph: &GraphProto, types: &HashMap<String, TensorType>, frames: &mut HashMap<String, Frame>) {
    for node in &graph.node {
        if let Some(input) = node.input.first().filter(|_| is_convolution(node)) {
            if let Some(frame) = types.get(input).and_then(|ty| Frame::of_reader(node, ty)) {
                frames.entry(input.clone()).or_insert(frame);
            }
        }
        let subgraphs = node.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
        subgraphs.for_each(|graph| collect(graph, types, frames));
    }
}

pub(super) fn is_convolution(node: &NodeProto) -> bool {
    node.op_type == "Conv" && types::is_onnx_domain(&node.domain)
}

/// Explicit padding, in ONNX's order: all beginnings, then all ends.
fn pads(node: &NodeProto) -> Option<Vec<usize>> {
    let pads = node.attribute.iter().find(|attribute| attribute.name == "pads")?;
    pads.ints.iter().map(|&pad| usize::try_from(pad).ok()).collect()
}

impl Importer<'_> {
    /// Puts the value `name`, just computed, into `frame`; from here on everything reads it from there.
    pub(super) fn put_in_frame(&mut self, name: &str, frame: Frame) -> Result<(), ImportError> {
        let zeros = self.zeros(&frame);
        let memory = self.write_to_frame(name, &frame, &zeros)?;
        let framed = self.barrier(Framed { frame, memory }, FRAME);
        self.read_from_frame(name, framed)
    }

    /// A tensor of zeros of the shape of `frame`.
    pub(super) fn zeros(&mut self, frame: &Frame) -> String {
        let [zero, empty, zeros] = [self.fresh(), self.fresh(), self.fresh()];
        let ty = frame.outer_type();
        self.line(&format!("{zero} = arith.constant 0.0 : f32"));
        self.line(&format!("{empty} = tensor.empty() : {ty}"));
        self.line(&format!("{zeros} = linalg.fill ins({zero} : f32) outs({empty} : {ty}) -> {ty}"));
        zeros
    }

    /// Writes the value `name` into its place in a frame of zeros.
    pub(super) fn write_to_frame(
        &mut self,
        name: &str,
        frame: &Frame,
        zeros: &str,
    ) -> Result<String, ImportError> {
        let ty = self.tensor_type(name)?;
        let value = self.value(name);
        let value = self.transpose(&value, ty, CHANNELS_LAST)?;
        let builtin = self.builtin(&value, name, ty, frame)?;
        let memory = self.fresh();
        let (place, inner, outer) = (frame.place(), frame.inner_type(), frame.outer_type());
        self.line(&format!(
            "{memory} = tensor.insert_slice {builtin} into {zeros}{place} : {inner} into {outer}"
        ));
        Ok(memory)
    }

    /// `value`, which is `name` of type `ty` with its channels last, as a builtin tensor.
    pub(super) fn builtin(
        &mut self,
        value: &str,
        name: &str,
        ty: &TensorType,
        frame: &Frame,
    ) -> Result<String, ImportError> {
        let builtin = self.fresh();
        let (torch, inner) = (types::vtensor(name, &channels_last(ty))?, frame.inner_type());
        self.line(&format!("{builtin} = torch_c.to_builtin_tensor {value} : {torch} -> {inner}"));
        Ok(builtin)
    }

    /// Keeps the compiler from moving anything across; the barrier's location is `name`.
    pub(super) fn barrier(&mut self, Framed { frame, memory }: Framed, name: &str) -> Framed {
        let (result, ty, location) = (self.fresh(), frame.outer_type(), types::quoted(name));
        self.line(&format!("{result} = util.optimization_barrier {memory} : {ty} loc({location})"));
        Framed { frame, memory: result }
    }

    /// Makes what is in `framed` the value `name`.
    pub(super) fn read_from_frame(&mut self, name: &str, framed: Framed) -> Result<(), ImportError> {
        let [slice, value] = [self.fresh(), self.fresh()];
        let Framed { frame, memory } = &framed;
        let (place, inner, outer) = (frame.place(), frame.inner_type(), frame.outer_type());
        self.line(&format!("{slice} = tensor.extract_slice {memory}{place} : {outer} to {inner}"));
        let ty = channels_last(self.tensor_type(name)?);
        let torch = types::vtensor(name, &ty)?;
        self.line(&format!("{value} = torch_c.from_builtin_tensor {slice} : {inner} -> {torch}"));
        let value = self.transpose(&value, &ty, CHANNELS_FIRST)?;
        self.values.insert(name.to_owned(), value);
        self.framed.insert(name.to_owned(), framed);
        Ok(())
    }

    /// A convolution whose input stands in the frame that its padding asks for: the same without padding, of the whole
    /// frame. `None` for anything else.
    pub(super) fn of_whole_frame(
        &mut self,
        node: &NodeProto,
    ) -> Result<Option<(NodeProto, TensorType)>, ImportError> {
        let Some(input) = node.input.first().filter(|_| is_convolution(node)) else { return Ok(None) };
        let Some(Framed { frame, memory }) = self.framed.get(input).cloned() else { return Ok(None) };
        let ty = self.tensor_type(input)?;
        if Frame::of_reader(node, ty).as_ref() != Some(&frame) {
            return Ok(None);
        }
        let outer = TensorType {
            element_type: ty.element_type,
            shape: frame.outer().into_iter().map(Some).collect(),
        };
        let value = self.fresh();
        let (torch, builtin) = (types::vtensor(input, &outer)?, frame.outer_type());
        self.line(&format!("{value} = torch_c.from_builtin_tensor {memory} : {builtin} -> {torch}"));
        let value = self.transpose(&value, &outer, CHANNELS_FIRST)?;
        // The frame is no value of the model, so it gets a name of its own: one that ends in its SSA name.
        let mut unpadded = node.clone();
        unpadded.input[0] = format!("{input} in its frame{value}");
        for pads in unpadded.attribute.iter_mut().filter(|attribute| attribute.name == "pads") {
            pads.ints.fill(0);
        }
        self.values.insert(unpadded.input[0].clone(), value);
        Ok(Some((unpadded, permuted(&outer, CHANNELS_FIRST))))
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

/// The type of an image in the layout of frames; of any other tensor, its own.
fn channels_last(ty: &TensorType) -> TensorType {
    permuted(ty, CHANNELS_LAST)
}

pub(super) fn permuted(ty: &TensorType, order: [usize; 4]) -> TensorType {
    let mut permuted = ty.clone();
    if ty.shape.len() == order.len() {
        permuted.shape = order.iter().map(|&axis| ty.shape[axis]).collect();
    }
    permuted
}

#[cfg(test)]
mod tests {
    use skipgate_onnx::proto::AttributeProto;

    use super::*;

    fn convolution(pads: &[i64]) -> NodeProto {
        let pads = AttributeProto { name: "pads".to_owned(), ints: pads.to_vec(), ..Default::default() };
        NodeProto { op_type: "Conv".to_owned(), attribute: vec![pads], ..Default::default() }
    }

    fn image() -> TensorType {
        TensorType { element_type: FLOAT, shape: [1, 16, 30, 32].map(Some).to_vec() }
    }

    #[test]
    fn a_frame_holds_the_padding_that_its_reader_asks_for() {
        let frame = Frame::of_reader(&convolution(&[1, 2, 3, 4]), &image()).unwrap();
        assert_eq!(frame.inner_type(), "tensor<1x30x32x16xf32>");
        assert_eq!(frame.outer_type(), "tensor<1x34x38x16xf32>");
        assert_eq!(frame.place(), "[0, 1, 2, 0][1, 30, 32, 16][1, 1, 1, 1]");
    }

    #[test]
    fn a_convolution_without_padding_needs_no_frame() {
        assert_eq!(Frame::of_reader(&convolution(&[0; 4]), &image()), None);
        assert_eq!(Frame::of_reader(&NodeProto::default(), &image()), None);
    }

    #[test]
    fn only_floats_of_known_shape_have_frames() {
        let unknown = TensorType { shape: vec![None, Some(16), Some(30), Some(32)], ..image() };
        assert_eq!(Frame::with_room(&unknown), None);
        assert_eq!(Frame::with_room(&TensorType { element_type: FLOAT + 1, ..image() }), None);
        assert_eq!(Frame::with_room(&image()).unwrap().outer_type(), "tensor<1x31x32x16xf32>");
    }
}
