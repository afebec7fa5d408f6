//! Images. A decoder that panics is caught, and must not get past that.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use skipgate_core::Manifest;
use skipgate_data::{hide_caught_panics, load_image};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    hide_caught_panics();
    TempDir::new().expect("a temporary folder")
});
static MANIFEST: LazyLock<Manifest> =
    LazyLock::new(|| Manifest::from_json(include_str!("manifest.json")).expect("it is a manifest"));

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("image");
    fs::write(&path, bytes).expect("it can be written");
    let _ = load_image(&path, &MANIFEST);
});
