//! Gates of residual blocks as straight-line code.
//!
//! `y = mask[i] ? block(x) : x` becomes the block itself between two optimisation barriers, which carry the gate's
//! number in their locations ([`Boundary`]). Both x and y stand in frames of one shape. `crate::gating` gives them one
//! memory, so that a block that does not run leaves x where y is expected, and makes what lies between the barriers
//! depend on the mask.

use std::collections::{HashMap, HashSet};

use skipgate_onnx::proto::{GraphProto, NodeProto};
use skipgate_onnx::{MASK_INPUT, is_activation, tensor_bytes};

use super::frame::{Frame, Framed};
use super::{Importer, types};
use crate::ImportError;
use crate::gating::Boundary;

/// The element of the mask that each value is, for the values that are one.
pub(super) fn mask_elements(graph: &GraphProto) -> HashMap<String, usize> {
    let index = |name: &str| {
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name)?;
        let bytes = tensor_bytes(tensor).ok()?;
        usize::try_from(i64::from_le_bytes(bytes.as_ref().try_into().ok()?)).ok()
    };
    let element = |node: &NodeProto| match (&node.input[..], &node.output[..]) {
        ([mask, place], [output]) if node.op_type == "Gather" && mask == MASK_INPUT => {
            Some((output.clone(), index(place)?))
        }
        _ => None,
    };
    graph.node.iter().filter_map(element).collect()
}

/// A gate that hands on its input when it is closed.
pub(super) struct Gate<'n> {
    number: usize,
    /// Name of x.
    input: &'n str,
    /// Name of y.
    output: &'n str,
    /// The block: what computes y.
    block: &'n GraphProto,
}

impl<'n> Gate<'n> {
    /// Recognises a gate on an element of the mask; any other `If` stays one.
    pub(super) fn recognise(node: &'n NodeProto, mask: &HashMap<String, usize>) -> Option<Self> {
        let number = *mask.get(node.input.first()?)?;
        let branch = |name: &str| node.attribute.iter().find(|a| a.name == name)?.g.as_ref();
        let (block, skip) = (branch("then_branch")?, branch("else_branch")?);
        let ([identity], [output]) = (&skip.node[..], &node.output[..]) else { return None };
        let [input] = &identity.input[..] else { return None };
        let gate = Self { number, input, output, block };
        (identity.op_type == "Identity" && block.output.len() == 1 && gate.can_overwrite_input())
            .then_some(gate)
    }

    /// Whether y can be written over x: the kernel that computes y reads x at the element that it writes and nowhere
    /// else. That kernel may take in anything up to the last layer, so every other way from y back to x must pass two.
    fn can_overwrite_input(&self) -> bool {
        let mut work = vec![(self.block.output[0].name.as_str(), Way::Elementwise)];
        let mut seen = HashSet::new();
        while let Some((value, way)) = work.pop() {
            if value == self.input {
                if way == Way::Elementwise {
                    continue;
                }
                return false;
            }
            let producer =
                self.block.node.iter().find(|node| node.output.iter().any(|output| output == value));
            let Some(node) = producer.filter(|_| seen.insert((value, way))) else { continue };
            if let Some(way) = way.through(node) {
                work.extend(node.input.iter().map(|input| (input.as_str(), way)));
            }
        }
        true
    }
}

/// What lies between a value and the result of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// Operators whose results at one place depend on their operands at that place alone.
    Elementwise,
    /// Others too, but no layer.
    Mixed,
    /// One layer.
    Layer,
}

impl Way {
    /// The way on through `node`; `None` behind a second layer, which is another kernel's.
    fn through(self, node: &NodeProto) -> Option<Self> {
        let is = |operators: &[&str]| {
            operators.contains(&node.op_type.as_str()) && types::is_onnx_domain(&node.domain)
        };
        match self {
            Self::Layer if is(&LAYERS) => None,
            Self::Layer => Some(Self::Layer),
            _ if is(&LAYERS) => Some(Self::Layer),
            Self::Elementwise if is(&["Add", "Div", "Mul", "Sub"]) || is_activation(node) => Some(self),
            _ => Some(Self::Mixed),
        }
    }
}

/// Operators that the compiler never puts into one kernel with another of them.
const LAYERS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];

