//! Plans as text: a line for every step, with what it defines and how often that is read.

use std::collections::HashMap;
use std::fmt;

use skipgate_onnx::TensorType;
use skipgate_onnx::element_type;

use super::{Body, Frame, Kernel, Layout, Plan, Step, TensorId};
use crate::kernels;

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut readers = HashMap::new();
        count(&self.steps, &mut readers);
        self.outputs.iter().for_each(|output| *readers.entry(*output).or_insert(0) += 1);
        let text = Text { plan: self, readers };
        for &input in &self.inputs {
            writeln!(f, "input {}", text.definition(input))?;
        }
        text.steps(f, &self.steps, 0)?;
        writeln!(f, "output {}", names(&self.outputs))
    }
}

/// How often each tensor is read.
fn count(steps: &[Step], readers: &mut HashMap<TensorId, usize>) {
    let mut read = |tensors: &[TensorId]| {
        for tensor in tensors {
            *readers.entry(*tensor).or_insert(0) += 1;
        }
    };
    for step in steps {
        read(&step.operands());
        match step {
            Step::Gate(gate) => read(&[gate.result]),
            Step::Branch(branch) => {
                read(&branch.otherwise.results);
                read(&branch.then.results);
            }
            _ => {}
        }
    }
    for step in steps {
        match step {
            Step::Gate(gate) => count(&gate.body, readers),
            Step::Branch(branch) => {
                count(&branch.otherwise.steps, readers);
                count(&branch.then.steps, readers);
            }
            _ => {}
        }
    }
}

struct Text<'p, 'm> {
    plan: &'p Plan<'m>,
    readers: HashMap<TensorId, usize>,
}

impl Text<'_, '_> {
    fn steps(&self, f: &mut fmt::Formatter<'_>, steps: &[Step], depth: usize) -> fmt::Result {
        steps.iter().try_for_each(|step| self.step(f, step, depth))
    }

    fn step(&self, f: &mut fmt::Formatter<'_>, step: &Step, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        let results: Vec<_> = step.results().into_iter().map(|result| self.definition(result)).collect();
        writeln!(f, "{indent}{} = {}", results.join("; "), headline(self.plan, step))?;
        match step {
            Step::Gate(gate) => {
                self.steps(f, &gate.body, depth + 1)?;
                writeln!(f, "{indent}  gives {}", name(gate.result))
            }
            Step::Branch(branch) => {
                self.body(f, "then", &branch.then, depth + 1)?;
                self.body(f, "else", &branch.otherwise, depth + 1)
            }
            _ => Ok(()),
        }
    }

    fn body(&self, f: &mut fmt::Formatter<'_>, word: &str, body: &Body, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        let entering = body.captured.iter().chain(body.frames.iter().map(|(_, inside)| inside));
        let entering: Vec<_> = entering.map(|&tensor| self.definition(tensor)).collect();
        writeln!(f, "{indent}{word} of {}", entering.join("; "))?;
        self.steps(f, &body.steps, depth + 1)?;
        writeln!(f, "{indent}  gives {}", names(&body.results))
    }

    /// `%4 relu f32[1,16,32,32] in room 1,1,1,1, 2 readers`.
    fn definition(&self, id: TensorId) -> String {
        let tensor = self.plan.tensor(id);
        let readers = match self.readers.get(&id) {
            None => "no reader".to_owned(),
            Some(1) => "1 reader".to_owned(),
            Some(count) => format!("{count} readers"),
        };
        let room = tensor.frame.as_ref().map_or(String::new(), room);
        format!("{} {} {}{room}, {readers}", name(id), tensor.name, type_of(&tensor.ty))
    }
}

/// What a step does, in one line without what it defines.
pub(super) fn headline(plan: &Plan, step: &Step) -> String {
    let label = |node| plan.graph.node(node).label();
    match step {
        Step::Constant(_) => "constant".to_owned(),
        Step::Concat(step) => {
            let parts: Vec<_> = step.sizes.parts.iter().map(ToString::to_string).collect();
            let (node, operands) = (label(step.node), names(&step.operands));
            format!("concat {node} of {operands}: {} of {}", step.sizes.places, parts.join(", "))
        }
        Step::Kernel(step) => kernel(plan, step),
        Step::Operator(step) => {
            let operands: Vec<_> =
                step.operands.iter().map(|operand| operand.map_or("none".to_owned(), name)).collect();
            let reason =
                step.reason.as_ref().map_or(String::new(), |reason| format!(" (no kernel: {reason})"));
            format!("operator {} of {}{reason}", label(step.node), operands.join(", "))
        }
        Step::Excerpt(step) => format!(
            "excerpt {} of {}: {:?} from {:?} by {:?}, put at {:?}",
            label(step.node),
            name(step.source),
            step.sizes,
            step.starts,
            step.steps,
            step.low
        ),
        Step::Quantise(step) => {
            let (node, rounding) = (label(step.node), quantization(step.quantization));
            format!("rounding {node} of {} {rounding}", name(step.source))
        }
        Step::Product(step) => {
            let kernels::Product { batches, rows, common, columns } = step.sizes;
            let (node, first, second) = (label(step.node), name(step.first), name(step.second));
            format!("product {node} of {first}, {second}: {batches} of {rows}x{common} by {common}x{columns}")
        }
        Step::Rows(step) => {
            let kernels::Rows { count, columns, .. } = step.sizes;
            format!("rows {} of {}: {count} of {columns}", label(step.node), name(step.source))
        }
        Step::Sum(step) => {
            format!("sum {} of {}, {}", label(step.node), name(step.x), name(step.addend))
        }
        Step::Put(step) if step.stays => format!("put in frame {}", name(step.source)),
        Step::Put(step) => format!("copy for a kernel {}", name(step.source)),
        Step::Gate(step) => format!("gate {} {} of {}", step.number, label(step.node), name(step.x)),
        Step::Branch(step) => {
            let captures: Vec<_> = step.captures.iter().map(|capture| capture.source).collect();
            let reason = step.reason.as_ref().map_or(String::new(), |reason| format!(" (no gate: {reason})"));
            let (node, condition) = (label(step.node), name(step.condition));
            format!("branch {node} on {condition} with {}{reason}", names(&captures))
        }
    }
}

