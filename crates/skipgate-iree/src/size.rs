//! Sizes that no machine can compile are refused before the compiler sees them: it would take all memory, or abort.

use std::collections::HashMap;

use skipgate_core::{Arch, Target};
use skipgate_onnx::proto::{GraphProto, NodeProto, TensorProto};
use skipgate_onnx::{Model, TensorType, infer_shapes};

use crate::{CompileError, ImportError};

/// Most bytes of a single value: what offsets in 32-bit code reach.
const VALUE_LIMIT: u64 = 4 << 30;
/// The same where addresses are 32 bits, of which a program has half or a little more to itself.
const VALUE_LIMIT_32: u64 = 2 << 30;
/// Most bytes of all values of a network together, in units of the largest single value: more than memory has to hold
/// at any time, since most values are gone when others are computed.
const VALUES: u64 = 16;

/// Checks that every value of `model`, and all of them together, are of a size that `target` can have.
pub(crate) fn check(model: &Model, target: &Target) -> Result<(), CompileError> {
    let types = infer_shapes(model).map_err(ImportError::from)?;
    let limit = if target.arch == Arch::Arm { VALUE_LIMIT_32 } else { VALUE_LIMIT };
    let mut sizes = Sizes { types: &types, limit, sum: 0, largest: None };
    sizes.graph(&model.proto().graph)
}

/// A value that is too large by itself, or the one that makes all of them too large.
struct Found {
    node: String,
    bytes: u128,
}

struct Sizes<'a> {
    types: &'a HashMap<String, TensorType>,
    limit: u64,
    sum: u128,
    largest: Option<Found>,
}

impl Sizes<'_> {
    fn graph(&mut self, graph: &GraphProto) -> Result<(), CompileError> {
        for input in &graph.input {
            self.value(&input.name, || format!("input `{}`", input.name))?;
        }
        for tensor in &graph.initializer {
            self.add(constant_bytes(tensor), || format!("constant `{}`", tensor.name))?;
        }
        for node in &graph.node {
            for attribute in &node.attribute {
                attribute.g.iter().chain(&attribute.graphs).try_for_each(|graph| self.graph(graph))?;
            }
            node.output.iter().try_for_each(|output| self.value(output, || describe(node)))?;
        }
        Ok(())
    }

    /// Values of unknown shape are left to the importer, which refuses them.
    fn value(&mut self, name: &str, node: impl Fn() -> String) -> Result<(), CompileError> {
        self.types.get(name).and_then(bytes).map_or(Ok(()), |bytes| self.add(bytes, node))
    }

    fn add(&mut self, bytes: u128, node: impl Fn() -> String) -> Result<(), CompileError> {
        if bytes > self.limit.into() {
            return Err(CompileError::ValueTooLarge { node: node(), bytes, limit: self.limit });
        }
        if self.largest.as_ref().is_none_or(|largest| largest.bytes < bytes) {
            self.largest = Some(Found { node: node(), bytes });
        }
        self.sum += bytes;
        let limit = VALUES * self.limit;
        if self.sum <= limit.into() {
            return Ok(());
        }
        let Found { node, bytes } = self.largest.take().unwrap_or_else(|| Found { node: node(), bytes });
        Err(CompileError::ValuesTooLarge { node, bytes, limit })
    }
}

fn describe(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
    format!("node `{}` ({})", name.map_or("", String::as_str), node.op_type)
}

fn constant_bytes(tensor: &TensorProto) -> u128 {
    let extents = tensor.dims.iter().map(|&extent| u128::try_from(extent).unwrap_or(0));
    product(extents, tensor.data_type)
}

/// Bytes of a value, if its shape is known.
fn bytes(ty: &TensorType) -> Option<u128> {
    let shape = ty.static_shape()?;
    Some(product(shape.into_iter().map(|extent| extent as u128), ty.element_type))
}

