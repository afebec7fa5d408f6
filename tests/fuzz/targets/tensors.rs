//! NumPy's files: `.npy`, and `.npz` if it begins like a zip archive.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use skipgate_core::ElementType;
use skipgate_data::tensor_file::{read_npy, read_npz};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a temporary folder"));

fuzz_target!(|bytes: &[u8]| {
    let is_archive = bytes.starts_with(b"PK");
    let path: PathBuf = FOLDER.path().join(if is_archive { "x.npz" } else { "x.npy" });
    fs::write(&path, bytes).expect("it can be written");
    for element_type in [ElementType::F32, ElementType::Bool, ElementType::I64] {
        if is_archive {
            let _ = read_npz(&path, &[("x", element_type)]);
        } else {
            let _ = read_npy(&path, element_type);
        }
    }
});
