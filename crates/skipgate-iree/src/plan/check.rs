//! Checks a plan on its own, whatever pass has made it: kernels check no bounds, and a value that is read where it is not
//! yet there would be a wrong answer and no error.

use std::collections::HashSet;

use skipgate_onnx::Reader;

use super::{
    Body, Branch, Concat, Excerpt, Frame, Gate, Kernel, Layout, Plan, Product, Put, Rows, Step, TensorId,
    text,
};
use crate::kernels::{self, Place};

/// A plan that would compute something else than its model. None is expected of any model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan is wrong at `{step}`: {problem}")]
pub struct PlanError {
    /// The step, as the plan's text form has it.
    pub step: String,
    /// What is wrong with it.
    pub problem: PlanProblem,
}

/// What can be wrong with a step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanProblem {
    /// A tensor is defined twice.
    #[error("it defines `{value}` again")]
    DefinedAgain {
        /// Name of the value.
        value: String,
    },
    /// A tensor is read where it is not defined, not yet or not any more.
    #[error("it reads `{value}`, which is not there")]
    NotThere {
        /// Name of the value.
        value: String,
    },
    /// A tensor that is for kernels only is read by something else.
    #[error("it reads `{value}` from a frame that is for one kernel")]
    Private {
        /// Name of the value.
        value: String,
    },
    /// An operand or result does not stand in a frame with the room that the step takes for granted.
    #[error("`{value}` does not stand in a frame as the step expects it")]
    Room {
        /// Name of the value.
        value: String,
    },
    /// Two tensors that must be alike are of different types or in different frames.
    #[error("`{first}` and `{second}` are not alike")]
    NotAlike {
        /// Name of one value.
        first: String,
        /// Name of the other.
        second: String,
    },
    /// A value between the nodes of a kernel is read by something else.
    #[error("something else reads `{value}`, which the kernel does not write")]
    ReadElsewhere {
        /// Name of the value.
        value: String,
    },
    /// The branches of an `If` give another number of values than it has results.
    #[error("its branches do not fit its operands or results")]
    Branches,
}

type Checked = Result<(), PlanProblem>;

impl Plan<'_> {
    /// Checks what the code behind takes for granted: everything is defined once and before it is read, kernels read and
    /// write within frames, gates have two ends that are alike and keep what is in them to themselves.
    ///
    /// Errors: the first step that does not hold to it.
    pub fn check(&self) -> Result<(), PlanError> {
        let mut checker =
            Checker { plan: self, defined: HashSet::new(), visible: HashSet::new(), private: HashSet::new() };
        let ends = |problem| PlanError { step: "inputs and outputs".to_owned(), problem };
        self.inputs.iter().try_for_each(|&input| checker.define(input)).map_err(ends)?;
        checker.steps(&self.steps)?;
        self.outputs.iter().try_for_each(|&output| checker.read(output)).map_err(ends)
    }
}

struct Checker<'p, 'm> {
    plan: &'p Plan<'m>,
    /// Everything defined so far.
    defined: HashSet<TensorId>,
    /// What can be read at this place.
    visible: HashSet<TensorId>,
    /// What kernels alone can read.
    private: HashSet<TensorId>,
}

