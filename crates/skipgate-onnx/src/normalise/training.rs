//! The optimisers of the domain `ai.onnx.preview.training` (version 1): `Adagrad`, `Adam` and `Momentum`, which are plain
//! arithmetic on the tensors that they are given.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, INT64};

const DOMAIN: &str = "ai.onnx.preview.training";

/// Inputs in front of the tensors: the learning rate, and how often they were updated.
const RATE_AND_COUNT: usize = 2;

/// Writes one step of an optimiser.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let step = match node.op_type.as_str() {
        "Adagrad" => Optimiser::adagrad,
        "Adam" => Optimiser::adam,
        "Momentum" => Optimiser::momentum,
        _ => return Ok(Step::Keep),
    };
    if node.domain != DOMAIN {
        return Ok(Step::Keep);
    }
    // Weights, gradients, and one or two tensors that are kept for each weight.
    let kinds = if node.op_type == "Adam" { 4 } else { 3 };
    let tensors = node.input.get(RATE_AND_COUNT..).unwrap_or_default();
    let count = tensors.len() / kinds;
    let are_floats = tensors.iter().chain(node.input.first()).all(|name| context.is_of(name, FLOAT));
    if count == 0 || tensors.len() % kinds != 0 || !are_floats || !context.is_of(&node.input[1], INT64) {
        return Err(unsupported(node, "its inputs are not those of ONNX, or not of 32-bit floats"));
    }
    let mut optimiser = Optimiser { build: Build::of(node, context), attributes: Attributes::of(node) };
    let mut updated = Vec::new();
    for number in 0..count {
        let of_weight: Vec<_> = (0..kinds).map(|kind| tensors[kind * count + number].as_str()).collect();
        let new = step(&mut optimiser, [&node.input[0], &node.input[1]], &of_weight);
        updated.push(new.map_err(|problem| problem.of(node))?);
    }
    // All weights come first, then what is kept for each.
    let outputs: Vec<_> =
        (0..kinds - 1).flat_map(|kind| updated.iter().map(move |new| new[kind].as_str())).collect();
    Ok(optimiser.build.finish(&outputs))
}

struct Optimiser<'n, 'c, 'm> {
    build: Build<'n, 'c, 'm>,
    attributes: Attributes<'n>,
}

/// The new weight, and what is kept for it.
type Updated = Result<Vec<String>, NodeProblem>;

