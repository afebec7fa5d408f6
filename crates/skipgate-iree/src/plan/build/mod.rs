//! Puts together what the passes found.

mod branch;
mod constant;
mod kernel;
mod matrices;
mod unread;

use std::collections::HashMap;

use skipgate_core::{CompileOptions, Coverage, GenericLayer};
use skipgate_onnx::{
    Attribute, Graph, MaskedGate, Model, Node, NodeId, Origin, ScopeId, TensorType, ValueId,
};

use super::{Excerpt, Frame, Gate, Layout, Operator, Plan, Put, Quantise, Step, Sum, Tensor, TensorId};
use crate::ImportError;
use crate::kernels::Simd;
use crate::passes::{self, Cut, Findings, Rounding};

/// The plan of `model`, whose index is `graph`.
pub(crate) fn build<'m>(
    model: &'m Model,
    graph: Graph<'m>,
    findings: &Findings<'m>,
    simd: Simd,
    options: &CompileOptions,
) -> Result<Plan<'m>, ImportError> {
    let mut builder = Builder {
        graph: &graph,
        findings,
        tensors: Vec::new(),
        current: HashMap::new(),
        steps: Vec::new(),
        coverage: Coverage { costly_gates: findings.gates.costly(), ..Coverage::default() },
    };
    let main = graph.scope(graph.main());
    let inputs = main.inputs.iter().map(|&input| builder.define(input, None)).collect::<Result<_, _>>()?;
    builder.scope(graph.main())?;
    let outputs: Vec<_> =
        main.outputs.iter().map(|&output| builder.read(output)).collect::<Result<_, _>>()?;
    let Builder { tensors, mut steps, coverage, .. } = builder;
    unread::remove(&mut steps, &outputs);
    let proto = model.proto();
    let opset = proto.opset_import.iter().find(|import| matches!(import.domain.as_str(), "" | "ai.onnx"));
    Ok(Plan {
        ir_version: proto.ir_version,
        opset: opset.map_or(0, |import| import.version),
        simd,
        options: options.clone(),
        tensors,
        inputs,
        steps,
        outputs,
        coverage,
        graph,
    })
}

/// A plan as it grows.
struct Builder<'p, 'm> {
    graph: &'p Graph<'m>,
    findings: &'p Findings<'m>,
    tensors: Vec<Tensor<'m>>,
    /// The tensor that steps at this place read each value from.
    current: HashMap<ValueId, TensorId>,
    steps: Vec<Step<'m>>,
    coverage: Coverage,
}

impl Builder<'_, '_> {
    /// Initialisers and nodes of a graph.
    fn scope(&mut self, scope: ScopeId) -> Result<(), ImportError> {
        self.initializers(scope)?;
        self.nodes(scope)
    }

    fn nodes(&mut self, scope: ScopeId) -> Result<(), ImportError> {
        self.findings.order(self.graph, scope).into_iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, id: NodeId) -> Result<(), ImportError> {
        let (node, findings) = (self.graph.node(id), self.findings);
        if !node.is_standard() {
            return Err(unsupported(node, format!("an operator of the domain `{}`", node.proto().domain)));
        }
        if node.is("Constant") {
            return self.constant_node(node);
        }
        if let Some(layer) = findings.layers.get(id) {
            return self.kernel(layer);
        }
        if let Some(product) = findings.layers.product(id) {
            return self.product(id, product);
        }
        if let Some(concat) = findings.concats.get(&id) {
            return self.concat(id, concat);
        }
        if let Some(rows) = findings.rows.get(&id) {
            return self.rows(id, rows);
        }
        if let Some(cut) = findings.excerpts.get(&id) {
            return self.excerpt(id, cut);
        }
        if let Some(rounding) = findings.roundings.get(&id) {
            if self.quantise(id, rounding)? {
                return Ok(());
            }
        }
        if let Some(sum) = findings.sums.get(&id) {
            return self.sum(id, sum);
        }
        if let Some(gate) = findings.gates.get(id) {
            return self.gate(gate);
        }
        if node.is("If") {
            self.branch(id)?;
        } else {
            self.operator(id)?;
        }
        node.outputs.iter().flatten().try_for_each(|&output| self.put_where_wanted(output))
    }

    /// A new tensor of `value`, which steps read from here on.
    fn define(&mut self, value: ValueId, frame: Option<Frame>) -> Result<TensorId, ImportError> {
        let tensor = self.tensor(value, frame)?;
        self.current.insert(value, tensor);
        Ok(tensor)
    }

    /// A new tensor of `value` for steps that know it.
    fn tensor(&mut self, value: ValueId, frame: Option<Frame>) -> Result<TensorId, ImportError> {
        let tensor = TensorId(self.tensors.len());
        let ty = self.ty(value)?.clone();
        self.tensors.push(Tensor { name: self.graph.value(value).name, ty, frame });
        Ok(tensor)
    }

    fn ty(&self, value: ValueId) -> Result<&TensorType, ImportError> {
        let found = self.graph.value(value);
        found.ty.as_ref().ok_or_else(|| {
            let value = found.name.to_owned();
            match found.origin {
                Origin::Node { node, .. } => {
                    let node = self.graph.node(node);
                    let (name, op_type) = (node.name().to_owned(), node.op_type().to_owned());
                    ImportError::UnknownResult { node: name, op_type, value }
                }
                _ => ImportError::UnknownShape { value },
            }
        })
    }

