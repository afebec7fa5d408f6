//! The files of an artifact: manifest, front, dispatches. The first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skipgate_core::{Dispatch, Front, Manifest};

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let text = str::from_utf8(rest).unwrap_or_default();
    match which % 3 {
        0 => {
            if let Ok(manifest) = Manifest::from_json(text) {
                let _ = (manifest.inputs(), manifest.mask(), manifest.image(), manifest.logits());
                assert_eq!(Manifest::from_json(&manifest.to_json()).expect("it was read before"), manifest);
            }
        }
        1 => {
            if let Ok(front) = Front::from_json(text) {
                assert_eq!(Front::from_json(&front.to_json()).expect("it was read before"), front);
            }
        }
        _ => {
            if let Ok(dispatches) = Dispatch::from_json(text) {
                Dispatch::from_json(&Dispatch::to_json(&dispatches)).expect("it was read before");
            }
        }
    }
});
