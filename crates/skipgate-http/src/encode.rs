//! An answer: from tensors to bytes; and what is told of a model.

use half::f16;
use serde::Serialize;
use serde_json::{Value, json};
use skipgate_core::{Elements, Manifest, SkipMask, TensorSpec};
use skipgate_runtime::Reply;

use crate::decode::{Asked, datatype};
use crate::error::{Error, Refusal};

/// The only version of every model.
pub(crate) const VERSION: &str = "1";

/// A model as clients see it.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name in paths.
    name: String,
    manifest: Manifest,
    /// The masks of its configurations.
    configurations: Vec<SkipMask>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// JSON, and binary tensors behind it.
    pub body: Vec<u8>,
    /// Bytes of the JSON, if anything follows.
    pub header_length: Option<usize>,
}

#[derive(Serialize)]
struct Answer<'a> {
    model_name: &'a str,
    model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    parameters: Parameters,
    outputs: Vec<Output<'a>>,
}

/// What was used, and how long it took.
#[derive(Serialize)]
struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<usize>,
    mask: String,
    latency_us: f64,
    queue_us: f64,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

/// Elements in one list.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    F32(&'a [f32]),
    F16(Vec<f32>),
    I8(&'a [i8]),
    U8(&'a [u8]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    Bool(&'a [bool]),
}

impl Model {
    /// A network under the name `name`, with the masks of its configurations.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] for a name that would have to be written otherwise in a path.
    pub fn new(name: &str, manifest: Manifest, configurations: Vec<SkipMask>) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || matches!(name, "." | "..") || !name.bytes().all(allowed) {
            return Err(Error::Name { found: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), manifest, configurations })
    }

    /// Its name in paths.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the compiler tells about it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What clients are told of it.
    pub(crate) fn metadata(&self) -> Value {
        let tensor = |spec: &TensorSpec| json!({"name": spec.name, "datatype": datatype(spec.element_type), "shape": spec.shape});
        json!({
            "name": self.name,
            "versions": [VERSION],
            "platform": "skipgate_iree",
            "inputs": self.manifest.inputs().iter().map(tensor).collect::<Vec<_>>(),
            "outputs": self.manifest.outputs().iter().map(tensor).collect::<Vec<_>>(),
            "parameters": {"gates": self.manifest.gates.len(), "configurations": self.configurations},
        })
    }
}

/// Writes the answer to what is `asked`.
///
/// # Errors
///
/// [`Refusal::NotFinite`] for an output in JSON that JSON cannot say.
#[expect(clippy::missing_panics_doc, reason = "numbers and text have a JSON form")]
pub fn encode(asked: &Asked, reply: &Reply, model: &Model) -> Result<Encoded, Refusal> {
    let specs = model.manifest.outputs();
    let (mut outputs, mut binary) = (Vec::new(), Vec::new());
    for wanted in &asked.outputs {
        let (spec, elements) = (&specs[wanted.output], reply.outputs[wanted.output].elements());
        let (parameters, data) = if wanted.binary {
            let before = binary.len();
            write_bytes(elements, &mut binary);
            (Some(BinarySize { binary_data_size: binary.len() - before }), None)
        } else {
            check_finite(&spec.name, elements)?;
            (None, Some(Data::from(elements)))
        };
        let (name, datatype) = (spec.name.as_str(), datatype(spec.element_type));
        outputs.push(Output { name, datatype, shape: &spec.shape, parameters, data });
    }
    let us = |from, to: std::time::Duration| to.saturating_sub(from).as_secs_f64() * 1e6;
    let answer = Answer {
        model_name: &model.name,
        model_version: VERSION,
        id: asked.id.as_deref(),
        parameters: Parameters {
            config: reply.configuration,
            mask: reply.mask.to_string(),
            latency_us: us(reply.arrived, reply.ended),
            queue_us: us(reply.arrived, reply.began),
        },
        outputs,
    };
    let mut body = serde_json::to_vec(&answer).expect("numbers and text have a JSON form");
    let header_length = asked.outputs.iter().any(|wanted| wanted.binary).then_some(body.len());
    body.append(&mut binary);
    Ok(Encoded { body, header_length })
}

fn check_finite(output: &str, elements: Elements<'_>) -> Result<(), Refusal> {
    let not_finite = match elements {
        Elements::F32(elements) => elements.iter().position(|element| !element.is_finite()),
        Elements::F16(elements) => elements.iter().position(|element| !element.is_finite()),
        _ => None,
    };
    let Some(place) = not_finite else { return Ok(()) };
    let found = elements.part(place, 1).map_or(f64::NAN, |element| element.to_f64()[0]);
    Err(Refusal::NotFinite { output: output.to_owned(), found, place })
}

