//! Typed access to the attributes of a node.

use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

use crate::error::NodeProblem;

type Result<T> = std::result::Result<T, NodeProblem>;

/// The attributes of one node. Every getter gives `None` where the attribute is absent and an error where it has
/// another type.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'m>(&'m [AttributeProto]);

impl<'m> Attributes<'m> {
    pub(crate) fn of(node: &'m NodeProto) -> Self {
        Self(&node.attribute)
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.0.iter().any(|attribute| attribute.name == name)
    }

    pub(crate) fn int(self, name: &'static str) -> Result<Option<i64>> {
        Ok(self
            .find(name, AttributeType::INT, "an integer")?
            .map(|attribute| attribute.i.unwrap_or_default()))
    }

    pub(crate) fn int_or(self, name: &'static str, default: i64) -> Result<i64> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub(crate) fn flag(self, name: &'static str) -> Result<bool> {
        Ok(self.int_or(name, 0)? != 0)
    }

    pub(crate) fn ints(self, name: &'static str) -> Result<Option<&'m [i64]>> {
        Ok(self.find(name, AttributeType::INTS, "integers")?.map(|attribute| attribute.ints.as_slice()))
    }

    pub(crate) fn float(self, name: &'static str) -> Result<Option<f32>> {
        Ok(self.find(name, AttributeType::FLOAT, "a float")?.map(|attribute| attribute.f.unwrap_or_default()))
    }

    pub(crate) fn floats(self, name: &'static str) -> Result<Option<&'m [f32]>> {
        Ok(self.find(name, AttributeType::FLOATS, "floats")?.map(|attribute| attribute.floats.as_slice()))
    }

    pub(crate) fn string(self, name: &'static str) -> Result<Option<&'m [u8]>> {
        Ok(self
            .find(name, AttributeType::STRING, "a string")?
            .map(|attribute| attribute.s.as_deref().unwrap_or_default()))
    }

    pub(crate) fn strings(self, name: &'static str) -> Result<Option<&'m [Vec<u8>]>> {
        Ok(self.find(name, AttributeType::STRINGS, "strings")?.map(|attribute| attribute.strings.as_slice()))
    }

    pub(crate) fn tensor(self, name: &'static str) -> Result<Option<&'m TensorProto>> {
        Ok(self.find(name, AttributeType::TENSOR, "a tensor")?.and_then(|attribute| attribute.t.as_ref()))
    }

    pub(crate) fn graph(self, name: &'static str) -> Result<Option<&'m GraphProto>> {
        Ok(self.find(name, AttributeType::GRAPH, "a graph")?.and_then(|attribute| attribute.g.as_ref()))
    }

    fn find(
        self,
        name: &'static str,
        type_: AttributeType,
        expected: &'static str,
    ) -> Result<Option<&'m AttributeProto>> {
        let Some(attribute) = self.0.iter().find(|attribute| attribute.name == name) else { return Ok(None) };
        if attribute.type_.enum_value() == Ok(type_) {
            Ok(Some(attribute))
        } else {
            Err(NodeProblem::Attribute { name, expected })
        }
    }
}
