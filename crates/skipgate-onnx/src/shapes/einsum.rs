//! `Einsum`: sums of products, written as an equation of labels.

use super::TensorType;
use super::site::{Dim, Inferred, Site, Stop, shape_problem, show};
use crate::error::NodeProblem;

/// What an equation says: a label for each dimension of each operand and of the result.
pub(crate) struct Equation {
    /// Labels of the operands.
    pub(crate) operands: Vec<Vec<char>>,
    /// Labels of the result.
    pub(crate) result: Vec<char>,
}

impl Equation {
    /// The equation of a node; `None` for one with dimensions that have no label of their own (`...`).
    pub(crate) fn of(site: &Site) -> Inferred<Option<Self>> {
        let name = "equation";
        let text = site.attributes.string(name)?.ok_or(NodeProblem::MissingAttribute { name })?;
        let expected = "labels of dimensions such as `bij,bjk->bik`";
        let text = std::str::from_utf8(text).map_err(|_| NodeProblem::Attribute { name, expected })?;
        if text.contains("...") {
            return Ok(None);
        }
        let labels = |term: &str| -> Vec<char> { term.chars().filter(|c| !c.is_whitespace()).collect() };
        let (left, right) = text.split_once("->").map_or((text, None), |(left, right)| (left, Some(right)));
        let operands: Vec<_> = left.split(',').map(labels).collect();
        let result = right.map_or_else(|| labels_that_occur_once(&operands), labels);
        let all = || operands.iter().flatten();
        let is_sound = all().chain(&result).all(char::is_ascii_alphabetic)
            && result.iter().all(|label| all().any(|other| other == label))
            && operands.len() == site.input_count();
        if is_sound {
            Ok(Some(Self { operands, result }))
        } else {
            Err(NodeProblem::Attribute { name, expected }.into())
        }
    }
}

/// What the result has where the equation does not say it: in alphabetical order.
fn labels_that_occur_once(operands: &[Vec<char>]) -> Vec<char> {
    let all: Vec<_> = operands.iter().flatten().copied().collect();
    let once = |label: &char| all.iter().filter(|other| *other == label).count() == 1;
    let mut labels: Vec<_> = all.iter().copied().filter(once).collect();
    labels.sort_unstable();
    labels
}

pub(super) fn output(site: &Site) -> Inferred<TensorType> {
    let equation = Equation::of(site)?.ok_or(Stop::Unknown)?;
    let mut extents: Vec<(char, Dim)> = Vec::new();
    for (index, labels) in equation.operands.iter().enumerate() {
        let shape = &site.input(index)?.shape;
        if shape.len() != labels.len() {
            let expected = format!("operand {index} of {} dimensions", labels.len());
            return Err(shape_problem(expected, show(shape)));
        }
        for (&label, &dim) in labels.iter().zip(shape) {
            match extents.iter_mut().find(|(known, _)| *known == label) {
                None => extents.push((label, dim)),
                // One element goes with every one of another operand.
                Some((_, known)) if known.is_none() || *known == Some(1) => *known = dim.or(*known),
                Some((_, Some(known))) if dim.is_some_and(|dim| dim != *known && dim != 1) => {
                    return Err(shape_problem(format!("{known} for `{label}`"), show(shape)));
                }
                Some(_) => (),
            }
        }
    }
    let extent = |label: &char| extents.iter().find(|(known, _)| known == label).and_then(|(_, dim)| *dim);
    let shape = equation.result.iter().map(extent).collect();
    Ok(TensorType { element_type: site.input(0)?.element_type, shape })
}
