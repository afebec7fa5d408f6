//! What a compiled network does, step by step, before any of it is written as MLIR.
//!
//! A value of the model may stand in several *tensors*: as the compiler's generic code has it, in ONNX's layout, and in
//! the middle of a [`Frame`], an image with its channels last there, which is how kernels read and write. Steps say which tensors they
//! read and which they define; names of the model serve messages and locations only.
//!
//! [`crate::passes`] makes plans, [`Plan::check`] checks one on its own, and [`crate::emit`] writes one as MLIR.

mod build;
mod check;
mod frame;
mod text;

use std::borrow::Cow;

use skipgate_core::{CompileOptions, Coverage};
use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{Graph, NodeId, TensorType};

use crate::kernels::{self, Convolution, Quantization, Simd};

pub(crate) use build::{build, unsupported};
pub use check::{PlanError, PlanProblem};
pub(crate) use frame::{CHANNELS_FIRST, CHANNELS_LAST, Frame, Layout, permuted};

/// The steps of a network.
///
/// Its text form (`to_string`) has a line for every step, and stays the same for the same model and target.
#[derive(Debug)]
pub struct Plan<'m> {
    pub(crate) graph: Graph<'m>,
    pub(crate) ir_version: i64,
    pub(crate) opset: i64,
    pub(crate) simd: Simd,
    pub(crate) options: CompileOptions,
    pub(crate) tensors: Vec<Tensor<'m>>,
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) steps: Vec<Step<'m>>,
    pub(crate) outputs: Vec<TensorId>,
    pub(crate) coverage: Coverage,
}

/// A tensor of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TensorId(pub(crate) usize);

/// A value in one of the forms that it takes.
#[derive(Debug)]
pub(crate) struct Tensor<'m> {
    /// The value's name in the model.
    pub(crate) name: &'m str,
    /// The value's type, in ONNX's layout.
    pub(crate) ty: TensorType,
    /// The frame that it stands in; `None` for the form that the compiler's generic code works on.
    pub(crate) frame: Option<Frame>,
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Step<'m> {
    Concat(Concat),
    Constant(Constant<'m>),
    Kernel(Box<Kernel<'m>>),
    Operator(Operator),
    Excerpt(Excerpt),
    Product(Product),
    Quantise(Quantise),
    Rows(Rows<'m>),
    Sum(Sum),
    Put(Put),
    Gate(Gate<'m>),
    Branch(Branch<'m>),
}

/// A tensor that is part of the model.
#[derive(Debug)]
pub(crate) struct Constant<'m> {
    pub(crate) result: TensorId,
    pub(crate) tensor: Cow<'m, TensorProto>,
}

/// A layer and what follows it, as one call of a kernel. A matrix product is a convolution of 1x1 whose pixels are the rows
/// of the first factor.
#[derive(Debug)]
pub(crate) struct Kernel<'m> {
    /// The layer, and the nodes that the kernel does besides, in order.
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) convolution: Convolution,
    pub(crate) weights: Weights<'m>,
    /// Zeros if there is none.
    pub(crate) bias: Option<&'m TensorProto>,
    pub(crate) input: TensorId,
    /// What is added.
    pub(crate) residual: Option<TensorId>,
    pub(crate) result: TensorId,
}

/// The weights of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'m> {
    pub(crate) tensor: &'m TensorProto,
    /// Whether they are `[channel][filter]`, as a matrix product has them; otherwise `[filter][channel][row][column]`.
    pub(crate) filters_last: bool,
}

/// A node that the compiler's generic code computes.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) node: NodeId,
    /// `None` for an operand that is left out.
    pub(crate) operands: Vec<Option<TensorId>>,
    /// The results that are not left out.
    pub(crate) results: Vec<TensorId>,
    /// Why no kernel computes it, if it is a layer.
    pub(crate) reason: Option<String>,
}

/// A regular part of an image, with zeros around it.
#[derive(Debug)]
pub(crate) struct Excerpt {
    /// The node that adds the zeros.
    pub(crate) node: NodeId,
    pub(crate) source: TensorId,
    pub(crate) result: TensorId,
    /// The first element taken, by dimension, channels last.
    pub(crate) starts: [usize; 4],
    /// Distances between elements.
    pub(crate) steps: [usize; 4],
    /// Number of elements taken.
    pub(crate) sizes: [usize; 4],
    /// Where in the result they begin.
    pub(crate) low: [usize; 4],
}

/// Tensors put side by side.
#[derive(Debug)]
pub(crate) struct Concat {
    pub(crate) node: NodeId,
    pub(crate) sizes: kernels::Concat,
    pub(crate) operands: Vec<TensorId>,
    pub(crate) result: TensorId,
}

/// A product of two computed stacks of matrices.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) node: NodeId,
    pub(crate) sizes: kernels::Product,
    pub(crate) first: TensorId,
    pub(crate) second: TensorId,
    pub(crate) result: TensorId,
}

