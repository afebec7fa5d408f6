//! Convolutions as calls of kernels ([`crate::kernels`]).
//!
//! A kernel also does what directly follows its convolution, as long as nothing else reads the values in between: the
//! sum with another value that is there already, activations, and rounding to what is left after quantisation.

use std::collections::HashMap;

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::proto::{GraphProto, NodeProto};
use skipgate_onnx::{TensorType, tensor_bytes};

use super::constant::floats;
use super::frame::{CHANNELS_LAST, Frame, Framed, is_convolution};
use super::{Importer, node_name, types};
use crate::ImportError;
use crate::kernels::{Convolution, Kernel, Place, Step};

/// Most nodes, each for the one before, that are written before their turn: shortcuts are short.
const MOST_EARLY: usize = 64;

/// Which nodes read each value.
#[derive(Default)]
pub(super) struct Readers<'a> {
    /// By the value's name; outputs of a graph count as readers that are no node.
    readers: HashMap<&'a str, Vec<Option<&'a NodeProto>>>,
}

impl<'a> Readers<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let mut readers = Self::default();
        readers.collect(graph);
        readers
    }

    fn collect(&mut self, graph: &'a GraphProto) {
        for node in &graph.node {
            for input in &node.input {
                self.readers.entry(input).or_default().push(Some(node));
            }
            for subgraph in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
                self.collect(subgraph);
            }
        }
        for output in &graph.output {
            self.readers.entry(&output.name).or_default().push(None);
        }
    }

    /// The node that alone reads `value`.
    fn only(&self, value: &str) -> Option<&'a NodeProto> {
        match self.readers.get(value)?[..] {
            [reader] => reader,
            _ => None,
        }
    }
}

/// A convolution that there are kernels for.
struct Recognised {
    convolution: Convolution,
    /// `[filter][channel][row][column]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// How a convolution's filter moves over its image, by rows and columns.
struct Window {
    strides: [usize; 2],
    /// Padding in front of the image.
    low: [usize; 2],
    /// Padding behind it.
    high: [usize; 2],
}

impl Window {
    /// `None` if the filter has gaps, or if `node` leaves its padding to whoever runs it.
    fn of(node: &NodeProto) -> Option<Self> {
        let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
        let numbers = |name: &str, default: i64, count: usize| -> Option<Vec<usize>> {
            let numbers = attribute(name).map_or(vec![default; count], |attribute| attribute.ints.clone());
            numbers.into_iter().map(|number| usize::try_from(number).ok()).collect()
        };
        let automatic = attribute("auto_pad").is_some_and(|pad| pad.s.as_deref() != Some(b"NOTSET"));
        let [down, right] = numbers("strides", 1, 2)?[..] else { return None };
        let [top, left, bottom, right_most] = numbers("pads", 0, 4)?[..] else { return None };
        let window = Self { strides: [down, right], low: [top, left], high: [bottom, right_most] };
        (!automatic && numbers("dilations", 1, 2)? == [1, 1]).then_some(window)
    }
}

/// A convolution and the nodes behind it that its kernel does too.
struct Fused<'a> {
    nodes: Vec<&'a NodeProto>,
    /// What they do. The place of a value that is added is not known yet.
    steps: Vec<Step>,
    /// Name of the value that is added.
    residual: Option<&'a str>,
    /// Name of the result.
    result: &'a str,
}