fn kernel(plan: &Plan, kernel: &Kernel) -> String {
    let nodes: Vec<_> = kernel.nodes.iter().map(|&node| plan.graph.node(node).label()).collect();
    let kernels::Window { groups, taps, strides, dilations, .. } = &kernel.convolution.window;
    let groups = if *groups > 1 { format!("in {groups} groups, ") } else { String::new() };
    let [down, right] = dilations;
    let dilated = if *dilations == [1, 1] { String::new() } else { format!(", dilated {down}x{right}") };
    let steps: Vec<_> = kernel.convolution.steps.iter().map(|step| then(step, kernel)).collect();
    format!(
        "kernel {} of {}: {groups}{}x{} by {}x{}{dilated}{}",
        nodes.join(" + "),
        name(kernel.input),
        taps[0],
        taps[1],
        strides[0],
        strides[1],
        steps.concat(),
    )
}

fn then(step: &kernels::Step, kernel: &Kernel) -> String {
    match *step {
        kernels::Step::Add(_) => {
            format!(", add {}", kernel.residual.map_or("none".to_owned(), name))
        }
        kernels::Step::Relu => ", relu".to_owned(),
        kernels::Step::Clip { low, high } => {
            format!(", clip to {}..{}", f32::from_bits(low), f32::from_bits(high))
        }
        kernels::Step::Curve(curve) => format!(", {}", self::curve(curve)),
        kernels::Step::TimesCurve(curve) => format!(", times its {}", self::curve(curve)),
        kernels::Step::Quantize(step) => format!(", round {}", quantization(step)),
    }
}

fn curve(curve: kernels::Curve) -> String {
    match curve {
        kernels::Curve::Sigmoid => "sigmoid".to_owned(),
        kernels::Curve::Normal => "normal distribution".to_owned(),
        kernels::Curve::HardSigmoid { slope, middle } => {
            format!("hard sigmoid of slope {} around {}", f32::from_bits(slope), f32::from_bits(middle))
        }
    }
}

fn quantization(step: kernels::Quantization) -> String {
    format!("to multiples {}..={} of {}", step.low, step.high, f32::from_bits(step.scale))
}

/// Rows and columns of zeros above, left of, below and right of an image, or by dimension for anything else.
fn room(frame: &Frame) -> String {
    if !frame.has_room() {
        return match frame.layout() {
            Layout::ChannelsLast => " channels last".to_owned(),
            Layout::InOrder => " in a frame".to_owned(),
        };
    }
    let (outer, inner, low) = (frame.outer(), frame.inner(), frame.low());
    let high = |axis: usize| outer[axis] - inner[axis] - low[axis];
    let zeros = if inner.len() == 4 {
        vec![low[1], low[2], high(1), high(2)]
    } else {
        low.iter().copied().chain((0..inner.len()).map(high)).collect()
    };
    let zeros: Vec<_> = zeros.iter().map(ToString::to_string).collect();
    format!(" in room {}", zeros.join(","))
}

fn type_of(ty: &TensorType) -> String {
    let element = match ty.element_type {
        element_type::FLOAT => "f32".to_owned(),
        element_type::BOOL => "bool".to_owned(),
        element_type::INT64 => "i64".to_owned(),
        other => format!("type{other}"),
    };
    let extents: Vec<_> =
        ty.shape.iter().map(|extent| extent.map_or("?".to_owned(), |n| n.to_string())).collect();
    format!("{element}[{}]", extents.join(","))
}

fn name(id: TensorId) -> String {
    format!("%{}", id.0)
}

fn names(ids: &[TensorId]) -> String {
    ids.iter().map(|&id| name(id)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::{GateSelection, Model, gate};

    use crate::net::{Net, int, post_block};
    use crate::plan;

    /// The plan of `model` with its gates, for a target with registers of 8 floats.
    fn gated(model: &Model) -> String {
        let gated = gate(model, &GateSelection::default()).unwrap();
        let target = Target::named("x86-64-v3").unwrap();
        plan(&gated, &target, &CompileOptions::default()).unwrap().to_string()
    }

    #[test]
    fn the_plan_of_a_residual_network() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/resnet20.onnx");
        insta::assert_snapshot!("resnet20", gated(&Model::load(&path).unwrap()));
    }

    #[test]
    fn the_plan_of_a_network_that_reads_the_input_of_a_gated_block_behind_it() {
        let (mut net, x) = Net::new(&[1, 3, 32, 32], 1);
        let x = net.conv(&x, 16, 3, 1);
        let x = net.relu(&x);
        let x = post_block(&mut net, &x, 16, 1);
        let y = post_block(&mut net, &x, 16, 1);
        let both = net.op("Concat", &[&y, &x], &[int("axis", 1)]);
        let pooled = net.op("GlobalAveragePool", &[&both], &[]);
        let flat = net.op("Flatten", &[&pooled], &[]);
        let weights = net.floats(&[32, 10], |r| r);
        net.push("MatMul", &[&flat, &weights], "logits", &[]);
        net.output("logits", &[1, 10]);
        insta::assert_snapshot!("concat", gated(&net.model()));
    }
}
