//! Operator sets 6 to 12 become 13.
//!
//! Most operators that 12 and 13 list anew differ from before in the element types they take, but the compiler knows only
//! the later version of many: `MaxPool`, `Slice`, `Less` and others. What changed its meaning is rewritten.

use std::collections::{HashMap, HashSet};

use super::{softmax, unsupported};
use crate::attributes::Attributes;
use crate::check::{is_default_domain, opset};
use crate::edit::{Names, read_counts};
use crate::error::{Error, NodeProblem};
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shapes::{Batch, Value, infer_values};
use crate::tensor;

/// The operator set before which many parameters are attributes.
const ATTRIBUTES_BECAME_INPUTS: i64 = 11;

/// The operator set from which on operands are broadcast without being asked for it.
const BROADCASTS: i64 = 7;

/// The first operator set whose operators the compiler knows.
const RAISED: i64 = 13;

/// `model` in operator set 13 if it is in an earlier one.
pub(super) fn raise(model: Model) -> Result<Model, Error> {
    let Some(from) = opset(model.proto()).filter(|version| *version < RAISED) else { return Ok(model) };
    let values = infer_values(&model, Batch::Symbolic)?;
    let mut raiser = Raiser {
        from,
        values: &values,
        read: read_counts(model.graph()).into_keys().map(str::to_owned).collect(),
        names: Names::of(model.graph()),
        added: Vec::new(),
    };
    model.edited(|proto| {
        for import in proto.opset_import.iter_mut().filter(|import| is_default_domain(&import.domain)) {
            import.version = RAISED;
        }
        if let Some(graph) = proto.graph.as_mut() {
            raiser.graph(graph)?;
            graph.initializer.append(&mut raiser.added);
        }
        Ok(())
    })
}

/// Operator set 13 has no `tf_half_pixel_for_nn`.
fn check_coordinates(node: &NodeProto) -> Result<(), Error> {
    let mode =
        Attributes::of(node).string("coordinate_transformation_mode").map_err(|problem| problem.of(node))?;
    if mode == Some(b"tf_half_pixel_for_nn") {
        return Err(unsupported(node, "it transforms coordinates by `tf_half_pixel_for_nn`"));
    }
    Ok(())
}

/// What the change of a model needs.
pub(super) struct Raiser<'m> {
    /// The operator set that the model is in.
    from: i64,
    values: &'m HashMap<&'m str, Value>,
    /// Names that something reads.
    read: HashSet<String>,
    names: Names,
    added: Vec<TensorProto>,
}

impl Raiser<'_> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), Error> {
        for mut node in std::mem::take(&mut graph.node) {
            for attribute in &mut node.attribute {
                for inner in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
                    self.graph(inner)?;
                }
            }
            if is_default_domain(&node.domain) {
                self.node(node, &mut graph.node)?;
            } else {
                graph.node.push(node);
            }
        }
        Ok(())
    }

    fn node(&mut self, mut node: NodeProto, written: &mut Vec<NodeProto>) -> Result<(), Error> {
        if self.from < BROADCASTS {
            written.extend(self.oldest_node(&mut node)?);
        }
        if self.from < ATTRIBUTES_BECAME_INPUTS {
            self.early_node(&mut node)?;
        }
        match node.op_type.as_str() {
            "Softmax" | "LogSoftmax" | "Hardmax" => {
                written.extend(softmax::over_one_axis(&node, self)?);
                return Ok(());
            }
            "Split" => self.attribute_to_input(&mut node, "split")?,
            "ReduceSum" | "Squeeze" | "Unsqueeze" => self.attribute_to_input(&mut node, "axes")?,
            "QuantizeLinear" | "DequantizeLinear" => self.check_scale(&node)?,
            "Resize" => check_coordinates(&node)?,
            "Dropout" => self.check_mask(&node)?,
            _ => (),
        }
        written.push(node);
        Ok(())
    }

    /// Turns the attribute `name` of `node` into its second input.
    fn attribute_to_input(&mut self, node: &mut NodeProto, name: &'static str) -> Result<(), Error> {
        let values =
            Attributes::of(node).ints(name).map_err(|problem| problem.of(node))?.map(<[i64]>::to_vec);
        let Some(values) = values else { return Ok(()) };
        if node.input.len() != 1 {
            return Err(NodeProblem::Attribute { name, expected: "the only parameter" }.of(node));
        }
        node.attribute.retain(|attribute| attribute.name != name);
        let wanted = format!("{}.{name}", node.output.first().map_or("", String::as_str));
        node.input.push(self.add_ints(&wanted, &values));
        Ok(())
    }

    /// Before 13 there is one scale for the whole tensor, and an `axis` means nothing.
    fn check_scale(&self, node: &NodeProto) -> Result<(), Error> {
        let scale = node.input.get(1).and_then(|scale| self.value(scale));
        match scale.and_then(|scale| scale.tensor_type.elements()) {
            Some(1) => Ok(()),
            _ => {
                Err(unsupported(node, "it has a scale for each index, which its operator set does not know"))
            }
        }
    }

    /// What is in the mask of a `Dropout` that drops nothing is laid down from 12 on only.
    fn check_mask(&self, node: &NodeProto) -> Result<(), Error> {
        match node.output.get(1) {
            Some(mask) if self.read.contains(mask) => {
                Err(unsupported(node, "its mask is read, which its operator set says nothing about"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        self.names.fresh(wanted)
    }

    /// Adds a constant of floats and gives its name.
    pub(super) fn add_floats(&mut self, wanted: &str, dims: Vec<i64>, values: &[f32]) -> String {
        let name = self.fresh(wanted);
        self.added.push(tensor::from_floats(name.clone(), dims, values));
        name
    }

    /// Adds a list of 64-bit integers and gives its name.
    pub(super) fn add_ints(&mut self, wanted: &str, values: &[i64]) -> String {
        let name = self.fresh(wanted);
        self.added.push(tensor::from_integers(name.clone(), values));
        name
    }
}