    /// The tensor that `value` is read from at this place.
    fn read(&self, value: ValueId) -> Result<TensorId, ImportError> {
        let name = || self.graph.value(value).name.to_owned();
        self.current.get(&value).copied().ok_or_else(|| ImportError::UnknownShape { value: name() })
    }

    fn frame_of(&self, tensor: TensorId) -> Option<&Frame> {
        self.tensors[tensor.0].frame.as_ref()
    }

    /// A node that the compiler's generic code computes.
    fn operator(&mut self, id: NodeId) -> Result<(), ImportError> {
        let node = self.graph.node(id);
        let subgraph = node.attributes.iter().find(|(_, value)| matches!(value, Attribute::Graphs(_)));
        if let Some((name, _)) = subgraph {
            return Err(unsupported(node, format!("a subgraph `{name}`")));
        }
        let operands: Vec<_> = node
            .inputs
            .iter()
            .map(|input| input.map(|input| self.read(input)).transpose())
            .collect::<Result<_, _>>()?;
        let reason = self.findings.layers.reason(id).map(str::to_owned);
        if let Some(reason) = reason.clone() {
            self.coverage.generic.push(GenericLayer { node: node.label(), reason });
        }
        let outputs = node.outputs.iter().flatten();
        let results = outputs.map(|&output| self.define(output, None)).collect::<Result<_, _>>()?;
        self.steps.push(Step::Operator(Operator { node: id, operands, results, reason }));
        Ok(())
    }

    /// Puts `value`, just computed, into the frame that it is to stand in, unless it stands there already.
    fn put_where_wanted(&mut self, value: ValueId) -> Result<(), ImportError> {
        match self.findings.frames.of_value(value) {
            Some(frame) => self.in_frame(value, frame).map(drop),
            None => Ok(()),
        }
    }

    /// Puts `value` into `frame`, where everything reads it from here on.
    fn put(&mut self, value: ValueId, frame: Frame) -> Result<TensorId, ImportError> {
        let source = self.read(value)?;
        let result = self.define(value, Some(frame))?;
        self.steps.push(Step::Put(Put { source, result, stays: true }));
        Ok(result)
    }

    fn excerpt(&mut self, node: NodeId, cut: &Cut) -> Result<(), ImportError> {
        let source = self.laid_out(cut.source, Layout::ChannelsLast, None)?;
        let Some(output) = self.graph.node(node).only_output() else { return Ok(()) };
        let whole = Frame::without_room(self.ty(output)?);
        let result = self.define(output, whole)?;
        let &Cut { starts, steps, sizes, low, .. } = cut;
        self.steps.push(Step::Excerpt(Excerpt { node, source, result, starts, steps, sizes, low }));
        Ok(())
    }

    /// False if the value has no known shape.
    fn quantise(&mut self, node: NodeId, rounding: &Rounding) -> Result<bool, ImportError> {
        let Some(output) = self.graph.node(node).only_output() else { return Ok(false) };
        let known = |value| Ok::<_, ImportError>(Frame::without_room(self.ty(value)?).is_some());
        if !known(rounding.source)? || !known(output)? {
            return Ok(false);
        }
        let (source, result) = (self.read(rounding.source)?, self.define(output, None)?);
        self.steps.push(Step::Quantise(Quantise {
            node,
            quantization: rounding.quantization,
            source,
            result,
        }));
        Ok(true)
    }

    fn sum(&mut self, node: NodeId, sum: &passes::Sum) -> Result<(), ImportError> {
        let passes::Sum { x, addend, frame } = sum;
        let x = self.read(*x)?;
        let addend = self.exactly_in(*addend, frame)?;
        let Some(output) = self.graph.node(node).only_output() else { return Ok(()) };
        let result = self.define(output, Some(frame.clone()))?;
        self.steps.push(Step::Sum(Sum { node, x, addend, result }));
        Ok(())
    }

    fn gate(&mut self, gate: &MaskedGate) -> Result<(), ImportError> {
        let name = || self.graph.value(gate.input).name.to_owned();
        let frame = self.findings.frames.of_gate(gate.node).cloned();
        let frame = frame.ok_or_else(|| ImportError::UnknownShape { value: name() })?;
        let x = self.in_frame(gate.input, &frame)?;
        let outside = std::mem::take(&mut self.steps);
        self.scope(gate.block)?;
        let result = self.in_frame(gate.result, &frame)?;
        let body = std::mem::replace(&mut self.steps, outside);
        self.current.insert(gate.input, x);
        let y = self.define(gate.output, Some(frame))?;
        let (node, number) = (gate.node, gate.number);
        self.steps.push(Step::Gate(Gate { node, number, x, body, result, y }));
        Ok(())
    }

    /// `value` in `frame` and no other; it is put there unless it is there already.
    fn in_frame(&mut self, value: ValueId, frame: &Frame) -> Result<TensorId, ImportError> {
        let current = self.read(value)?;
        if self.frame_of(current) == Some(frame) { Ok(current) } else { self.put(value, frame.clone()) }
    }
}

pub(crate) fn unsupported(node: &Node, what: String) -> ImportError {
    ImportError::Unsupported { node: node.name().to_owned(), op_type: node.op_type().to_owned(), what }
}
