//! An inference request: from bytes to tensors.

use std::collections::HashSet;
use std::time::Duration;

use half::f16;
use serde::Deserialize;
use serde_json::value::RawValue;
use skipgate_core::{ElementType, Manifest, SkipMask, TensorSpec, Values};
use skipgate_runtime::{Choice, Request};

use crate::error::Refusal;
use crate::json_data;

/// Longest deadline, in milliseconds: an hour.
const MOST_DEADLINE_MS: f64 = 3_600_000.0;

/// What an inference request asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What is to run.
    pub request: Request,
    /// What the answer is to hold.
    pub asked: Asked,
}

/// What an answer is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What the client calls the request.
    pub id: Option<String>,
    /// The outputs, in this order.
    pub outputs: Vec<Wanted>,
}

/// An output that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its place among [`Manifest::outputs`].
    pub output: usize,
    /// Whether it is to be in the binary part of the answer.
    pub binary: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'b> {
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Vec<Input<'b>>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Parameters {
    config: Option<usize>,
    mask: Option<SkipMask>,
    deadline_ms: Option<f64>,
    #[serde(default)]
    binary_data_output: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input<'b> {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    #[serde(default)]
    parameters: InputParameters,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct InputParameters {
    binary_data_size: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: OutputParameters,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct OutputParameters {
    binary_data: Option<bool>,
}

/// Reads the request in `body` for the network of `manifest`. `header_length` is the text of the header
/// `Inference-Header-Content-Length`: how many bytes of the body are JSON, if binary tensors follow.
///
/// # Errors
///
/// [`Refusal`], with what was expected and found.
pub fn decode(body: &[u8], header_length: Option<&str>, manifest: &Manifest) -> Result<Decoded, Refusal> {
    let (json, mut binary) = parts(body, header_length)?;
    let body: Body = serde_json::from_slice(json).map_err(Refusal::Syntax)?;
    check_names(&body.inputs, manifest.inputs())?;
    let mut tensors = Vec::new();
    for input in &body.inputs {
        let spec = manifest.inputs().iter().find(|spec| spec.name == input.name);
        let spec = spec.ok_or_else(|| wrong_inputs(&body.inputs, manifest.inputs()))?;
        tensors.push((spec, input.values(spec, &mut binary)?));
    }
    if !binary.is_empty() {
        return Err(Refusal::Rest { found: binary.len() });
    }
    // In the order of the manifest; every one is there once.
    tensors.sort_by_key(|(spec, _)| manifest.inputs().iter().position(|other| other.name == spec.name));
    let request = Request {
        inputs: tensors.into_iter().map(|(_, values)| values).collect(),
        deadline: body.parameters.deadline()?,
        choice: body.parameters.choice()?,
    };
    let outputs = wanted(&body, manifest.outputs())?;
    Ok(Decoded { request, asked: Asked { id: body.id, outputs } })
}

/// The JSON and what follows it.
fn parts<'b>(body: &'b [u8], header_length: Option<&str>) -> Result<(&'b [u8], &'b [u8]), Refusal> {
    let Some(text) = header_length else { return Ok((body, &[])) };
    let length = text.trim().parse().ok();
    let parts = length.and_then(|length| body.split_at_checked(length));
    parts.ok_or_else(|| Refusal::HeaderLength { found: text.to_owned(), length: body.len() })
}

/// Fails unless every input is there once.
fn check_names(inputs: &[Input], specs: &[TensorSpec]) -> Result<(), Refusal> {
    let given: HashSet<_> = inputs.iter().map(|input| input.name.as_str()).collect();
    let complete = specs.iter().all(|spec| given.contains(spec.name.as_str()));
    if complete && inputs.len() == specs.len() { Ok(()) } else { Err(wrong_inputs(inputs, specs)) }
}

fn wrong_inputs(inputs: &[Input], specs: &[TensorSpec]) -> Refusal {
    Refusal::Inputs {
        expected: listed(specs.iter().map(|spec| spec.name.as_str())),
        found: listed(inputs.iter().map(|input| input.name.as_str())),
    }
}

/// Names for a message, which a client must not make long.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const MOST: usize = 400;
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let text = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain("...".chars()).collect() }
}