impl Checker<'_, '_> {
    fn steps(&mut self, steps: &[Step]) -> Result<(), PlanError> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<(), PlanError> {
        let at = |problem| PlanError { step: text::headline(self.plan, step), problem };
        let private = matches!(
            step,
            Step::Concat(_)
                | Step::Kernel(_)
                | Step::Excerpt(_)
                | Step::Product(_)
                | Step::Rows(_)
                | Step::Sum(_)
        );
        for operand in step.operands() {
            (if private { self.reach(operand) } else { self.read(operand) }).map_err(at)?;
        }
        match step {
            Step::Constant(_) | Step::Operator(_) => Ok(()),
            Step::Concat(concat) => self.concat(concat),
            Step::Kernel(kernel) => self.kernel(kernel),
            Step::Excerpt(excerpt) => self.excerpt(excerpt),
            Step::Product(product) => self.product(product),
            Step::Rows(rows) => self.rows(rows),
            Step::Quantise(step) => self.same_type(step.source, step.result),
            Step::Sum(sum) => self.alike_in_frames(&[sum.x, sum.addend, sum.result]),
            Step::Put(put) => self.put(put),
            Step::Gate(gate) => self.gate_ends(gate),
            Step::Branch(branch) => self.branch_ends(branch),
        }
        .map_err(at)?;
        match step {
            Step::Gate(gate) => self.inside(&[], &gate.body, &[gate.result], at)?,
            Step::Branch(Branch { otherwise, then, .. }) => {
                for Body { captured, frames, steps, results } in [otherwise, then] {
                    let views = frames.iter().map(|(_, inside)| *inside);
                    let entering: Vec<_> = captured.iter().copied().chain(views).collect();
                    self.inside(&entering, steps, results, at)?;
                }
            }
            _ => {}
        }
        step.results().into_iter().try_for_each(|result| self.define(result)).map_err(at)
    }

    /// Steps within another one: nothing outside reads what they define.
    fn inside(
        &mut self,
        entering: &[TensorId],
        steps: &[Step],
        results: &[TensorId],
        at: impl Fn(PlanProblem) -> PlanError,
    ) -> Result<(), PlanError> {
        let outside = self.visible.clone();
        entering.iter().try_for_each(|&tensor| self.define(tensor)).map_err(&at)?;
        self.steps(steps)?;
        results.iter().try_for_each(|&result| self.read(result)).map_err(&at)?;
        self.visible = outside;
        Ok(())
    }

    fn define(&mut self, tensor: TensorId) -> Checked {
        self.visible.insert(tensor);
        if self.defined.insert(tensor) {
            return Ok(());
        }
        Err(PlanProblem::DefinedAgain { value: self.name(tensor) })
    }

    fn read(&self, tensor: TensorId) -> Checked {
        self.reach(tensor)?;
        if self.private.contains(&tensor) {
            return Err(PlanProblem::Private { value: self.name(tensor) });
        }
        Ok(())
    }

    fn reach(&self, tensor: TensorId) -> Checked {
        if self.visible.contains(&tensor) {
            return Ok(());
        }
        Err(PlanProblem::NotThere { value: self.name(tensor) })
    }

    fn kernel(&self, kernel: &Kernel) -> Checked {
        let convolution = &kernel.convolution;
        let reach = [0, 1].map(|axis| convolution.window.reach(axis).unwrap_or(usize::MAX));
        let node = self.plan.graph.node(kernel.nodes[0]);
        let layout = if node.is("Conv") { Layout::ChannelsLast } else { Layout::InOrder };
        for tensor in [kernel.input, kernel.result].into_iter().chain(kernel.residual) {
            self.in_layout(tensor, layout)?;
        }
        let pads = node.ints("pads").unwrap_or(&[0; 4]);
        let pads = [0, 1].map(|axis| pads.get(axis).and_then(|&pad| usize::try_from(pad).ok()).unwrap_or(0));
        self.image(kernel.input, &convolution.input, reach, convolution.window.channels, pads)?;
        if let (Some(residual), Some(place)) = (kernel.residual, convolution.residual()) {
            self.image(residual, place, convolution.window.size, convolution.window.filters, [0; 2])?;
        }
        self.image(
            kernel.result,
            &convolution.output,
            convolution.window.size,
            convolution.window.filters,
            [0; 2],
        )?;
        self.nothing_else_reads(kernel)
    }

