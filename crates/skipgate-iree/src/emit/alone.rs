//! Single operators as modules of their own, to find the one that the compiler has no code for.

use std::collections::HashMap;

use super::Emitter;
use crate::ImportError;
use crate::plan::{Constant, Operator, Plan, Step, TensorId};

/// The operators of a plan, wherever they stand.
pub(crate) struct Operators<'p, 'm> {
    plan: &'p Plan<'m>,
    list: Vec<&'p Operator>,
    constants: HashMap<TensorId, &'p Constant<'m>>,
}

impl<'p, 'm> Operators<'p, 'm> {
    pub(crate) fn of(plan: &'p Plan<'m>) -> Self {
        let mut operators = Self { plan, list: Vec::new(), constants: HashMap::new() };
        operators.collect(&plan.steps);
        operators
    }

    fn collect(&mut self, steps: &'p [Step<'m>]) {
        for step in steps {
            match step {
                Step::Constant(step) => {
                    self.constants.insert(step.result, step);
                }
                Step::Operator(step) => self.list.push(step),
                Step::Gate(step) => self.collect(&step.body),
                Step::Branch(step) => {
                    self.collect(&step.otherwise.steps);
                    self.collect(&step.then.steps);
                }
                Step::Concat(_)
                | Step::Kernel(_)
                | Step::Excerpt(_)
                | Step::Product(_)
                | Step::Quantise(_)
                | Step::Rows(_)
                | Step::Sum(_)
                | Step::Put(_) => {}
            }
        }
    }

    /// Operator and name of each, and a module with nothing but it and the constants that it reads.
    pub(crate) fn alone(&self) -> impl Iterator<Item = Result<(String, String), ImportError>> {
        self.list.iter().map(|operator| {
            let mut emitter = Emitter::new(self.plan);
            emitter.alone(operator, &self.constants)?;
            emitter.blobs.write(&mut emitter.text);
            Ok((self.plan.graph.node(operator.node).label(), emitter.text))
        })
    }
}

impl Emitter<'_, '_> {
    fn alone(
        &mut self,
        operator: &Operator,
        constants: &HashMap<TensorId, &Constant>,
    ) -> Result<(), ImportError> {
        let mut operands: Vec<_> = operator.operands.iter().copied().flatten().collect();
        operands.sort_unstable();
        operands.dedup();
        let (fixed, given): (Vec<_>, Vec<_>) =
            operands.into_iter().partition(|operand| constants.contains_key(operand));
        let mut arguments = Vec::new();
        for operand in given {
            let name = self.define(operand);
            arguments.push(format!("{name}: {}", self.type_of(operand)?));
        }
        let results = self.types_of(&operator.results)?;
        self.head(&arguments, &results);
        fixed.into_iter().try_for_each(|operand| self.constant(constants[&operand]))?;
        self.operator(operator)?;
        self.tail(&operator.results, &results);
        self.line("}");
        Ok(())
    }
}
