//! One case in its files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use half::f16;
use protobuf::Message as _;
use serde::Deserialize;
use skipgate_core::{Elements, Values};
use skipgate_onnx::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto, type_proto};
use skipgate_onnx::{element_type, tensor_bytes};

/// A model with some inputs and what it makes of them.
pub(super) struct Case {
    pub(super) proto: ModelProto,
    pub(super) runs: Vec<Run>,
    pub(super) tolerance: Tolerance,
}

/// The inputs and outputs of one run, in the order of the graph's.
pub(super) struct Run {
    pub(super) inputs: Vec<TensorProto>,
    pub(super) outputs: Vec<Tensor>,
}

/// A tensor of the case.
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

/// Two units in the last place of 16-bit floats.
const HALF: f64 = 1.0 / 512.0;

/// What the expected values are off by themselves where large ones cancel out: two units in the last place of the largest.
const ROUNDING: f64 = 2.0 * f32::EPSILON as f64;
/// The same at most: a single huge value must not excuse the others.
const MOST_ROUNDING: f64 = 1e-4;

/// How far floats may be off.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Tolerance {
    rtol: f64,
    atol: f64,
}

/// Reads the model of the case in `dir`.
pub(super) fn model(dir: &Path) -> Result<ModelProto> {
    Ok(ModelProto::parse_from_bytes(&fs_err::read(dir.join("model.onnx"))?)?)
}

/// Why a case with this graph cannot be run, if an input or output is of a kind that no compiled network has.
pub(super) fn out_of_scope(graph: &GraphProto) -> Option<String> {
    inputs(graph).chain(&graph.output).find_map(|info| match info.type_.value.as_ref() {
        Some(type_proto::Value::TensorType(tensor)) => {
            let ty = tensor.elem_type;
            (!IN_SCOPE.contains(&ty)).then(|| format!("elements of type {}", type_name(ty)))
        }
        _ => Some("a sequence, an optional or a map".to_owned()),
    })
}

/// The inputs of `graph` that have no default value: those that a case has data for.
pub(super) fn inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    let is_constant = |info: &ValueInfoProto| graph.initializer.iter().any(|tensor| tensor.name == info.name);
    graph.input.iter().filter(move |info| !is_constant(info))
}

/// Element types that cross the interface of a compiled network.
const IN_SCOPE: [i32; 7] = [
    element_type::FLOAT,
    element_type::FLOAT16,
    element_type::INT8,
    element_type::UINT8,
    element_type::INT32,
    element_type::INT64,
    element_type::BOOL,
];

fn type_name(ty: i32) -> String {
    let name = match ty {
        element_type::UINT16 => "uint16",
        element_type::INT16 => "int16",
        element_type::STRING => "string",
        element_type::DOUBLE => "double",
        element_type::UINT32 => "uint32",
        element_type::UINT64 => "uint64",
        14 | 15 => "complex",
        element_type::BFLOAT16 => "bfloat16",
        17..=20 | 24 => "float8",
        21 | 22 => "4-bit integer",
        23 => "float4",
        25 | 26 => "2-bit integer",
        _ => return ty.to_string(),
    };
    name.to_owned()
}

impl Case {
    /// Reads the data of the case in `dir`, whose model is `proto`.
    pub(super) fn read(dir: &Path, proto: ModelProto) -> Result<Self> {
        let tolerance = serde_json::from_str(&fs_err::read_to_string(dir.join("data.json"))?)?;
        let numbered = (0..).map(|number| dir.join(format!("test_data_set_{number}")));
        let runs = numbered.take_while(|path| path.is_dir()).map(|path| Run::read(&path));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        ensure!(!runs.is_empty(), "the case has no data");
        Ok(Self { proto, runs, tolerance })
    }
}

impl Run {
    fn read(dir: &Path) -> Result<Self> {
        let read = |what: &str| {
            let numbered = (0..).map(|number| dir.join(format!("{what}_{number}.pb")));
            let files = numbered.take_while(|path| path.is_file());
            files.map(|path| tensor_proto(&path)).collect::<Result<Vec<_>>>()
        };
        let outputs = read("output")?.iter().map(Tensor::of).collect::<Result<_>>()?;
        Ok(Self { inputs: read("input")?, outputs })
    }
}

fn tensor_proto(path: &PathBuf) -> Result<TensorProto> {
    TensorProto::parse_from_bytes(&fs_err::read(path)?).with_context(|| path.display().to_string())
}

