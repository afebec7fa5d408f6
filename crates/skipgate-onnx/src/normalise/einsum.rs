//! `Einsum` of two operands, which is a matrix product.

use super::Step;
use super::body::Body;
use super::context::{Context, Parts};
use crate::edit::ints_attribute;
use crate::error::Error;
use crate::proto::NodeProto;
use crate::shapes::einsum::Equation;
use crate::shapes::site::Stop;

/// Writes a sum of products of two operands as the `MatMul` that it is, so that everything behind treats it as one. What
/// repeats a label, sums one operand alone or stretches a dimension stays.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "Einsum" {
        return Ok(Step::Keep);
    }
    let equation = match Equation::of(&context.site(node)) {
        Ok(equation) => equation,
        Err(Stop::Unknown) => None,
        Err(Stop::Problem(problem)) => return Err(problem.of(node)),
        Err(Stop::Error(error)) => return Err(error),
    };
    let product = equation.and_then(|equation| Product::of(&equation, node, context));
    Ok(product.map_or(Step::Keep, |product| Step::nodes(product.write(node, context))))
}

/// The labels of a product by what becomes of them, each with its extent.
struct Product {
    operands: [Vec<char>; 2],
    /// In both operands and the result.
    batch: Vec<Label>,
    /// In the first operand and the result.
    rows: Vec<Label>,
    /// In the second operand and the result.
    columns: Vec<Label>,
    /// In both operands and not in the result.
    summed: Vec<Label>,
    result: Vec<char>,
}

#[derive(Clone, Copy)]
struct Label {
    name: char,
    extent: i64,
}

impl Product {
    fn of(equation: &Equation, node: &NodeProto, context: &Context) -> Option<Self> {
        let [first, second] = &equation.operands[..] else { return None };
        let [left, right] = &node.input[..] else { return None };
        let extents = |labels: &[char], operand: &str| -> Option<Vec<Label>> {
            let operand = context.tensor_type(operand)?;
            // Products of extents below are of those of one operand.
            i64::try_from(operand.elements()?).ok()?;
            let shape = operand.static_shape()?;
            let extent = |(&name, extent)| Some(Label { name, extent: i64::try_from(extent).ok()? });
            labels.iter().zip(shape).map(extent).collect()
        };
        let (left, right) = (extents(first, left)?, extents(second, right)?);
        let is_unique = |labels: &[char]| (1..labels.len()).all(|i| !labels[..i].contains(&labels[i]));
        let is_stretched = |a: &Label| right.iter().any(|b| a.name == b.name && a.extent != b.extent);
        let is_summed_alone = |labels: &[char], other: &[char]| {
            labels.iter().any(|label| !other.contains(label) && !equation.result.contains(label))
        };
        if ![first, second, &equation.result].into_iter().all(|labels| is_unique(labels))
            || left.iter().any(is_stretched)
            || is_summed_alone(first, second)
            || is_summed_alone(second, first)
        {
            return None;
        }
        let those = |labels: &[Label], other: &[char], in_both: bool, in_result: bool| -> Vec<Label> {
            let wanted = |label: &&Label| {
                other.contains(&label.name) == in_both && equation.result.contains(&label.name) == in_result
            };
            labels.iter().filter(wanted).copied().collect()
        };
        Some(Self {
            batch: those(&left, second, true, true),
            rows: those(&left, second, false, true),
            columns: those(&right, first, false, true),
            summed: those(&left, second, true, false),
            operands: [first.clone(), second.clone()],
            result: equation.result.clone(),
        })
    }

    fn write(&self, node: &NodeProto, context: &mut Context) -> Vec<NodeProto> {
        let mut parts = Parts::of(node);
        let left = self.operand(&mut parts, context, &node.input[0], 0, [&self.rows, &self.summed]);
        let right = self.operand(&mut parts, context, &node.input[1], 1, [&self.summed, &self.columns]);
        let product = parts.add(context, "MatMul", &[&left, &right], vec![]);
        let groups = [&self.batch, &self.rows, &self.columns];
        let labels: Vec<_> = groups.into_iter().flatten().copied().collect();
        let shape: Vec<_> = labels.iter().map(|label| label.extent).collect();
        let shape = context.add_ints(&format!("{}.shape", node.output[0]), &shape);
        let product = parts.add(context, "Reshape", &[&product, &shape], vec![]);
        let names: Vec<_> = labels.iter().map(|label| label.name).collect();
        let perm = vec![ints_attribute("perm", permutation(&names, &self.result))];
        parts.finish("Transpose", &[&product], perm)
    }

    /// `value` as a matrix of these two groups for each of the batch. Steps that change nothing are removed later.
    fn operand(
        &self,
        parts: &mut Parts,
        context: &mut Context,
        value: &str,
        index: usize,
        matrix: [&[Label]; 2],
    ) -> String {
        let order: Vec<_> =
            [&self.batch, matrix[0], matrix[1]].into_iter().flatten().map(|l| l.name).collect();
        let perm = vec![ints_attribute("perm", permutation(&self.operands[index], &order))];
        let value = parts.add(context, "Transpose", &[value], perm);
        let product = |labels: &[Label]| -> i64 { labels.iter().map(|label| label.extent).product() };
        let mut shape: Vec<i64> = self.batch.iter().map(|label| label.extent).collect();
        shape.extend(matrix.map(product));
        let shape = context.add_ints(&format!("{value}.shape"), &shape);
        parts.add(context, "Reshape", &[&value, &shape], vec![])
    }
}

/// The `perm` of a `Transpose` that brings labels from one order into another.
fn permutation(from: &[char], to: &[char]) -> Vec<i64> {
    let place = |label| from.iter().position(|other| other == label);
    to.iter().filter_map(place).filter_map(|place| i64::try_from(place).ok()).collect()
}
