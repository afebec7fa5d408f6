//! Values in memory that has room around them.
//!
//! A kernel with padding reads its input among zeros. So the kernel that computes such an input writes it into the middle of
//! a tensor, its *frame*, and zeros around it, and everything that reads it reads that tensor.
//!
//! Frames hold images with their channels last, the layout that convolutions are compiled in.

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::{Node, TensorType};

/// From NCHW to NHWC, and back.
pub(crate) const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];
pub(crate) const CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];

/// Room around a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Shape of the value, channels last.
    inner: Vec<usize>,
    /// Zeros in front of the value, by dimension.
    low: Vec<usize>,
    /// Zeros behind it.
    high: Vec<usize>,
}

impl Frame {
    /// The frame in which `node`, a convolution of images with padding, finds a value of type `ty` padded.
    pub(crate) fn of_reader(node: &Node, ty: &TensorType) -> Option<Self> {
        let pads = node.ints("pads").filter(|_| node.is("Conv"))?;
        let pads: Vec<_> = pads.iter().map(|&pad| usize::try_from(pad).ok()).collect::<Option<_>>()?;
        let [top, left, bottom, right] = pads[..] else { return None };
        if pads.iter().all(|&pad| pad == 0) {
            return None;
        }
        Self::new(ty, vec![0, top, left, 0], vec![0, bottom, right, 0])
    }

    /// Just the value.
    pub(crate) fn without_room(ty: &TensorType) -> Option<Self> {
        let none = vec![0; ty.shape.len()];
        Self::new(ty, none.clone(), none)
    }

    fn new(ty: &TensorType, low: Vec<usize>, high: Vec<usize>) -> Option<Self> {
        let inner = permuted(ty, CHANNELS_LAST).static_shape()?;
        let extents = inner.iter().zip(&low).zip(&high);
        let fits = extents.map(|((inner, low), high)| inner.checked_add(*low)?.checked_add(*high));
        let fits = fits.collect::<Option<Vec<_>>>().is_some();
        (ty.element_type == FLOAT && inner.len() == low.len() && fits).then_some(Self { inner, low, high })
    }

    /// Whether this frame has the room of `other` too.
    pub(crate) fn has_room_for(&self, other: &Self) -> bool {
        let enough = |(have, want): (&usize, &usize)| have >= want;
        self.inner == other.inner
            && self.low.iter().zip(&other.low).all(enough)
            && self.high.iter().zip(&other.high).all(enough)
    }

    /// Whether there is any room.
    pub(crate) fn has_room(&self) -> bool {
        self.low.iter().chain(&self.high).any(|&zeros| zeros > 0)
    }

    /// Shape of the value, channels last.
    pub(crate) fn inner(&self) -> &[usize] {
        &self.inner
    }

    /// Where in the frame the value begins.
    pub(crate) fn low(&self) -> &[usize] {
        &self.low
    }

    /// Shape of the frame.
    pub(crate) fn outer(&self) -> Vec<usize> {
        self.inner
            .iter()
            .zip(&self.low)
            .zip(&self.high)
            .map(|((inner, low), high)| inner + low + high)
            .collect()
    }

    /// Rows and columns of an image's frame, and where those of the image begin; `None` if it holds no image.
    pub(crate) fn rows_and_columns(&self) -> Option<([usize; 2], [usize; 2])> {
        let ([_, rows, columns, _], [_, top, left, _]) = (&self.outer()[..], &self.low[..]) else {
            return None;
        };
        Some(([*rows, *columns], [*top, *left]))
    }
}

/// The type of an image with its dimensions in another order; any other tensor has no channels and stays as it is.
pub(crate) fn permuted(ty: &TensorType, order: [usize; 4]) -> TensorType {
    let mut permuted = ty.clone();
    if ty.shape.len() == order.len() {
        permuted.shape = order.iter().map(|&axis| ty.shape[axis]).collect();
    }
    permuted
}

#[cfg(test)]
mod tests {
    use skipgate_onnx::{Graph, Model};

    use super::*;
    use crate::net::{Net, ints};

    /// A convolution of an image of 16 channels with `pads`.
    fn convolution(pads: &[i64]) -> Model {
        let (mut net, x) = Net::new(&[1, 16, 30, 32], 1);
        let weights = net.floats(&[16, 16, 3, 3], |r| r);
        let y = net.op("Conv", &[&x, &weights], &[ints("pads", pads)]);
        net.output(&y, &[1, 16, 30, 32]);
        net.model()
    }

    fn frame_for(pads: &[i64]) -> Option<Frame> {
        let model = convolution(pads);
        let graph = Graph::new(&model).unwrap();
        let node = graph.node(graph.scope(graph.main()).nodes[0]);
        Frame::of_reader(node, graph.ty(node.input(0)?)?)
    }

    fn image() -> TensorType {
        TensorType { element_type: FLOAT, shape: [1, 16, 30, 32].map(Some).to_vec() }
    }

    #[test]
    fn a_frame_holds_the_padding_that_its_reader_asks_for() {
        let frame = frame_for(&[1, 2, 3, 4]).unwrap();
        assert_eq!(frame.inner(), [1, 30, 32, 16]);
        assert_eq!(frame.outer(), [1, 34, 38, 16]);
        assert_eq!(frame.low(), [0, 1, 2, 0]);
    }

    #[test]
    fn a_convolution_without_padding_needs_no_frame() {
        assert_eq!(frame_for(&[0; 4]), None);
        assert_eq!(frame_for(&[-1, 0, 0, 0]), None);
    }

    #[test]
    fn only_floats_of_known_shape_have_frames() {
        let unknown = TensorType { shape: vec![None, Some(16), Some(30), Some(32)], ..image() };
        assert_eq!(Frame::without_room(&unknown), None);
        assert_eq!(Frame::without_room(&TensorType { element_type: FLOAT + 1, ..image() }), None);
        assert_eq!(Frame::without_room(&image()).unwrap().outer(), [1, 30, 32, 16]);
    }

    #[test]
    fn a_frame_that_no_memory_holds_is_none() {
        assert_eq!(Frame::new(&image(), vec![0, usize::MAX, 0, 0], vec![0; 4]), None);
    }
}