impl<'a> Importer<'a> {
    /// Writes `gate`; false if its value has no frame.
    pub(super) fn gate(&mut self, gate: &Gate<'a>) -> Result<bool, ImportError> {
        let Some(frame) = self.frame_of(gate)? else { return Ok(false) };
        if self.framed.get(gate.input).is_none_or(|framed| framed.frame != frame) {
            self.put_in_frame(gate.input, frame.clone())?;
        }
        let x = self.boundary(gate.input, Boundary::entry(gate.number))?;
        let outside = (self.values.get(gate.input).cloned(), self.framed.get(gate.input).cloned());
        self.overwritable.insert(x.memory.clone());
        self.read_from_frame(gate.input, x)?;
        let result = &gate.block.output[0].name;
        self.frames.insert(result.clone(), frame);
        self.graph_body(gate.block)?;
        let y = self.boundary(result, Boundary::exit(gate.number))?;
        if let (Some(value), Some(framed)) = outside {
            self.values.insert(gate.input.to_owned(), value);
            self.framed.insert(gate.input.to_owned(), framed);
        }
        self.read_from_frame(gate.output, y)?;
        Ok(true)
    }

    /// The frame for both x and y: what convolutions ask for, or else one that just has room.
    fn frame_of(&self, gate: &Gate) -> Result<Option<Frame>, ImportError> {
        let (x, y) = (self.tensor_type(gate.input)?, self.tensor_type(gate.output)?);
        let wanted = self.frames.get(gate.input).or_else(|| self.frames.get(gate.output)).cloned();
        Ok(wanted.or_else(|| Frame::with_room(x)).filter(|_| x == y))
    }

    /// The frame of the value `name`, behind the barrier of `boundary`.
    fn boundary(&mut self, name: &str, boundary: Boundary) -> Result<Framed, ImportError> {
        let unknown = || ImportError::UnknownShape { value: name.to_owned() };
        let framed = self.framed.get(name).cloned().ok_or_else(unknown)?;
        Ok(self.barrier(framed, &boundary.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use skipgate_onnx::proto::{AttributeProto, ValueInfoProto};

    use super::*;

    fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
        let input = inputs.iter().map(|&name| name.to_owned()).collect();
        NodeProto {
            op_type: op_type.to_owned(),
            input,
            output: vec![output.to_owned()],
            ..Default::default()
        }
    }

    /// An `If` on element 3 of the mask with `block`, which ends in `y`, and `skip`, which ends in `s`.
    fn gate(block: Vec<NodeProto>, skip: NodeProto) -> NodeProto {
        let branch = |name: &str, node, output: &str| AttributeProto {
            name: name.to_owned(),
            g: Some(GraphProto {
                node,
                output: vec![ValueInfoProto { name: output.to_owned(), ..Default::default() }],
                ..Default::default()
            })
            .into(),
            ..Default::default()
        };
        let mut gate = node("If", &["mask.3"], "out");
        gate.attribute = vec![branch("then_branch", block, "y"), branch("else_branch", vec![skip], "s")];
        gate
    }

    fn is_recognised(gate: &NodeProto) -> bool {
        Gate::recognise(gate, &HashMap::from([("mask.3".to_owned(), 3)])).is_some()
    }

    fn residual() -> Vec<NodeProto> {
        vec![
            node("Conv", &["x", "w"], "f"),
            node("Conv", &["f", "w"], "g"),
            node("Add", &["g", "x"], "sum"),
            node("Relu", &["sum"], "y"),
        ]
    }

    #[test]
    fn a_gated_residual_block_is_recognised() {
        assert!(is_recognised(&gate(residual(), node("Identity", &["x"], "s"))));
    }

    #[test]
    fn an_if_on_anything_else_than_the_mask_stays_one() {
        let mut gate = gate(residual(), node("Identity", &["x"], "s"));
        gate.input = vec!["condition".to_owned()];
        assert!(!is_recognised(&gate));
    }

    #[test]
    fn an_if_that_computes_something_when_it_is_closed_stays_one() {
        assert!(!is_recognised(&gate(residual(), node("Neg", &["x"], "s"))));
    }

    #[test]
    fn a_block_whose_last_layer_reads_its_input_cannot_write_over_it() {
        let block = vec![node("Conv", &["x", "w"], "f"), node("Add", &["x", "f"], "y")];
        assert!(!is_recognised(&gate(block, node("Identity", &["x"], "s"))));
    }

    #[test]
    fn other_operators_around_the_only_layer_do_not_help() {
        for [before, after] in [["Relu", "Identity"], ["Identity", "Gelu"], ["Softmax", "Unheard"]] {
            let block = vec![
                node(before, &["x"], "a"),
                node("MatMul", &["a", "w"], "b"),
                node(after, &["b"], "c"),
                node("Add", &["x", "c"], "y"),
            ];
            assert!(!is_recognised(&gate(block, node("Identity", &["x"], "s"))), "{before}, {after}");
        }
    }

    #[test]
    fn a_sum_over_the_input_cannot_be_written_over_it() {
        let block = vec![node("GlobalAveragePool", &["x"], "a"), node("Mul", &["x", "a"], "y")];
        assert!(!is_recognised(&gate(block, node("Identity", &["x"], "s"))));
    }
}
