//! Values in memory that has room around them.
//!
//! A kernel with padding reads its input among zeros. So the kernel that computes such an input writes it into the middle of
//! a tensor, its *frame*, and zeros around it, and everything that reads it reads that tensor.
//!
//! Images of convolutions stand in frames with their channels last, the layout that convolutions are compiled in; what matrix
//! products read and write stands there as it is in the model, which has the factors' common dimension last.

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::{Node, TensorType};

use crate::kernels::Place;

/// From NCHW to NHWC, and back.
pub(crate) const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];
pub(crate) const CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];

/// The order of a value's dimensions in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An image whose channels, which the model has in front of rows and columns, are behind them.
    ChannelsLast,
    /// As the model has them.
    InOrder,
}

impl Layout {
    /// How convolutions read and write a value of type `ty`: whatever has not an image's four dimensions has no channels.
    fn of_image(ty: &TensorType) -> Self {
        if ty.shape.len() == CHANNELS_LAST.len() { Self::ChannelsLast } else { Self::InOrder }
    }

    /// The type `ty` with its dimensions in this order.
    pub(crate) fn of_type(self, ty: &TensorType) -> TensorType {
        match self {
            Self::ChannelsLast => permuted(ty, CHANNELS_LAST),
            Self::InOrder => ty.clone(),
        }
    }
}

/// Room around a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    layout: Layout,
    /// Shape of the value in that layout, as all that follows.
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
        Self::new(ty, Layout::ChannelsLast, vec![0, top, left, 0], vec![0, bottom, right, 0])
    }

    /// Just the value, an image with its channels last.
    pub(crate) fn without_room(ty: &TensorType) -> Option<Self> {
        Self::just(ty, Layout::of_image(ty))
    }

    /// Just the value in `layout`.
    pub(crate) fn just(ty: &TensorType, layout: Layout) -> Option<Self> {
        let none = vec![0; ty.shape.len()];
        Self::new(ty, layout, none.clone(), none)
    }

    fn new(ty: &TensorType, layout: Layout, low: Vec<usize>, high: Vec<usize>) -> Option<Self> {
        let inner = layout.of_type(ty).static_shape()?;
        let extents = inner.iter().zip(&low).zip(&high);
        let fits = extents.map(|((inner, low), high)| inner.checked_add(*low)?.checked_add(*high));
        let fits = fits.collect::<Option<Vec<_>>>().is_some();
        let is_possible = ty.element_type == FLOAT && inner.len() == low.len() && fits;
        is_possible.then_some(Self { layout, inner, low, high })
    }

    /// Whether this frame has the room of `other` too.
    pub(crate) fn has_room_for(&self, other: &Self) -> bool {
        let enough = |(have, want): (&usize, &usize)| have >= want;
        (self.layout, &self.inner) == (other.layout, &other.inner)
            && self.low.iter().zip(&other.low).all(enough)
            && self.high.iter().zip(&other.high).all(enough)
    }

    /// Whether there is any room.
    pub(crate) fn has_room(&self) -> bool {
        self.low.iter().chain(&self.high).any(|&zeros| zeros > 0)
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Shape of the value.
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

    /// The frame as kernels see it; `None` if it holds neither one image nor vectors.
    pub(crate) fn pixels(&self) -> Option<Pixels> {
        let outer = self.outer();
        match (self.layout, &outer[..], &self.low[..]) {
            (Layout::ChannelsLast, &[1, rows, columns, channels], &[_, top, left, _]) => {
                Some(Pixels { place: Place { outer: [rows, columns], low: [top, left] }, channels })
            }
            // One row of vectors.
            (Layout::InOrder, [vectors @ .., channels], _) => {
                let place = Place { outer: [1, vectors.iter().product()], low: [0; 2] };
                Some(Pixels { place, channels: *channels })
            }
            _ => None,
        }
    }
}

/// A frame whose last dimension is that of the channels, and all in front of it are rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) place: Place,
    pub(crate) channels: usize,
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
        assert_eq!(Frame::new(&image(), Layout::ChannelsLast, vec![0, usize::MAX, 0, 0], vec![0; 4]), None);
    }
}
