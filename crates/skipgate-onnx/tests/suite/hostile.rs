//! Files that were damaged or made to do harm: errors, never a crash.

use proptest::prelude::*;
use skipgate_onnx::{Error, GateSelection, Model, find_blocks, gate, infer_shapes, remove_blocks};

use crate::net::small_resnet;

/// Everything one can do with a file, as far as it goes.
fn use_up(bytes: &[u8]) -> Result<(), Error> {
    let model = Model::from_bytes(bytes)?;
    infer_shapes(&model)?;
    for block in find_blocks(&model)? {
        if block.verdict.is_skippable() {
            remove_blocks(&model, &[&block.name])?;
        }
    }
    gate(&model, &GateSelection { gate_first: true, ..GateSelection::default() })?.to_bytes().map(drop)
}

fn sound_file() -> Vec<u8> {
    let mut proto = small_resnet().proto();
    // The weights are most of the bytes and the least interesting ones.
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        tensor.float_data.fill(0.0);
    }
    Model::from_proto(proto).unwrap().to_bytes().unwrap()
}

#[test]
fn a_sound_file_goes_all_the_way() {
    use_up(&sound_file()).unwrap();
}

#[test]
fn a_truncated_file_is_an_error_at_every_length() {
    let bytes = sound_file();
    for length in 0..bytes.len() {
        // The opset comes last: no prefix is a whole model.
        assert!(use_up(&bytes[..length]).is_err(), "the first {length} of {} bytes pass", bytes.len());
    }
}

#[test]
fn nesting_without_end_is_an_error() {
    // Graph 7 of the model; attribute 6 (graph) of attribute 5 of node 1 of the graph, again and again.
    let mut bytes: Vec<u8> = Vec::new();
    for level in 0..4000 {
        let field = if level == 3999 { 7u8 } else { [6, 5, 1][level % 3] };
        let mut outer = vec![field << 3 | 2];
        protobuf::CodedOutputStream::vec(&mut outer)
            .write_raw_varint32(u32::try_from(bytes.len()).unwrap())
            .unwrap();
        outer.append(&mut bytes);
        bytes = outer;
    }
    assert!(use_up(&bytes).is_err());
    let groups = vec![15 << 3 | 3; 1 << 20];
    assert!(use_up(&groups).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_do_not_crash(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes = sound_file();
        for (place, value) in damage {
            let index = place.index(bytes.len());
            bytes[index] = value;
        }
        let _ = use_up(&bytes);
    }
}