    /// Whether `tensor` stands in a frame with `place`, in which `extent` rows and columns are accessed that begin `pads`
    /// in front of the image.
    fn image(
        &self,
        tensor: TensorId,
        place: &Place,
        extent: [usize; 2],
        channels: usize,
        pads: [usize; 2],
    ) -> Checked {
        let fits = |frame: &Frame| {
            let found = frame.pixels()?;
            let Place { outer, low } = found.place;
            let begins =
                [0, 1].iter().all(|&axis| place.low[axis].checked_add(pads[axis]) == Some(low[axis]));
            let ends = [0, 1]
                .iter()
                .all(|&axis| place.low[axis].checked_add(extent[axis]).is_some_and(|end| end <= outer[axis]));
            (outer == place.outer && begins && ends && found.channels == channels).then_some(())
        };
        match self.plan.tensor(tensor).frame.as_ref().and_then(fits) {
            Some(()) => self.frame(tensor),
            None => Err(PlanProblem::Room { value: self.name(tensor) }),
        }
    }

    /// Whether the frame that `tensor` stands in, if any, is one for its type.
    fn frame(&self, tensor: TensorId) -> Checked {
        let found = self.plan.tensor(tensor);
        let fits = |frame: &Frame| {
            let expected = Frame::just(&found.ty, frame.layout());
            expected.is_some_and(|expected| expected.inner() == frame.inner())
        };
        if found.frame.as_ref().is_none_or(fits) {
            return Ok(());
        }
        Err(PlanProblem::Room { value: self.name(tensor) })
    }

    /// Whether `tensor` stands in a frame with its dimensions in this order.
    fn in_layout(&self, tensor: TensorId, layout: Layout) -> Checked {
        let frame = self.plan.tensor(tensor).frame.as_ref();
        if frame.is_some_and(|frame| frame.layout() == layout) {
            return Ok(());
        }
        Err(PlanProblem::Room { value: self.name(tensor) })
    }

    /// The values between the nodes of a kernel are never written.
    fn nothing_else_reads(&self, kernel: &Kernel) -> Checked {
        let graph = &self.plan.graph;
        let between = kernel.nodes.split_last().map_or(&[][..], |(_, rest)| rest);
        for &node in between {
            for &value in graph.node(node).outputs.iter().flatten() {
                let by_kernel = |reader: &Reader| matches!(reader, Reader::Operand { node, .. } if kernel.nodes.contains(node));
                if !graph.value(value).readers.iter().all(by_kernel) {
                    return Err(PlanProblem::ReadElsewhere { value: graph.value(value).name.to_owned() });
                }
            }
        }
        Ok(())
    }

    fn excerpt(&self, excerpt: &Excerpt) -> Checked {
        let Excerpt { source, result, starts, steps, sizes, low, .. } = excerpt;
        let within = |tensor: TensorId, last: &dyn Fn(usize) -> Option<usize>| {
            let frame = self.plan.tensor(tensor).frame.as_ref();
            let fits = frame.is_some_and(|frame| {
                frame.inner().len() == 4
                    && (0..4).all(|axis| last(axis).is_some_and(|last| last < frame.inner()[axis]))
            });
            if fits { self.frame(tensor) } else { Err(PlanProblem::Room { value: self.name(tensor) }) }
        };
        let taken =
            |axis: usize| sizes[axis].checked_sub(1)?.checked_mul(steps[axis])?.checked_add(starts[axis]);
        self.in_layout(*source, Layout::ChannelsLast)?;
        self.in_layout(*result, Layout::ChannelsLast)?;
        within(*source, &taken)?;
        within(*result, &|axis| sizes[axis].checked_sub(1)?.checked_add(low[axis]))
    }

    fn product(&self, product: &Product) -> Checked {
        let kernels::Product { batches, rows, common, columns } = product.sizes;
        self.matrices(product.first, [batches, rows, common])?;
        self.matrices(product.second, [batches, common, columns])?;
        self.matrices(product.result, [batches, rows, columns])
    }

