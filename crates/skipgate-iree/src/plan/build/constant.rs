//! Initialisers and `Constant` nodes.

use std::borrow::Cow;

use skipgate_onnx::element_type::{FLOAT, INT64};
use skipgate_onnx::proto::TensorProto;
use skipgate_onnx::{Attribute, Node, ScopeId};

use super::{Builder, unsupported};
use crate::ImportError;
use crate::plan::{Constant, Step};

impl<'m> Builder<'_, 'm> {
    pub(super) fn initializers(&mut self, scope: ScopeId) -> Result<(), ImportError> {
        for &value in &self.graph.scope(scope).initializers {
            if let Some(tensor) = self.graph.constant(value) {
                let result = self.define(value, None)?;
                self.steps.push(Step::Constant(Constant { result, tensor: Cow::Borrowed(tensor) }));
            }
        }
        Ok(())
    }

    pub(super) fn constant_node(&mut self, node: &Node<'m>) -> Result<(), ImportError> {
        let tensor = of_node(node)?;
        let output = node.output(0).ok_or_else(|| unsupported(node, "a node without output".to_owned()))?;
        let result = self.define(output, None)?;
        self.steps.push(Step::Constant(Constant { result, tensor }));
        Ok(())
    }
}

/// The value of a `Constant` node, whichever of its attributes holds it.
fn of_node<'m>(node: &Node<'m>) -> Result<Cow<'m, TensorProto>, ImportError> {
    let [(name, value)] = &node.attributes[..] else {
        return Err(unsupported(node, format!("a Constant with {} attributes", node.attributes.len())));
    };
    Ok(match (*name, value) {
        ("value", Attribute::Tensor(tensor)) => Cow::Borrowed(*tensor),
        ("value_float", Attribute::Float(value)) => Cow::Owned(floats(&[*value], vec![])),
        ("value_floats", Attribute::Floats(values)) => Cow::Owned(floats(values, vec![length(values)])),
        ("value_int", Attribute::Int(value)) => Cow::Owned(ints(&[*value], vec![])),
        ("value_ints", Attribute::Ints(values)) => Cow::Owned(ints(values, vec![length(values)])),
        _ => return Err(unsupported(node, format!("a Constant with `{name}`"))),
    })
}

fn length<T>(values: &[T]) -> i64 {
    // An attribute is in memory.
    i64::try_from(values.len()).unwrap_or(i64::MAX)
}

fn floats(values: &[f32], dims: Vec<i64>) -> TensorProto {
    TensorProto { data_type: FLOAT, float_data: values.to_vec(), dims, ..Default::default() }
}

fn ints(values: &[i64], dims: Vec<i64>) -> TensorProto {
    TensorProto { data_type: INT64, int64_data: values.to_vec(), dims, ..Default::default() }
}