impl Input<'_> {
    /// The elements; those in binary are taken off the front of `binary`.
    fn values(&self, spec: &TensorSpec, binary: &mut &[u8]) -> Result<Values, Refusal> {
        self.check(spec)?;
        match (self.data, self.parameters.binary_data_size) {
            (Some(data), None) => json_data::parse(data, spec)
                .map_err(|source| Refusal::Elements { input: spec.clone(), source }),
            (None, Some(size)) => {
                let expected = spec.elements().unwrap_or_default() * spec.element_type.size();
                let wrong = |found| Refusal::BinarySize { input: spec.clone(), expected, found };
                if size != expected {
                    return Err(wrong(size));
                }
                let (bytes, rest) = binary.split_at_checked(size).ok_or_else(|| wrong(binary.len()))?;
                *binary = rest;
                from_bytes(bytes, spec)
            }
            _ => Err(Refusal::Data { input: self.name.clone() }),
        }
    }

    fn check(&self, spec: &TensorSpec) -> Result<(), Refusal> {
        let expected = datatype(spec.element_type);
        if self.datatype == expected && self.shape == spec.shape {
            return Ok(());
        }
        Err(Refusal::Tensor {
            input: spec.name.clone(),
            expected: format!("{expected} of shape {:?}", spec.shape),
            found: listed([format!("{} of shape {:?}", self.datatype, self.shape).as_str()].into_iter()),
        })
    }
}

impl Parameters {
    fn choice(&self) -> Result<Choice, Refusal> {
        match (self.config, &self.mask) {
            (None, None) => Ok(Choice::Controller),
            (Some(number), None) => Ok(Choice::Configuration(number)),
            (None, Some(mask)) => Ok(Choice::Mask(mask.clone())),
            (Some(_), Some(_)) => Err(Refusal::Choice),
        }
    }

    fn deadline(&self) -> Result<Option<Duration>, Refusal> {
        let Some(ms) = self.deadline_ms else { return Ok(None) };
        if ms > 0.0 && ms <= MOST_DEADLINE_MS {
            return Ok(Some(Duration::from_secs_f64(ms / 1e3)));
        }
        Err(Refusal::Deadline { found: ms, most: MOST_DEADLINE_MS })
    }
}

/// All outputs, unless some are named.
fn wanted(body: &Body, specs: &[TensorSpec]) -> Result<Vec<Wanted>, Refusal> {
    let binary = body.parameters.binary_data_output;
    if body.outputs.is_empty() {
        return Ok((0..specs.len()).map(|output| Wanted { output, binary }).collect());
    }
    let wrong = || Refusal::Outputs {
        expected: listed(specs.iter().map(|spec| spec.name.as_str())),
        found: listed(body.outputs.iter().map(|output| output.name.as_str())),
    };
    let mut wanted = Vec::<Wanted>::new();
    for Output { name, parameters } in &body.outputs {
        let output = specs.iter().position(|spec| spec.name == *name).ok_or_else(wrong)?;
        if wanted.iter().any(|other| other.output == output) {
            return Err(wrong());
        }
        wanted.push(Wanted { output, binary: parameters.binary_data.unwrap_or(binary) });
    }
    Ok(wanted)
}

/// What the protocol calls an element type.
pub(crate) fn datatype(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::F32 => "FP32",
        ElementType::F16 => "FP16",
        ElementType::I8 => "INT8",
        ElementType::U8 => "UINT8",
        ElementType::I32 => "INT32",
        ElementType::I64 => "INT64",
        ElementType::Bool => "BOOL",
    }
}