fn product(extents: impl Iterator<Item = u128> + Clone, element_type: i32) -> u128 {
    // A product that overflows on the way to a zero is a zero all the same.
    if extents.clone().any(|extent| extent == 0) {
        return 0;
    }
    extents.fold(element_bytes(element_type), u128::saturating_mul)
}

/// Bytes of an element in memory, by its number in ONNX; at least one, since the compiler packs nothing smaller.
fn element_bytes(element_type: i32) -> u128 {
    match element_type {
        2 | 3 | 9 | 17..=26 => 1,
        4 | 5 | 10 | 16 => 2,
        7 | 11 | 13 | 14 => 8,
        15 => 16,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use skipgate_onnx::proto::{ModelProto, OperatorSetIdProto, ValueInfoProto, tensor_shape_proto};

    use super::*;

    /// Tiles an input of `extent` bytes, as f32, so many times each.
    fn tiled(extent: i64, repeats: &[i64]) -> Model {
        let mut proto = ModelProto { ir_version: 8, ..ModelProto::default() };
        proto.opset_import.push(OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() });
        let mut graph = GraphProto { name: "g".to_owned(), ..GraphProto::default() };
        let mut input = ValueInfoProto { name: "x".to_owned(), ..ValueInfoProto::default() };
        let ty = input.type_.mut_or_insert_default().mut_tensor_type();
        ty.elem_type = 1;
        let mut dimension = tensor_shape_proto::Dimension::default();
        dimension.set_dim_value(extent);
        ty.shape.mut_or_insert_default().dim.push(dimension);
        graph.input.push(input);
        for (index, &times) in repeats.iter().enumerate() {
            graph.initializer.push(TensorProto {
                name: format!("times{index}"),
                dims: vec![1],
                data_type: 7,
                int64_data: vec![times],
                ..TensorProto::default()
            });
            graph.node.push(NodeProto {
                op_type: "Tile".to_owned(),
                input: vec!["x".to_owned(), format!("times{index}")],
                output: vec![format!("y{index}")],
                ..NodeProto::default()
            });
        }
        proto.graph = Some(graph).into();
        Model::from_proto(proto).unwrap()
    }

    fn error(model: &Model, target: &str) -> Option<String> {
        check(model, &Target::named(target).unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn a_value_of_gigabytes_is_refused_by_node_and_size() {
        let model = tiled(1024, &[1 << 30]);
        let expected =
            "node `y0` (Tile) has a result of 4096.0 GiB, more than the 4.0 GiB that a value may have";
        assert_eq!(error(&model, "x86-64-v3").as_deref(), Some(expected));
    }

    #[test]
    fn a_32_bit_target_takes_half() {
        let model = tiled(1024, &[(3 << 30) / 4096]);
        assert_eq!(error(&model, "x86-64-v3"), None);
        assert!(error(&model, "odroid-xu4").unwrap().contains("a result of 3.0 GiB, more than the 2.0 GiB"));
    }

    #[test]
    fn values_that_are_too_large_together_are_refused_by_the_largest() {
        let mut repeats = vec![(3 << 30) / 4096; 21];
        assert_eq!(error(&tiled(1024, &repeats), "x86-64-v3"), None);
        repeats.extend([(4 << 30) / 4096, (3 << 30) / 4096]);
        let text = error(&tiled(1024, &repeats), "x86-64-v3").unwrap();
        let expected =
            "all values together have more than 64.0 GiB; the largest is that of node `y21` (Tile), 4.0 GiB";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_size_that_overflows_is_too_large_unless_it_is_zero() {
        let huge = TensorType { element_type: 1, shape: vec![Some(usize::MAX); 64] };
        assert_eq!(bytes(&huge), Some(u128::MAX));
        let empty = TensorType { shape: [huge.shape.clone(), vec![Some(0)]].concat(), ..huge };
        assert_eq!(bytes(&empty), Some(0));
        assert_eq!(bytes(&TensorType { element_type: 1, shape: vec![None] }), None);
    }
}