    fn concat(&self, concat: &Concat) -> Checked {
        let kernels::Concat { places, parts } = &concat.sizes;
        let tensors = concat.operands.iter().chain([&concat.result]);
        for (&tensor, &floats) in tensors.zip(parts.iter().chain([&parts.iter().sum()])) {
            self.in_layout(tensor, Layout::InOrder)?;
            self.frame(tensor)?;
            let elements = |frame: &Frame| frame.outer().iter().product::<usize>();
            if self.plan.tensor(tensor).frame.as_ref().map(elements) != Some(places * floats) {
                return Err(PlanProblem::Room { value: self.name(tensor) });
            }
        }
        Ok(())
    }

    fn rows(&self, rows: &Rows) -> Checked {
        let sizes = [1, rows.sizes.count, rows.sizes.columns];
        self.matrices(rows.source, sizes)?;
        self.matrices(rows.result, sizes)?;
        self.same_type(rows.source, rows.result)
    }

    /// Whether `tensor` stands in order, and is so many matrices of so many rows and columns; those of several are its last
    /// two dimensions.
    fn matrices(&self, tensor: TensorId, [batches, rows, columns]: [usize; 3]) -> Checked {
        self.in_layout(tensor, Layout::InOrder)?;
        self.frame(tensor)?;
        let fits = |frame: &Frame| {
            let outer = frame.outer();
            let elements: usize = outer.iter().product();
            let is_stack = batches == 1 || outer.ends_with(&[rows, columns]);
            is_stack && elements == batches * rows * columns && outer.last() == Some(&columns)
        };
        if self.plan.tensor(tensor).frame.as_ref().is_some_and(fits) {
            return Ok(());
        }
        Err(PlanProblem::Room { value: self.name(tensor) })
    }

    fn put(&mut self, put: &Put) -> Checked {
        if !put.stays {
            self.private.insert(put.result);
        }
        if self.plan.tensor(put.result).frame.is_none() {
            return Err(PlanProblem::Room { value: self.name(put.result) });
        }
        self.frame(put.result)?;
        self.same_type(put.source, put.result)
    }

    fn gate_ends(&self, gate: &Gate) -> Checked {
        self.alike_in_frames(&[gate.x, gate.result, gate.y])
    }

    /// Whether `tensors` are of one type and stand in frames that are alike.
    fn alike_in_frames(&self, tensors: &[TensorId]) -> Checked {
        for &tensor in tensors {
            if self.plan.tensor(tensor).frame.is_none() {
                return Err(PlanProblem::Room { value: self.name(tensor) });
            }
            self.frame(tensor)?;
            self.same_type(tensors[0], tensor)?;
            if self.plan.tensor(tensors[0]).frame != self.plan.tensor(tensor).frame {
                return Err(self.not_alike(tensors[0], tensor));
            }
        }
        Ok(())
    }

    fn branch_ends(&self, branch: &Branch) -> Checked {
        for body in [&branch.otherwise, &branch.then] {
            let fits =
                body.results.len() == branch.results.len() && body.captured.len() == branch.captures.len();
            if !fits {
                return Err(PlanProblem::Branches);
            }
            for &(outside, inside) in &body.frames {
                self.same_type(outside, inside)?;
                if self.plan.tensor(outside).frame.is_none()
                    || self.plan.tensor(outside).frame != self.plan.tensor(inside).frame
                {
                    return Err(self.not_alike(outside, inside));
                }
            }
        }
        Ok(())
    }

    fn same_type(&self, first: TensorId, second: TensorId) -> Checked {
        if self.plan.tensor(first).ty == self.plan.tensor(second).ty {
            return Ok(());
        }
        Err(self.not_alike(first, second))
    }

    fn not_alike(&self, first: TensorId, second: TensorId) -> PlanProblem {
        PlanProblem::NotAlike { first: self.name(first), second: self.name(second) }
    }