impl Tensor {
    /// The values of `tensor`.
    pub(super) fn of(tensor: &TensorProto) -> Result<Self> {
        let bytes = tensor_bytes(tensor)?;
        let quads = || bytes.chunks_exact(4).map(|chunk| chunk.try_into().unwrap_or_default());
        let values = match tensor.data_type {
            element_type::FLOAT => quads().map(f32::from_le_bytes).collect::<Vec<_>>().into(),
            element_type::INT32 => quads().map(i32::from_le_bytes).collect::<Vec<_>>().into(),
            element_type::FLOAT16 => {
                let pairs = bytes.chunks_exact(2).map(|chunk| chunk.try_into().unwrap_or_default());
                pairs.map(f16::from_le_bytes).collect::<Vec<_>>().into()
            }
            element_type::INT64 => {
                let octets = bytes.chunks_exact(8).map(|chunk| chunk.try_into().unwrap_or_default());
                octets.map(i64::from_le_bytes).collect::<Vec<_>>().into()
            }
            element_type::INT8 => {
                bytes.iter().map(|&byte| i8::from_le_bytes([byte])).collect::<Vec<_>>().into()
            }
            element_type::UINT8 => bytes.to_vec().into(),
            element_type::BOOL => bytes.iter().map(|&byte| byte != 0).collect::<Vec<_>>().into(),
            other => anyhow::bail!("elements of type {}", type_name(other)),
        };
        let shape = tensor.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>()?;
        Ok(Self { shape, values })
    }
}

impl Tolerance {
    /// Where `found` differs from `expected` by more than this, in words.
    pub(super) fn difference(self, found: &Values, expected: &Values) -> Option<String> {
        let (found, expected) = (found.elements(), expected.elements());
        if found.element_type() != expected.element_type() {
            return Some(format!("{} instead of {}", found.element_type(), expected.element_type()));
        }
        if found.len() != expected.len() {
            return Some(format!("{} elements instead of {}", found.len(), expected.len()));
        }
        if !matches!(expected, Elements::F32(_) | Elements::F16(_)) {
            // Wide integers are not what floats can tell apart.
            let same = |place: &usize| found.part(*place, 1) == expected.part(*place, 1);
            let element = (0..expected.len()).find(|place| !same(place))?;
            let at = |elements: Elements<'_>| elements.to_f64()[element];
            return Some(format!("{} instead of {} at element {element}", at(found), at(expected)));
        }
        // Two units in the last place, as ONNX's own runner has it for its other 16-bit floats.
        let rtol = if matches!(expected, Elements::F16(_)) { self.rtol.max(HALF) } else { self.rtol };
        let expected_values = expected.to_f64();
        let largest =
            expected_values.iter().filter(|value| value.is_finite()).fold(0f64, |a, b| a.max(b.abs()));
        let allowed = Self { rtol, atol: self.atol.max((ROUNDING * largest).min(MOST_ROUNDING)) };
        let pairs = found.to_f64().into_iter().zip(expected_values).enumerate();
        let mut off = pairs.filter(|(_, (found, expected))| !allowed.holds(*found, *expected));
        let (element, (found, expected)) = off.next()?;
        Some(format!("{found} instead of {expected} at element {element} and {} others", off.count()))
    }

    /// As `numpy.testing.assert_allclose` has it: what is no number equals itself.
    fn holds(self, found: f64, expected: f64) -> bool {
        if found.is_nan() || expected.is_nan() {
            return found.is_nan() && expected.is_nan();
        }
        if found.is_infinite() || expected.is_infinite() {
            return found.total_cmp(&expected).is_eq();
        }
        (found - expected).abs() <= self.atol + self.rtol * expected.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Tolerance = Tolerance { rtol: 1e-3, atol: 1e-7 };

    fn difference(found: impl Into<Values>, expected: impl Into<Values>) -> Option<String> {
        USUAL.difference(&found.into(), &expected.into())
    }

    #[test]
    fn floats_may_be_off_by_rounding_and_integers_may_not() {
        assert_eq!(difference(vec![1.0f32, f32::NAN], vec![1.0009f32, f32::NAN]), None);
        let off = difference(vec![0.0f32, 1.0, f32::INFINITY], vec![0.0f32, 1.1, f32::MAX]).unwrap();
        assert!(off.starts_with("1 instead of 1.1") && off.ends_with("at element 1 and 1 others"), "{off}");
        assert_eq!(difference(vec![7i64, 1 << 60], vec![7i64, 1 << 60]), None);
        let off = difference(vec![1000i32, 3], vec![1000i32, 4]).unwrap();
        assert_eq!(off, "3 instead of 4 at element 1");
        assert_eq!(difference(vec![true], vec![1u8]).unwrap(), "bool instead of u8");
        assert_eq!(difference(vec![1u8], vec![1u8, 1]).unwrap(), "1 elements instead of 2");
    }

    #[test]
    fn what_large_numbers_leave_of_each_other_is_nothing() {
        assert_eq!(difference(vec![0.0f32, 100.0], vec![1.9e-6f32, 100.0]), None);
        assert!(difference(vec![0.0f32, 1.0], vec![1.9e-6f32, 1.0]).is_some());
    }

    #[test]
    fn large_integers_that_differ_in_the_last_place_differ() {
        assert!(difference(vec![1i64 << 60], vec![(1i64 << 60) + 1]).is_some());
    }
}