impl<'a> Importer<'a> {
    /// Calls a kernel for `node`; false if there is none for it.
    pub(super) fn convolution(&mut self, node: &'a NodeProto) -> Result<bool, ImportError> {
        let Some(Recognised { mut convolution, weights, bias }) = self.recognise(node)? else {
            return Ok(false);
        };
        let fused = self.fuse(node)?;
        let input = self.image_for(&node.input[0], node)?;
        convolution.input = place(&input.frame, convolution.input.low);
        let residual = fused.residual.map(|name| self.image_as_it_is(name)).transpose()?;
        convolution.steps = fused.steps;
        let ty = self.tensor_type(fused.result)?;
        let Some(whole) = Frame::without_room(ty) else { return Ok(false) };
        let frame = self.frames.get(fused.result).cloned().unwrap_or(whole);
        convolution.output = place(&frame, [0; 2]);
        if let Some(residual) = &residual {
            for step in &mut convolution.steps {
                if let Step::Add(at) = step {
                    *at = place(&residual.frame, [0; 2]);
                }
            }
            convolution.in_place = residual.frame == frame && self.overwritable.contains(&residual.memory);
        }
        let kernel = self.kernels.kernel(&convolution, &weights);
        let operands = [
            vec![(input.memory, input.frame.outer_type())],
            vec![self.floats(&kernel.weights, &kernel.weights_shape)?, self.floats(&bias, &[bias.len()])?],
            residual.iter().map(|framed| (framed.memory.clone(), framed.frame.outer_type())).collect(),
        ];
        let result = match residual.filter(|_| convolution.in_place) {
            Some(residual) => residual.memory,
            None => frame.outer_type(),
        };
        let memory = self.call(&kernel, operands.concat(), result, &fused.nodes);
        self.written.extend(fused.nodes.iter().skip(1).map(|node| node.output[0].as_str()));
        self.read_from_frame(fused.result, Framed { frame, memory })?;
        Ok(true)
    }

    /// The convolution, its weights and its bias, if there are kernels for such ones. The place of the input is yet
    /// without room: `low` are the rows and columns of padding in front of it, negated.
    fn recognise(&self, node: &NodeProto) -> Result<Option<Recognised>, ImportError> {
        let [input, weights, bias @ ..] = &node.input[..] else { return Ok(None) };
        if !is_convolution(node) || self.tensor_type(input)?.element_type != FLOAT {
            return Ok(None);
        }
        let shape = |name: &str| self.tensor_type(name).map(TensorType::static_shape);
        let (Some(x), Some(w), Some(y)) = (shape(input)?, shape(weights)?, shape(&node.output[0])?) else {
            return Ok(None);
        };
        let (
            &[1, channels, x_rows, x_columns],
            &[filters, filter_channels, rows, columns],
            &[_, _, height, width],
        ) = (&x[..], &w[..], &y[..])
        else {
            return Ok(None);
        };
        let Some(Window { strides, low, high }) = Window::of(node) else { return Ok(None) };
        if filter_channels != channels || !self.kernels.take(filters) {
            return Ok(None);
        }
        // Kernels check no bounds, so nothing that a file says of shapes is taken for granted.
        let sizes = [
            result_extent(x_rows, [low[0], high[0]], rows, strides[0]),
            result_extent(x_columns, [low[1], high[1]], columns, strides[1]),
        ];
        let Some(weights) = self.constant_floats(weights)? else { return Ok(None) };
        if sizes != [Some(height), Some(width)] || weights.len() != filters * channels * rows * columns {
            return Ok(None);
        }
        let bias = match bias.first().filter(|name| !name.is_empty()) {
            Some(bias) => self.constant_floats(bias)?,
            None => Some(vec![0.0; filters]),
        };
        let Some(bias) = bias.filter(|bias| bias.len() == filters) else { return Ok(None) };
        let whole = Place { outer: [height, width], low: [0, 0] };
        let convolution = Convolution {
            channels,
            filters,
            taps: [rows, columns],
            strides,
            size: [height, width],
            input: Place { outer: [0, 0], low },
            steps: Vec::new(),
            output: whole,
            in_place: false,
        };
        Ok(Some(Recognised { convolution, weights, bias }))
    }

    fn constant_floats(&self, name: &str) -> Result<Option<Vec<f32>>, ImportError> {
        let Some(tensor) = self.initializers.get(name).filter(|tensor| tensor.data_type == FLOAT) else {
            return Ok(None);
        };
        let bytes = tensor_bytes(tensor)?;
        Ok(Some(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()))
    }