impl<'a> From<Elements<'a>> for Data<'a> {
    fn from(elements: Elements<'a>) -> Self {
        match elements {
            Elements::F32(elements) => Self::F32(elements),
            Elements::F16(elements) => Self::F16(elements.iter().copied().map(f16::to_f32).collect()),
            Elements::I8(elements) => Self::I8(elements),
            Elements::U8(elements) => Self::U8(elements),
            Elements::I32(elements) => Self::I32(elements),
            Elements::I64(elements) => Self::I64(elements),
            Elements::Bool(elements) => Self::Bool(elements),
        }
    }
}

/// Adds the bytes of all elements, little-endian.
pub(crate) fn write_bytes(elements: Elements<'_>, bytes: &mut Vec<u8>) {
    match elements {
        Elements::F32(elements) => bytes.extend(elements.iter().flat_map(|element| element.to_le_bytes())),
        Elements::F16(elements) => bytes.extend(elements.iter().flat_map(|element| element.to_le_bytes())),
        Elements::I8(elements) => bytes.extend(elements.iter().flat_map(|element| element.to_le_bytes())),
        Elements::U8(elements) => bytes.extend_from_slice(elements),
        Elements::I32(elements) => bytes.extend(elements.iter().flat_map(|element| element.to_le_bytes())),
        Elements::I64(elements) => bytes.extend(elements.iter().flat_map(|element| element.to_le_bytes())),
        Elements::Bool(elements) => bytes.extend(elements.iter().map(|element| u8::from(*element))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skipgate_core::Values;

    use super::*;
    use crate::decode::Wanted;
    use crate::fixture::manifest;

    fn model() -> Model {
        Model::new("net", manifest(), vec!["11".parse().unwrap()]).unwrap()
    }

    fn reply(first: f32) -> Reply {
        let zeros = |spec: &TensorSpec| Values::zeros(spec.element_type, 2);
        let mut outputs: Vec<_> = manifest().outputs().iter().map(zeros).collect();
        outputs[0] = vec![first, 0.1].into();
        let at = Duration::from_micros;
        let mask = "01".parse().unwrap();
        Reply { outputs, mask, configuration: None, arrived: at(10), began: at(15), ended: at(110) }
    }

    fn asked(outputs: &[(usize, bool)]) -> Asked {
        let wanted = |&(output, binary): &(usize, bool)| Wanted { output, binary };
        Asked { id: Some("7".to_owned()), outputs: outputs.iter().map(wanted).collect() }
    }

    #[test]
    fn an_answer_says_what_was_used_and_holds_what_was_asked_for() {
        let Encoded { body, header_length } =
            encode(&asked(&[(6, false), (0, false)]), &reply(1.5), &model()).unwrap();
        assert_eq!(header_length, None);
        let expected = json!({
            "model_name": "net", "model_version": "1", "id": "7",
            "parameters": {"mask": "01", "latency_us": 100.0, "queue_us": 5.0},
            "outputs": [
                {"name": "bool", "datatype": "BOOL", "shape": [1, 2], "data": [false, false]},
                {"name": "f32", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 0.1]},
            ],
        });
        let text = String::from_utf8(body).unwrap();
        assert_eq!(text.parse::<Value>().unwrap(), expected);
        assert!(text.contains("[1.5,0.1]"), "the shortest number that is the same in FP32: {text}");
    }

    #[test]
    fn binary_tensors_follow_the_json_in_their_order() {
        let Encoded { body, header_length } =
            encode(&asked(&[(2, true), (0, true)]), &reply(1.5), &model()).unwrap();
        let (json, bytes) = body.split_at(header_length.unwrap());
        let json: Value = serde_json::from_slice(json).unwrap();
        let size = |output: usize| json["outputs"][output]["parameters"]["binary_data_size"].as_u64();
        assert_eq!((size(0), size(1)), (Some(2), Some(8)));
        assert_eq!(bytes, [&[0, 0][..], &1.5f32.to_le_bytes(), &0.1f32.to_le_bytes()].concat());
    }

    #[test]
    fn what_json_cannot_say_is_left_to_binary_data() {
        for number in [f32::NAN, f32::INFINITY] {
            let refusal = encode(&asked(&[(0, false)]), &reply(number), &model()).unwrap_err();
            assert!(refusal.to_string().contains("at place 0, which JSON cannot say"), "{refusal}");
            encode(&asked(&[(0, true)]), &reply(number), &model()).unwrap();
        }
    }

    #[test]
    fn a_name_that_cannot_stand_in_a_path_is_refused() {
        for name in ["", ".", "..", "a/b", "a b", "ä", "a%20b"] {
            let error = Model::new(name, manifest(), vec![]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{name}` cannot be the name")), "{error}");
        }
    }
}
