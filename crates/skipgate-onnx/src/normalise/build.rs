//! Writes an operator in several others, with constants of their element type.

use super::Step;
use super::context::{Context, Parts};
use crate::edit::{int_attribute, ints_attribute};
use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::tensor;
use crate::tensor::element_type::{BOOL, FLOAT};

/// Operator set from which on reductions take their axes as an input, as `ReduceSum` does before.
pub(super) const AXES_ARE_INPUTS: i64 = 18;

/// The nodes that take the place of one.
pub(super) struct Build<'n, 'c, 'm> {
    node: &'n NodeProto,
    parts: Parts<'n>,
    pub(super) context: &'c mut Context<'m>,
}

impl<'n, 'c, 'm> Build<'n, 'c, 'm> {
    pub(super) fn of(node: &'n NodeProto, context: &'c mut Context<'m>) -> Self {
        Self { node, parts: Parts::of(node), context }
    }

    /// A node without attributes; the name of its result.
    pub(super) fn op(&mut self, op_type: &str, inputs: &[&str]) -> String {
        self.with(op_type, inputs, vec![])
    }

    /// A node with attributes; the name of its result.
    pub(super) fn with(&mut self, op_type: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.parts.add(self.context, op_type, inputs, attributes)
    }

    /// A node with several results; their names.
    pub(super) fn with_outputs(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        count: usize,
    ) -> Vec<String> {
        self.parts.add_several(self.context, op_type, inputs, attributes, count)
    }

    pub(super) fn cast(&mut self, value: &str, element_type: i32) -> String {
        self.with("Cast", &[value], vec![int_attribute("to", element_type.into())])
    }

    pub(super) fn transpose(&mut self, value: &str, order: &[i64]) -> String {
        self.with("Transpose", &[value], vec![ints_attribute("perm", order.to_vec())])
    }

    pub(super) fn reshape(&mut self, value: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.op("Reshape", &[value, &shape])
    }

    /// `value` with new dimensions of one element.
    pub(super) fn unsqueeze(&mut self, value: &str, axes: &[i64]) -> String {
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[value, &axes])
    }

    /// The elements from `start` to before `end` along `axis`.
    pub(super) fn slice(&mut self, value: &str, axis: i64, start: i64, end: i64) -> String {
        let [starts, ends, axes] = [start, end, axis].map(|place| self.ints(&[place]));
        self.op("Slice", &[value, &starts, &ends, &axes])
    }

    /// A reduction along `axes`, which it keeps.
    pub(super) fn reduce(&mut self, op_type: &str, value: &str, axes: &[i64]) -> String {
        if op_type != "ReduceSum" && self.context.opset < AXES_ARE_INPUTS {
            let attributes = vec![ints_attribute("axes", axes.to_vec()), int_attribute("keepdims", 1)];
            return self.with(op_type, &[value], attributes);
        }
        let axes = self.ints(axes);
        self.with(op_type, &[value, &axes], vec![int_attribute("keepdims", 1)])
    }

    /// Adds a node that is complete.
    pub(super) fn push(&mut self, node: NodeProto) {
        self.parts.push_node(node);
    }

    /// A scalar that is true.
    pub(super) fn truth(&mut self) -> String {
        let name = self.context.fresh(&format!("{}.true", self.node.output[0]));
        let value =
            TensorProto { data_type: BOOL, raw_data: vec![1], name: name.clone(), ..Default::default() };
        self.context.add(value);
        name
    }

    /// A list of 64-bit integers.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let wanted = format!("{}.list", self.node.output[0]);
        self.context.add_ints(&wanted, values)
    }

    /// A tensor of 64-bit integers.
    pub(super) fn int_tensor(&mut self, dims: &[i64], values: &[i64]) -> String {
        let name = self.context.fresh(&format!("{}.integers", self.node.output[0]));
        self.context.add(TensorProto { dims: dims.to_vec(), ..tensor::from_integers(name.clone(), values) });
        name
    }

    /// A scalar of an element type of floats or integers.
    pub(super) fn scalar(&mut self, value: f32, element_type: i32) -> String {
        self.floats(&[], &[value], element_type)
    }

    /// A tensor of an element type of floats or integers.
    pub(super) fn floats(&mut self, dims: &[i64], values: &[f32], element_type: i32) -> String {
        let wanted = format!("{}.constant", self.node.output[0]);
        let name = self.context.add_floats(&wanted, dims.to_vec(), values);
        if element_type == FLOAT { name } else { self.cast(&name, element_type) }
    }

    /// What takes the place of the node, among it one that computes its outputs under their names.
    pub(super) fn into_step(self) -> Step {
        Step::nodes(self.parts.into_nodes())
    }

    /// What takes the place of the node, whose outputs are `values`.
    pub(super) fn finish(self, values: &[&str]) -> Step {
        let (first, others) = values.split_first().unwrap_or((&"", &[]));
        let nodes = self.parts.finish("Identity", &[first], vec![]);
        let outputs = self.node.output.iter().skip(1).zip(others);
        let named = outputs.filter(|(output, _)| !output.is_empty());
        let aliases = named.map(|(output, value)| (output.clone(), (*value).to_owned())).collect();
        Step::Replace { nodes, aliases }
    }
}