    /// The constant `name` if it is one float.
    pub(super) fn constant_float(&self, name: &str) -> Result<Option<f32>, ImportError> {
        let values = self.constant_floats(name)?;
        Ok(values.filter(|values| values.len() == 1).map(|values| values[0]))
    }

    /// What the kernel of `node` can do besides.
    fn fuse(&mut self, node: &'a NodeProto) -> Result<Fused<'a>, ImportError> {
        let mut fused =
            Fused { nodes: vec![node], steps: Vec::new(), residual: None, result: &node.output[0] };
        while let Some(next) =
            self.readers.only(fused.result).filter(|next| types::is_onnx_domain(&next.domain))
        {
            let mut last = next;
            let step = match (next.op_type.as_str(), &next.input[..]) {
                ("Add", [a, b]) if fused.residual.is_none() => {
                    let other = if a == fused.result { b } else { a };
                    let same = self.tensor_type(other)? == self.tensor_type(fused.result)?;
                    if !same || !self.write_early(other)? {
                        break;
                    }
                    fused.residual = Some(other);
                    Step::Add(Place { outer: [0; 2], low: [0; 2] })
                }
                ("Relu", [_]) => Step::Relu,
                ("Clip", [_, limits @ ..]) => match self.clip(next, limits)? {
                    Some(clip) => clip,
                    None => break,
                },
                ("QuantizeLinear", [..]) => {
                    let Some(dequantize) = self.readers.only(&next.output[0]) else { break };
                    let Some(quantization) = self.quantization(next, dequantize)? else { break };
                    fused.nodes.push(next);
                    last = dequantize;
                    Step::Quantize(quantization)
                }
                _ => break,
            };
            fused.nodes.push(last);
            fused.steps.push(step);
            fused.result = &last.output[0];
        }
        Ok(fused)
    }

    /// Writes what computes `value` before its turn, unless that is done; false if it depends on what is being written.
    fn write_early(&mut self, value: &'a str) -> Result<bool, ImportError> {
        if value.is_empty() || self.values.contains_key(value) {
            return Ok(true);
        }
        let Some(&node) = self.producers.get(value) else { return Ok(false) };
        // The branches of an `If` read more than its inputs.
        let started = self.written.contains(node.output[0].as_str());
        if started || node.op_type == "If" || self.early == MOST_EARLY {
            return Ok(false);
        }
        self.early += 1;
        let mut ready = true;
        for input in &node.input {
            ready = ready && self.write_early(input)?;
        }
        if ready {
            self.node(node)?;
        }
        self.early -= 1;
        Ok(ready)
    }

    /// The `Clip` node `node`; its limits are inputs from opset 11 on. `None` if they are not known.
    fn clip(&self, node: &NodeProto, limits: &[String]) -> Result<Option<Step>, ImportError> {
        let limit = |place: usize, attribute: &str, none: f32| -> Result<Option<f32>, ImportError> {
            if let Some(name) = limits.get(place).filter(|name| !name.is_empty()) {
                return Ok(self.constant_floats(name)?.and_then(|values| values.first().copied()));
            }
            let attribute = node.attribute.iter().find(|a| a.name == attribute);
            Ok(Some(attribute.and_then(|attribute| attribute.f).unwrap_or(none)))
        };
        let limits = (limit(0, "min", f32::NEG_INFINITY)?, limit(1, "max", f32::INFINITY)?);
        let (Some(low), Some(high)) = limits else { return Ok(None) };
        Ok(Some(Step::Clip { low: low.to_bits(), high: high.to_bits() }))
    }

    /// The value `name` with the room that `reader` wants around it.
    fn image_for(&mut self, name: &str, reader: &NodeProto) -> Result<Framed, ImportError> {
        let ty = self.tensor_type(name)?;
        let Some(wanted) = Frame::of_reader(reader, ty) else { return self.image_as_it_is(name) };
        match self.framed.get(name) {
            Some(framed) if framed.frame.has_room_for(&wanted) => Ok(framed.clone()),
            _ => {
                let zeros = self.zeros(&wanted);
                let memory = self.write_to_frame(name, &wanted, &zeros)?;
                Ok(Framed { frame: wanted, memory })
            }
        }
    }

    /// The value `name` in its frame, or in one without room.
    pub(super) fn image_as_it_is(&mut self, name: &str) -> Result<Framed, ImportError> {
        if let Some(framed) = self.framed.get(name) {
            return Ok(framed.clone());
        }
        let ty = self.tensor_type(name)?;
        let frame =
            Frame::without_room(ty).ok_or_else(|| ImportError::UnknownShape { value: name.to_owned() })?;
        let value = self.value(name);
        let value = self.transpose(&value, ty, CHANNELS_LAST)?;
        let memory = self.builtin(&value, name, ty, &frame)?;
        Ok(Framed { frame, memory })
    }

    /// Calls `kernel` with `operands`, SSA names and types; `result` is the type of its result or the operand that the
    /// result is written over. Returns the SSA name of the result.
    fn call(
        &mut self,
        kernel: &Kernel,
        operands: Vec<(String, String)>,
        result: String,
        nodes: &[&NodeProto],
    ) -> String {
        let scratch = kernel.scratch.map(|floats| Frame::builtin([floats].into_iter()));
        let results: Vec<_> = [result].into_iter().chain(scratch).collect();
        let names: Vec<_> = results.iter().map(|_| self.fresh()).collect();
        let (operands, operand_types): (Vec<_>, Vec<_>) = operands.into_iter().unzip();
        let label = |node: &&NodeProto| types::quoted(&format!("{} {}", node.op_type, node_name(node)));
        let nodes: Vec<_> = nodes.iter().map(label).collect();
        self.line(&format!(
            "{} = flow.dispatch @{symbol}::@{symbol}({}) : ({}) -> ({}) loc(fused[{}])",
            names.join(", "),
            operands.join(", "),
            operand_types.join(", "),
            results.join(", "),
            nodes.join(", "),
            symbol = kernel.symbol,
        ));
        names[0].clone()
    }

    /// A constant and its type.
    fn floats(&mut self, values: &[f32], shape: &[usize]) -> Result<(String, String), ImportError> {
        let dims: Vec<_> =
            shape.iter().map(|&extent| i64::try_from(extent).expect("it is in memory")).collect();
        let literal = self.blobs.literal(&floats(values, &dims))?;
        let value = self.fresh();
        self.line(&format!("{value} = arith.constant {literal}"));
        Ok((value, Frame::builtin(shape.iter().copied())))
    }
}

/// Rows or columns of a result.
fn result_extent(from: usize, pads: [usize; 2], taps: usize, stride: usize) -> Option<usize> {
    let padded = from.checked_add(pads[0])?.checked_add(pads[1])?;
    Some(padded.checked_sub(taps)?.checked_div(stride)? + 1)
}

/// Where in its frame the rows and columns of an image begin, `before` rows and columns further up and left.
fn place(frame: &Frame, before: [usize; 2]) -> Place {
    let (outer, low) = frame.rows_and_columns();
    Place { outer, low: [low[0] - before[0], low[1] - before[1]] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_an_extent_only_if_the_filter_fits_and_moves() {
        assert_eq!(result_extent(32, [1, 1], 3, 1), Some(32));
        assert_eq!(result_extent(9, [1, 1], 3, 2), Some(5));
        assert_eq!(result_extent(2, [0, 0], 3, 1), None);
        assert_eq!(result_extent(9, [0, 0], 3, 0), None);
        assert_eq!(result_extent(9, [usize::MAX, 1], 3, 1), None);
    }
}