impl Optimiser<'_, '_, '_> {
    fn adagrad(&mut self, [rate, count]: [&str; 2], tensors: &[&str]) -> Updated {
        let (weight, squares) = (tensors[0], tensors[2]);
        let gradient = self.regularised(tensors)?;
        let (decay, epsilon) = (self.float("decay_factor", 0.0)?, self.float("epsilon", 1e-6)?);
        let count = self.build.cast(count, FLOAT);
        let decay = self.times(&count, decay);
        let decay = self.plus(&decay, 1.0);
        let rate = self.build.op("Div", &[rate, &decay]);
        let square = self.build.op("Mul", &[&gradient, &gradient]);
        let squares = self.build.op("Add", &[squares, &square]);
        let step = self.build.op("Mul", &[&rate, &gradient]);
        let new = self.descended(weight, &step, &squares, epsilon);
        Ok(vec![new, squares])
    }

    fn adam(&mut self, [rate, count]: [&str; 2], tensors: &[&str]) -> Updated {
        let &[weight, _, mean, squares] = tensors else { return Ok(Vec::new()) };
        let gradient = self.regularised(tensors)?;
        let (alpha, beta) = (self.float("alpha", 0.9)?, self.float("beta", 0.999)?);
        let mean = self.mixed(mean, alpha, &gradient);
        let square = self.build.op("Mul", &[&gradient, &gradient]);
        let squares = self.mixed(squares, beta, &square);
        let rate = self.corrected(rate, count, [alpha, beta]);
        let step = self.build.op("Mul", &[&rate, &mean]);
        let epsilon = self.float("epsilon", 1e-6)?;
        let new = self.descended(weight, &step, &squares, epsilon);
        let shrunk = self.float("norm_coefficient_post", 0.0)?;
        Ok(vec![self.times(&new, 1.0 - shrunk), mean, squares])
    }

    fn momentum(&mut self, [rate, count]: [&str; 2], tensors: &[&str]) -> Updated {
        let (weight, velocity) = (tensors[0], tensors[2]);
        let gradient = self.regularised(tensors)?;
        let (alpha, beta) = (self.float("alpha", 0.0)?, self.float("beta", 0.0)?);
        let is_later = self.is_later(count);
        let [beta, one] = [beta, 1.0].map(|value| self.build.scalar(value, FLOAT));
        let beta = self.build.op("Where", &[&is_later, &beta, &one]);
        let kept = self.times(velocity, alpha);
        let new = self.build.op("Mul", &[&beta, &gradient]);
        let velocity = self.build.op("Add", &[&kept, &new]);
        let direction = match self.attributes.string("mode")? {
            Some(b"standard") => velocity.clone(),
            Some(b"nesterov") => {
                let ahead = self.times(&velocity, alpha);
                self.build.op("Add", &[&gradient, &ahead])
            }
            _ => {
                let expected = "`standard` or `nesterov`";
                return Err(NodeProblem::Attribute { name: "mode", expected });
            }
        };
        let step = self.build.op("Mul", &[rate, &direction]);
        Ok(vec![self.build.op("Sub", &[weight, &step]), velocity])
    }

    fn float(&self, name: &'static str, default: f32) -> Result<f32, NodeProblem> {
        Ok(self.attributes.float(name)?.unwrap_or(default))
    }

    fn times(&mut self, value: &str, factor: f32) -> String {
        let factor = self.build.scalar(factor, FLOAT);
        self.build.op("Mul", &[value, &factor])
    }

    fn plus(&mut self, value: &str, term: f32) -> String {
        let term = self.build.scalar(term, FLOAT);
        self.build.op("Add", &[value, &term])
    }

    /// The gradient with that of the squared weights.
    fn regularised(&mut self, tensors: &[&str]) -> Result<String, NodeProblem> {
        let norm = self.float("norm_coefficient", 0.0)?;
        let pull = self.times(tensors[0], norm);
        Ok(self.build.op("Add", &[&pull, tensors[1]]))
    }

    /// A running mean of `values`, of which `share` stays.
    fn mixed(&mut self, values: &str, share: f32, new: &str) -> String {
        let (kept, new) = (self.times(values, share), self.times(new, 1.0 - share));
        self.build.op("Add", &[&kept, &new])
    }

    /// Whether this is not the first update.
    fn is_later(&mut self, count: &str) -> String {
        let zero = self.build.int_tensor(&[], &[0]);
        self.build.op("Greater", &[count, &zero])
    }

    /// The learning rate for running means that began at zero.
    fn corrected(&mut self, rate: &str, count: &str, shares: [f32; 2]) -> String {
        let is_later = self.is_later(count);
        let count = self.build.cast(count, FLOAT);
        let one = self.build.scalar(1.0, FLOAT);
        let [of_mean, of_squares] = shares.map(|share| {
            let share = self.build.scalar(share, FLOAT);
            let left = self.build.op("Pow", &[&share, &count]);
            self.build.op("Sub", &[&one, &left])
        });
        let root = self.build.op("Sqrt", &[&of_squares]);
        let scaled = self.build.op("Mul", &[rate, &root]);
        let corrected = self.build.op("Div", &[&scaled, &of_mean]);
        self.build.op("Where", &[&is_later, &corrected, rate])
    }

    /// `weight` less `step` divided by the root of `squares`.
    fn descended(&mut self, weight: &str, step: &str, squares: &str, epsilon: f32) -> String {
        let root = self.build.op("Sqrt", &[squares]);
        let root = self.plus(&root, epsilon);
        let step = self.build.op("Div", &[step, &root]);
        self.build.op("Sub", &[weight, &step])
    }
}
