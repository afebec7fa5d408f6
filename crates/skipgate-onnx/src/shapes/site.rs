//! What shape inference sees of one node.

use crate::proto::NodeProto;

use super::{TensorType, Value};
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::tensor::element_type::INT64;

/// Extent of a dimension, `None` where unknown.
pub(crate) type Dim = Option<usize>;

/// Why inference of a node ends early.
pub(crate) enum Stop {
    /// Something it depends on is not known; the outputs stay unknown too.
    Unknown,
    /// The node breaks a rule of its operator.
    Problem(NodeProblem),
    /// A tensor inside of the node is broken.
    Error(Error),
}

impl From<NodeProblem> for Stop {
    fn from(problem: NodeProblem) -> Self {
        Self::Problem(problem)
    }
}

pub(crate) type Inferred<T> = Result<T, Stop>;

/// One node with what is known about its inputs.
pub(crate) struct Site<'v> {
    node: &'v NodeProto,
    pub(crate) attributes: Attributes<'v>,
    inputs: Vec<Option<&'v Value>>,
}

impl<'v> Site<'v> {
    pub(crate) fn new(node: &'v NodeProto, value: impl Fn(&str) -> Option<&'v Value>) -> Self {
        let inputs = node.input.iter().map(|name| value(name)).collect();
        Self { node, attributes: Attributes::of(node), inputs }
    }

    pub(crate) fn op_type(&self) -> &'v str {
        &self.node.op_type
    }

    pub(crate) fn input_count(&self) -> usize {
        self.inputs.len()
    }

    pub(crate) fn output_count(&self) -> usize {
        self.node.output.len()
    }

    /// Whether input `index` is connected.
    pub(crate) fn has_input(&self, index: usize) -> bool {
        self.node.input.get(index).is_some_and(|name| !name.is_empty())
    }

    /// The type of a required input.
    pub(crate) fn input(&self, index: usize) -> Inferred<&'v TensorType> {
        Ok(&self.value(index)?.tensor_type)
    }

    /// The elements of a required integer input, as far as they are known.
    pub(crate) fn ints(&self, index: usize) -> Inferred<&'v [Option<i64>]> {
        self.value(index)?.ints.as_deref().ok_or(Stop::Unknown)
    }

    /// The elements of a required integer input, all of them.
    pub(crate) fn known_ints(&self, index: usize) -> Inferred<Vec<i64>> {
        self.ints(index)?.iter().map(|value| value.ok_or(Stop::Unknown)).collect()
    }

    /// The elements of a required input of floats, all of them.
    pub(crate) fn floats(&self, index: usize) -> Inferred<&'v [f32]> {
        self.value(index)?.floats.as_deref().ok_or(Stop::Unknown)
    }

    /// Integers that are an input in newer operator sets and an attribute in older ones; `None` if in neither.
    pub(crate) fn input_or_attribute(&self, index: usize, name: &'static str) -> Inferred<Option<Vec<i64>>> {
        if self.has_input(index) {
            return self.known_ints(index).map(Some);
        }
        Ok(self.attributes.ints(name)?.map(<[i64]>::to_vec))
    }

    fn value(&self, index: usize) -> Inferred<&'v Value> {
        if !self.has_input(index) {
            return Err(NodeProblem::MissingInput { index }.into());
        }
        self.inputs[index].ok_or(Stop::Unknown)
    }
}

/// A 64-bit integer tensor of shape `shape`.
pub(crate) fn int64(shape: Vec<Dim>) -> TensorType {
    TensorType { element_type: INT64, shape }
}

pub(crate) fn shape_problem(expected: impl Into<String>, found: impl Into<String>) -> Stop {
    NodeProblem::Shape { expected: expected.into(), found: found.into() }.into()
}

/// `axis` as an index into a shape of `rank` dimensions; negative ones count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Inferred<usize> {
    let signed_rank = i64::try_from(rank).map_err(|_| NodeProblem::TooLarge)?;
    let index = if axis < 0 { axis.checked_add(signed_rank) } else { Some(axis) };
    index
        .filter(|index| (0..signed_rank).contains(index))
        .and_then(|index| usize::try_from(index).ok())
        .ok_or_else(|| shape_problem(format!("an axis of {rank} dimensions"), axis.to_string()))
}

/// A shape for messages: `[1, 3, ?, ?]`.
pub(crate) fn show(shape: &[Dim]) -> String {
    let dims: Vec<_> = shape.iter().map(|dim| dim.map_or("?".to_owned(), |d| d.to_string())).collect();
    format!("[{}]", dims.join(", "))
}

/// Product of dimensions; `None` inside if one is unknown.
pub(crate) fn product(dims: &[Dim]) -> Inferred<Dim> {
    if dims.iter().any(Option::is_none) {
        return Ok(None);
    }
    let product = dims.iter().flatten().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    product.map(Some).ok_or(Stop::Problem(NodeProblem::TooLarge))
}

/// An extent computed in wide arithmetic.
pub(crate) fn extent(value: i128) -> Inferred<usize> {
    if value < 0 {
        return Err(shape_problem("an output of 0 or more elements per dimension", value.to_string()));
    }
    usize::try_from(value).map_err(|_| NodeProblem::TooLarge.into())
}

/// A dimension as a wide integer.
pub(crate) fn wide(dim: usize) -> i128 {
    dim as i128
}
