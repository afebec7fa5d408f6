//! An ONNX file: reading, shapes, blocks, gating, writing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skipgate_onnx::{Error, GateSelection, Model, find_blocks, gate, infer_shapes, remove_blocks};

fn use_up(bytes: &[u8]) -> Result<(), Error> {
    let model = Model::from_bytes(bytes)?;
    infer_shapes(&model)?;
    for block in find_blocks(&model)? {
        if block.verdict.is_skippable() {
            remove_blocks(&model, &[&block.name])?;
        }
    }
    let gated = gate(&model, &GateSelection { gate_first: true, ..GateSelection::default() })?;
    let written = gated.to_bytes()?;
    let read = Model::from_bytes(&written).expect("what was written can be read");
    assert!(read.to_bytes()? == written, "a model that is read and written changes");
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = use_up(bytes);
});
