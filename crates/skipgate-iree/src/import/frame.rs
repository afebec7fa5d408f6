//! Values in memory that has room around them.
//!
//! A convolution with padding reads its input among zeros. Left to the compiler, each one costs a fill and a copy of
//! the input. Here the operation that computes such an input writes it straight into the middle of a tensor of zeros,
//! its *frame*, and everything that reads it reads that tensor; `crate::gating` then lets frames of one shape share
//! their memory, so that their zeros are written once.
//!
//! Frames hold images with their channels last, the layout that convolutions are compiled in.

use skipgate_onnx::TensorType;
use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::{GraphProto, NodeProto};

use super::{Importer, types};
use crate::ImportError;
use crate::kernels::Excerpt;

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
    pub(super) fn outer(&self) -> Vec<usize> {
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

pub(super) fn is_convolution(node: &NodeProto) -> bool {
    node.op_type == "Conv" && types::is_onnx_domain(&node.domain)
}

/// Explicit padding, in ONNX's order: all beginnings, then all ends.
fn pads(node: &NodeProto) -> Option<Vec<usize>> {
    let pads = node.attribute.iter().find(|attribute| attribute.name == "pads")?;
    pads.ints.iter().map(|&pad| usize::try_from(pad).ok()).collect()
}

impl<'a> Importer<'a> {
    /// Notes the frame of every value that a kernel reads with padding, by name. Where several read it, the first decides.
    pub(super) fn want_frames(&mut self, graph: &'a GraphProto) -> Result<(), ImportError> {
        for node in &graph.node {
            if let Some(input) = node.input.first().filter(|_| is_convolution(node)) {
                let frame = self.types.get(input).and_then(|ty| Frame::of_reader(node, ty));
                if let (Some(frame), true) = (frame, self.recognise(node)?.is_some()) {
                    self.frames.entry(input.clone()).or_insert(frame);
                }
            }
            let subgraphs = node.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
            for graph in subgraphs {
                self.want_frames(graph)?;
            }
        }
        Ok(())
    }

    /// Puts the value `name`, just computed, into `frame`; from here on everything reads it from there.
    pub(super) fn put_in_frame(&mut self, name: &str, frame: Frame) -> Result<(), ImportError> {
        let memory = self.write_to_frame(name, &frame)?;
        self.read_from_frame(name, Framed { frame, memory })
    }

    /// Writes the value `name` into its place in a frame of zeros.
    pub(super) fn write_to_frame(&mut self, name: &str, frame: &Frame) -> Result<String, ImportError> {
        let ty = self.tensor_type(name)?;
        let is_one_image = matches!(ty.shape[..], [Some(1), _, _, _]);
        let is_planar = self.inputs.contains(name) && is_one_image;
        let from = if is_planar { self.planar(name, ty)? } else { self.image_as_it_is(name)? };
        if from.frame == *frame && !is_planar {
            return Ok(from.memory);
        }
        let (&[_, rows, columns, channels], &[_, to_rows, to_columns, to_channels]) =
            (&from.frame.outer()[..], &frame.outer()[..])
        else {
            return Err(ImportError::UnknownShape { value: name.to_owned() });
        };
        let three = |numbers: &[usize]| [numbers[1], numbers[2], numbers[3]];
        let excerpt = Excerpt {
            from: if is_planar { three(&from.frame.inner) } else { [rows, columns, channels] },
            is_planar,
            starts: three(&from.frame.low),
            steps: [1; 3],
            sizes: three(&frame.inner),
            to: [to_rows, to_columns, to_channels],
            low: three(&frame.low),
        };
        let ty = if is_planar { planar_type(&from.frame) } else { from.frame.outer_type() };
        Ok(self.call_excerpt(&excerpt, &from.memory, &ty, frame, &format!("Pad {name}")))
    }

    /// An input of the network as it is, with its channels first.
    fn planar(&mut self, name: &str, ty: &TensorType) -> Result<Framed, ImportError> {
        let unknown = || ImportError::UnknownShape { value: name.to_owned() };
        let frame = Frame::without_room(ty).ok_or_else(unknown)?;
        let (memory, value) = (self.fresh(), self.value(name));
        let (torch, builtin) = (types::vtensor(name, ty)?, planar_type(&frame));
        self.line(&format!("{memory} = torch_c.to_builtin_tensor {value} : {torch} -> {builtin}"));
        Ok(Framed { frame, memory })
    }

    /// Calls the kernel for `excerpt` on `memory` of type `ty`; the result stands in `frame`.
    pub(super) fn call_excerpt(
        &mut self,
        excerpt: &Excerpt,
        memory: &str,
        ty: &str,
        frame: &Frame,
        label: &str,
    ) -> String {
        let (symbol, result) = (self.kernels.excerpt(excerpt), self.fresh());
        let (to, location) = (frame.outer_type(), types::quoted(label));
        self.line(&format!(
            "{result} = flow.dispatch @{symbol}::@{symbol}({memory}) : ({ty}) -> {to} loc({location})"
        ));
        result
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

/// The type of the value in `frame` with its channels first.
fn planar_type(frame: &Frame) -> String {
    Frame::builtin(CHANNELS_FIRST.iter().map(|&axis| frame.inner[axis]))
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
        assert_eq!(Frame::without_room(&unknown), None);
        assert_eq!(Frame::without_room(&TensorType { element_type: FLOAT + 1, ..image() }), None);
        assert_eq!(Frame::without_room(&image()).unwrap().outer_type(), "tensor<1x30x32x16xf32>");
    }
}
