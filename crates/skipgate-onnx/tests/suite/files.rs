//! Reading and writing files.

use std::error::Error as _;

use protobuf::Message;
use skipgate_core::{Hint, Preprocessing};
use skipgate_onnx::proto::{ModelProto, StringStringEntryProto, TensorProto};
use skipgate_onnx::{CLASS_NAMES_KEY, Error, GateSelection, Model, PREPROCESSING_KEY, gate};

use crate::net::small_resnet;

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into(), ..StringStringEntryProto::default() }
}

#[test]
fn what_is_not_understood_survives_gating() {
    let mut proto = small_resnet().proto();
    proto.metadata_props.push(entry("someone.else", "42"));
    proto.special_fields.mut_unknown_fields().add_length_delimited(2, b"producer".to_vec());
    let graph = proto.graph.as_mut().unwrap();
    graph.special_fields.mut_unknown_fields().add_length_delimited(14, b"quantisation".to_vec());
    graph.node[1].special_fields.mut_unknown_fields().add_length_delimited(6, b"doc".to_vec());
    graph.node[1].domain = "ai.onnx".into();
    let bytes =
        gate(&Model::from_proto(proto).unwrap(), &GateSelection::default()).unwrap().to_bytes().unwrap();
    let gated = Model::from_bytes(&bytes).unwrap();
    let contains = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(contains(b"producer") && contains(b"quantisation") && contains(b"doc"));
    assert!(gated.proto().metadata_props.contains(&entry("someone.else", "42")));
    assert_eq!(gated.proto().graph.node.iter().filter(|node| node.domain == "ai.onnx").count(), 1);
}

#[test]
fn a_saved_model_loads_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let model = small_resnet().model();
    model.save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model);
    assert_eq!(fs_err::read(&path).unwrap(), model.to_bytes().unwrap());
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "a temporary file stayed behind");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let error = small_resnet().model().save("/nonexistent/model.onnx".as_ref()).unwrap_err();
    assert!(matches!(error, Error::Io(_)));
    assert!(error.to_string().contains("/nonexistent/model.onnx"), "{error}");
}

#[test]
fn external_data_is_brought_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut proto = small_resnet().proto();
    let tensor = &mut proto.graph.as_mut().unwrap().initializer[0];
    let values = std::mem::take(&mut tensor.float_data);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs_err::write(folder.path().join("weights.bin"), &bytes).unwrap();
    tensor.data_location = skipgate_onnx::proto::tensor_proto::DataLocation::EXTERNAL.into();
    tensor.external_data = vec![entry("location", "weights.bin")];
    let path = folder.path().join("model.onnx");
    fs_err::write(&path, proto.write_to_bytes().unwrap()).unwrap();
    let model = Model::load(&path).unwrap();
    assert_eq!(model.proto().graph.initializer[0].raw_data, bytes);
    let error = Model::from_proto(proto).unwrap_err();
    assert!(error.to_string().contains("data is in another file"), "{error}");
}

#[test]
fn metadata_is_read_as_json() {
    let mut proto = small_resnet().proto();
    let json = r#"{"color":"gray","resize":"bilinear","mean":[0.5],"std":[0.25]}"#;
    proto.metadata_props = vec![entry(PREPROCESSING_KEY, json), entry(CLASS_NAMES_KEY, r#"["zero","one"]"#)];
    let model = Model::from_proto(proto.clone()).unwrap();
    assert_eq!(model.preprocessing().unwrap().unwrap().std, [0.25]);
    assert_eq!(model.class_names().unwrap(), ["zero", "one"]);
    assert!(model.gates().unwrap().is_empty());
    let other = Preprocessing { std: vec![0.5], ..model.preprocessing().unwrap().unwrap() };
    let changed = model.with_preprocessing(&other).unwrap().with_class_names(&["one".to_owned()]).unwrap();
    assert_eq!(changed.preprocessing().unwrap(), Some(other));
    assert_eq!(changed.class_names().unwrap(), ["one"]);
    proto.metadata_props = vec![entry(CLASS_NAMES_KEY, "zero, one")];
    let error = Model::from_proto(proto).unwrap().class_names().unwrap_err();
    assert!(
        error.to_string().starts_with("the metadata entry `skipgate.class_names` is malformed"),
        "{error}"
    );
}

#[test]
fn an_error_in_a_file_names_the_file_and_then_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.onnx");
    fs_err::write(&path, b"not a model").unwrap();
    let error = Model::load(&path).unwrap_err();
    assert!(error.to_string().ends_with("bad.onnx` is not a usable ONNX model"), "{error}");
    assert!(error.source().unwrap().to_string().starts_with("it is not an ONNX file"));
    assert!(error.hint().unwrap().starts_with("export the model again"));
    let missing = Model::load(&folder.path().join("missing.onnx")).unwrap_err();
    assert!(missing.to_string().contains("missing.onnx"), "{missing}");
}

/// What [`Model`] refuses after `edit` of a sound model.
fn refusal(edit: impl FnOnce(&mut ModelProto)) -> String {
    let mut proto = small_resnet().proto();
    edit(&mut proto);
    Model::from_proto(proto).unwrap_err().to_string()
}

#[test]
fn versions_out_of_range_are_refused() {
    assert_eq!(refusal(|m| m.ir_version = 99), "it has ONNX IR version 99, expected 3 to 14");
    assert_eq!(refusal(|m| m.opset_import[0].version = 5), "it uses operator set 5, expected 6 to 28");
    assert_eq!(refusal(|m| m.opset_import.clear()), "it uses operator set <none>, expected 6 to 28");
    assert!(refusal(|m| m.graph.clear()).contains("no graph"));
}

#[test]
fn names_must_be_assigned_once_and_before_they_are_read() {
    let undefined = refusal(|m| m.graph.as_mut().unwrap().node[1].input[0] = "ghost".into());
    assert!(undefined.ends_with("(Relu) reads `ghost`, which nothing before it defines"), "{undefined}");
    let twice = refusal(|m| {
        let nodes = &mut m.graph.as_mut().unwrap().node;
        nodes[1].output = nodes[0].output.clone();
    });
    assert!(twice.contains("is defined twice"), "{twice}");
    let cycle = refusal(|m| {
        let nodes = &mut m.graph.as_mut().unwrap().node;
        nodes[0].input[0] = nodes[1].output[0].clone();
    });
    assert!(cycle.contains("which nothing before it defines"), "{cycle}");
    let output = refusal(|m| m.graph.as_mut().unwrap().output[0].name = "ghost".into());
    assert!(output.starts_with("the graph output `ghost` reads"), "{output}");
    let weight = |m: &mut ModelProto| -> TensorProto { m.graph.initializer[0].clone() };
    let tensor = refusal(|m| {
        let copy = weight(m);
        m.graph.as_mut().unwrap().initializer.push(copy);
    });
    assert!(tensor.contains("`weight_1` is defined twice"), "{tensor}");
}

#[test]
fn tensors_must_fill_their_shapes() {
    let short = refusal(|m| m.graph.as_mut().unwrap().initializer[0].float_data.truncate(107));
    assert_eq!(short, "tensor `weight_1`: its shape takes 108 elements, found 107");
    let dims = |dims: &[i64]| refusal(|m| m.graph.as_mut().unwrap().initializer[0].dims = dims.to_vec());
    assert!(dims(&[4, -3]).contains("dimension 1 is -3"));
    assert!(dims(&[i64::MAX, i64::MAX]).contains("too large"));
    assert!(dims(&[1; 100]).contains("100 dimensions"));
}