/// Something that is computed from each row of a matrix alone.
#[derive(Debug)]
pub(crate) struct Rows<'m> {
    pub(crate) node: NodeId,
    pub(crate) sizes: kernels::Rows,
    /// Of a normalisation.
    pub(crate) scale: Option<&'m TensorProto>,
    /// Zeros if there is none.
    pub(crate) bias: Option<&'m TensorProto>,
    pub(crate) source: TensorId,
    pub(crate) result: TensorId,
}

/// A value rounded to what is left of it after quantisation.
#[derive(Debug)]
pub(crate) struct Quantise {
    /// The node that dequantises.
    pub(crate) node: NodeId,
    pub(crate) quantization: Quantization,
    pub(crate) source: TensorId,
    pub(crate) result: TensorId,
}

/// A gate's input and what its block computes, added element by element in frames that are alike.
#[derive(Debug)]
pub(crate) struct Sum {
    /// The node that adds.
    pub(crate) node: NodeId,
    /// The gate's input, in whose place the result may be.
    pub(crate) x: TensorId,
    pub(crate) addend: TensorId,
    pub(crate) result: TensorId,
}

/// A value that is put into a frame.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) source: TensorId,
    pub(crate) result: TensorId,
    /// Whether everything behind reads the value from there; else it is for one kernel.
    pub(crate) stays: bool,
}

/// A block that runs if its element of the mask is set: `y = mask[number] ? block(x) : x`.
#[derive(Debug)]
pub(crate) struct Gate<'m> {
    pub(crate) node: NodeId,
    pub(crate) number: usize,
    /// The value x.
    pub(crate) x: TensorId,
    pub(crate) body: Vec<Step<'m>>,
    /// What the block computes.
    pub(crate) result: TensorId,
    /// What everything behind the gate reads.
    pub(crate) y: TensorId,
}

/// An `If` that stays a branch of the program.
#[derive(Debug)]
pub(crate) struct Branch<'m> {
    pub(crate) node: NodeId,
    /// Why it is no gate, if the mask decides on it.
    pub(crate) reason: Option<String>,
    pub(crate) condition: TensorId,
    /// What its branches take from outside in another layout.
    pub(crate) captures: Vec<Capture<'m>>,
    pub(crate) otherwise: Body<'m>,
    pub(crate) then: Body<'m>,
    pub(crate) results: Vec<TensorId>,
}

/// A tensor on its way into a branch.
#[derive(Debug)]
pub(crate) struct Capture<'m> {
    pub(crate) source: TensorId,
    /// The weights of a convolution that it is, if so: they pass as a constant of their own.
    pub(crate) weights: Option<&'m TensorProto>,
}

/// One of the two branches of an `If`.
#[derive(Debug)]
pub(crate) struct Body<'m> {
    /// The captures of the `If` as this branch reads them.
    pub(crate) captured: Vec<TensorId>,
    /// Tensors in frames outside of the branch, and what it reads of them.
    pub(crate) frames: Vec<(TensorId, TensorId)>,
    pub(crate) steps: Vec<Step<'m>>,
    pub(crate) results: Vec<TensorId>,
}

impl<'m> Plan<'m> {
    /// Which layers kernels compute and why they do not compute the others, and the gates that stay branches.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    pub(crate) fn tensor(&self, id: TensorId) -> &Tensor<'m> {
        &self.tensors[id.0]
    }
}

impl Step<'_> {
    /// The tensors that the step defines for those behind it.
    pub(crate) fn results(&self) -> Vec<TensorId> {
        match self {
            Self::Concat(step) => vec![step.result],
            Self::Constant(step) => vec![step.result],
            Self::Kernel(step) => vec![step.result],
            Self::Operator(step) => step.results.clone(),
            Self::Excerpt(step) => vec![step.result],
            Self::Product(step) => vec![step.result],
            Self::Quantise(step) => vec![step.result],
            Self::Rows(step) => vec![step.result],
            Self::Sum(step) => vec![step.result],
            Self::Put(step) => vec![step.result],
            Self::Gate(step) => vec![step.y],
            Self::Branch(step) => step.results.clone(),
        }
    }

    /// The tensors that the step itself reads, those that steps inside of it read not included.
    pub(crate) fn operands(&self) -> Vec<TensorId> {
        match self {
            Self::Concat(step) => step.operands.clone(),
            Self::Constant(_) => vec![],
            Self::Kernel(step) => [step.input].into_iter().chain(step.residual).collect(),
            Self::Operator(step) => step.operands.iter().copied().flatten().collect(),
            Self::Excerpt(step) => vec![step.source],
            Self::Product(step) => vec![step.first, step.second],
            Self::Quantise(step) => vec![step.source],
            Self::Rows(step) => vec![step.source],
            Self::Sum(step) => vec![step.x, step.addend],
            Self::Put(step) => vec![step.source],
            Self::Gate(step) => vec![step.x],
            Self::Branch(step) => step.operands(),
        }
    }
}

impl Branch<'_> {
    fn operands(&self) -> Vec<TensorId> {
        let captures = self.captures.iter().map(|capture| capture.source);
        let frames = [&self.otherwise, &self.then].into_iter().flat_map(|body| &body.frames);
        [self.condition].into_iter().chain(captures).chain(frames.map(|(outside, _)| *outside)).collect()
    }
}