/// Elements from their bytes, which are little-endian and as many as `spec` has.
fn from_bytes(bytes: &[u8], spec: &TensorSpec) -> Result<Values, Refusal> {
    fn all<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
        let one = |chunk: &[u8]| from(chunk.try_into().expect("chunks have this size"));
        bytes.chunks_exact(N).map(one).collect()
    }
    Ok(match spec.element_type {
        ElementType::F32 => all(bytes, f32::from_le_bytes).into(),
        ElementType::F16 => all(bytes, f16::from_le_bytes).into(),
        ElementType::I8 => all(bytes, i8::from_le_bytes).into(),
        ElementType::U8 => bytes.to_vec().into(),
        ElementType::I32 => all(bytes, i32::from_le_bytes).into(),
        ElementType::I64 => all(bytes, i64::from_le_bytes).into(),
        ElementType::Bool => {
            if let Some(found) = bytes.iter().copied().find(|byte| *byte > 1) {
                return Err(Refusal::Truth { input: spec.clone(), found });
            }
            bytes.iter().map(|byte| *byte == 1).collect::<Vec<_>>().into()
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{TYPES, manifest};

    /// An input of two elements for each type.
    fn values() -> Vec<Values> {
        vec![
            vec![1.5f32, -2.0].into(),
            vec![f16::from_f32(0.5), f16::from_f32(3.0)].into(),
            vec![-1i8, 127].into(),
            vec![0u8, 255].into(),
            vec![-7i32, 8].into(),
            vec![i64::MIN, i64::MAX].into(),
            vec![true, false].into(),
        ]
    }

    /// A request with all inputs in JSON.
    pub(crate) fn request() -> Value {
        let data = [
            json!([1.5, -2]),
            json!([[0.5, 3]]),
            json!([-1, 127]),
            json!([0, 255]),
            json!([-7, 8]),
            json!([i64::MIN, i64::MAX]),
            json!([true, false]),
        ];
        let input = |(element_type, data): (ElementType, Value)| {
            let (name, datatype) = (element_type.name(), datatype(element_type));
            json!({"name": name, "shape": [1, 2], "datatype": datatype, "data": data})
        };
        json!({"inputs": TYPES.into_iter().zip(data).map(input).collect::<Vec<_>>()})
    }

    fn decoded(request: &Value) -> Result<Decoded, Refusal> {
        decode(request.to_string().as_bytes(), None, &manifest())
    }

    /// The reason why `request` is refused after `edit`.
    fn refused(edit: impl FnOnce(&mut Value)) -> String {
        let mut request = request();
        edit(&mut request);
        let refusal = decoded(&request).unwrap_err();
        assert_eq!(refusal.status(), 400);
        refusal.to_string()
    }

    #[test]
    fn every_element_type_is_read_from_json_in_any_order_of_the_inputs() {
        let mut request = request();
        assert_eq!(decoded(&request).unwrap().request.inputs, values());
        request["inputs"].as_array_mut().unwrap().reverse();
        assert_eq!(decoded(&request).unwrap().request.inputs, values());
    }

    /// The same with all inputs in binary, and the length of its JSON.
    fn binary_request() -> (Vec<u8>, usize) {
        let (mut request, mut bytes) = (request(), Vec::new());
        let inputs = request["inputs"].as_array_mut().unwrap();
        for (input, values) in inputs.iter_mut().zip(values()) {
            let before = bytes.len();
            crate::encode::write_bytes(values.elements(), &mut bytes);
            input.as_object_mut().unwrap().remove("data");
            input["parameters"] = json!({"binary_data_size": bytes.len() - before});
        }
        let mut body = request.to_string().into_bytes();
        let length = body.len();
        body.append(&mut bytes);
        (body, length)
    }

    #[test]
    fn every_element_type_is_read_from_binary_data() {
        let (body, length) = binary_request();
        let decoded = decode(&body, Some(&length.to_string()), &manifest()).unwrap();
        assert_eq!(decoded.request.inputs, values());
    }

    #[test]
    fn binary_data_that_does_not_fit_is_refused() {
        let (body, length) = binary_request();
        let refused =
            |body: &[u8], length: &str| decode(body, Some(length), &manifest()).unwrap_err().to_string();
        let length = length.to_string();
        assert!(refused(&body[..body.len() - 1], &length).contains("takes 2 bytes of binary data, found 1"));
        assert!(refused(&[&body[..], b"x"].concat(), &length).contains("1 bytes follow"));
        let mut no_truth = body.clone();
        *no_truth.last_mut().unwrap() = 2;
        assert!(refused(&no_truth, &length).contains("holds the byte 2"));
        for wrong in ["", "-1", "many", "99999999", "18446744073709551616"] {
            assert!(refused(&body, wrong).contains("must be a number up to the body's length"), "{wrong}");
        }
        assert!(refused(&body, "0").starts_with("the body is no inference request"));
    }

    #[test]
    fn a_request_may_choose_how_it_runs_and_what_it_gets() {
        let mut request = request();
        request["id"] = json!("seven");
        request["parameters"] = json!({"config": 3, "deadline_ms": 1.5, "binary_data_output": true});
        request["outputs"] = json!([{"name": "i8"}, {"name": "f32", "parameters": {"binary_data": false}}]);
        let Decoded { request: runs, asked } = decoded(&request).unwrap();
        assert_eq!(
            (runs.choice, runs.deadline),
            (Choice::Configuration(3), Some(Duration::from_micros(1500)))
        );
        let outputs = vec![Wanted { output: 2, binary: true }, Wanted { output: 0, binary: false }];
        assert_eq!(asked, Asked { id: Some("seven".to_owned()), outputs });
        request["parameters"] = json!({"mask": "01"});
        let mask = Choice::Mask("01".parse().unwrap());
        assert_eq!(decoded(&request).unwrap().request.choice, mask);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_was_expected() {
        type Edit = fn(&mut Value);
        let cases: [(Edit, &str); 15] = [
            (|r| r["inputs"][0]["name"] = json!("other"), "takes the inputs `f32`, `f16`"),
            (|r| r["inputs"][0]["name"] = json!("f16"), "found `f16`, `f16`, `i8`"),
            (|r| r["inputs"] = json!([]), "found none"),
            (
                |r| r["inputs"][0]["shape"] = json!([2]),
                "input `f32` is FP32 of shape [1, 2], found `FP32 of shape [2]`",
            ),
            (|r| r["inputs"][0]["datatype"] = json!("FP64"), "found `FP64 of shape [1, 2]`"),
            (|r| r["inputs"][0]["data"] = json!([1]), "expected 2 elements in one list"),
            (
                |r| r["inputs"][3]["data"] = json!([0, 256]),
                "expected a whole number from 0 to 255, found 256",
            ),
            (|r| r["inputs"][0]["parameters"] = json!({"binary_data_size": 8}), "needs either `data` or"),
            (|r| r["parameters"] = json!({"config": 1, "mask": "11"}), "exclude each other"),
            (|r| r["parameters"] = json!({"mask": "1x"}), "found `x` at position 1"),
            (|r| r["parameters"] = json!({"deadline_ms": 0}), "above 0 and up to 3600000, found 0"),
            (|r| r["parameters"] = json!({"deadline_ms": 1e300}), "found 1"),
            (|r| r["outputs"] = json!([{"name": "logits"}]), "has the outputs `f32`, `f16`"),
            (|r| r["outputs"] = json!([{"name": "i8"}, {"name": "i8"}]), "found `i8`, `i8`"),
            (|r| r["priority"] = json!(1), "unknown field `priority`"),
        ];
        for (edit, expected) in cases {
            let message = refused(edit);
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn names_that_a_client_made_up_do_not_make_a_message_long() {
        assert!(refused(|r| r["inputs"][0]["name"] = json!("x".repeat(10_000))).len() < 1000);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in any::<Vec<u8>>(), length in proptest::option::of(0..40usize)) {
            let length = length.map(|length| length.to_string());
            prop_assert!(decode(&body, length.as_deref(), &manifest()).is_err());
        }

        /// Most of what is random is no JSON; this is, nearly.
        #[test]
        fn a_changed_request_is_read_or_refused_by_the_client_s_fault(
            place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), binary in any::<bool>(),
        ) {
            let (mut body, length) = if binary { binary_request() } else { (request().to_string().into_bytes(), 0) };
            let place = place.index(body.len());
            body[place] = byte;
            if byte % 2 == 0 {
                body.truncate(cut.index(body.len()));
            }
            let length = binary.then(|| length.to_string());
            if let Err(refusal) = decode(&body, length.as_deref(), &manifest()) {
                prop_assert!(refusal.status().is_client_error(), "{refusal}");
            }
        }
    }
}