    fn name(&self, tensor: TensorId) -> String {
        self.plan.tensor(tensor).name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::{GateSelection, gate};

    use super::*;
    use crate::net::{Net, post_block};
    use crate::plan;

    /// What the check says of the plan of a network with a gate once `break_it` has changed it.
    fn problem(break_it: impl FnOnce(&mut Plan)) -> String {
        let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
        let x = net.conv(&x, 8, 3, 1);
        let x = net.relu(&x);
        let x = post_block(&mut net, &x, 8, 1);
        let x = post_block(&mut net, &x, 8, 1);
        net.classify(&x);
        let gated = gate(&net.model(), &GateSelection::default()).unwrap();
        let target = Target::named("x86-64-v3").unwrap();
        let mut plan = plan(&gated, &target, &CompileOptions::default()).unwrap();
        break_it(&mut plan);
        plan.check().unwrap_err().problem.to_string()
    }

    fn last_kernel<'p, 'm>(plan: &'p mut Plan<'m>) -> &'p mut Kernel<'m> {
        let kernels = plan.steps.iter_mut().filter_map(|step| match step {
            Step::Kernel(kernel) => Some(kernel),
            _ => None,
        });
        kernels.last().unwrap()
    }

    fn the_gate<'p, 'm>(plan: &'p mut Plan<'m>) -> &'p mut Gate<'m> {
        let gate = plan.steps.iter_mut().find_map(|step| match step {
            Step::Gate(gate) => Some(gate),
            _ => None,
        });
        gate.unwrap()
    }

    fn is_not_there(problem: &str) -> bool {
        problem.starts_with("it reads `") && problem.ends_with("`, which is not there")
    }

    #[test]
    fn a_step_in_front_of_what_it_reads_is_found() {
        assert!(is_not_there(&problem(|plan| plan.steps.reverse())));
    }

    #[test]
    fn a_step_that_is_there_twice_is_found() {
        let found = problem(|plan| {
            let result = plan.inputs[0];
            last_kernel(plan).result = result;
        });
        assert_ne!(found, "");
        let found = problem(|plan| plan.inputs.push(plan.inputs[0]));
        assert_eq!(found, "it defines `image` again");
    }

    #[test]
    fn a_kernel_that_reads_outside_of_a_frame_is_found() {
        let room =
            |problem: String| assert!(problem.ends_with("in a frame as the step expects it"), "{problem}");
        room(problem(|plan| last_kernel(plan).convolution.window.taps = [5, 3]));
        room(problem(|plan| last_kernel(plan).convolution.input.low = [1, 1]));
        room(problem(|plan| last_kernel(plan).convolution.output.outer[0] += 1));
        room(problem(|plan| last_kernel(plan).convolution.window.channels += 1));
        room(problem(|plan| {
            let input = last_kernel(plan).input;
            plan.tensors[input.0].frame = None;
        }));
    }

    #[test]
    fn a_kernel_that_leaves_out_what_something_else_reads_is_found() {
        let found = problem(|plan| {
            let last = *last_kernel(plan).nodes.last().unwrap();
            last_kernel(plan).nodes.push(last);
        });
        assert!(found.ends_with("which the kernel does not write"), "{found}");
    }

    #[test]
    fn a_gate_with_two_ends_that_differ_is_found() {
        let found = problem(|plan| {
            let y = the_gate(plan).y;
            plan.tensors[y.0].frame = Frame::without_room(&plan.tensors[y.0].ty);
        });
        assert!(found.ends_with("are not alike"), "{found}");
    }

    #[test]
    fn a_value_of_a_block_that_something_outside_reads_is_found() {
        assert!(is_not_there(&problem(|plan| {
            let inner = the_gate(plan).result;
            plan.outputs = vec![inner];
        })));
    }

    #[test]
    fn a_copy_for_one_kernel_that_something_else_reads_is_found() {
        let found = problem(|plan| {
            let copy = plan.steps.iter().find_map(|step| match step {
                Step::Put(put) if !put.stays => Some(put.result),
                _ => None,
            });
            plan.outputs = vec![copy.unwrap()];
        });
        assert_eq!(found, "it reads `image` from a frame that is for one kernel");
    }
}
