//! Residual networks that are no classifiers: detection, segmentation, pyramids, poses, sounds, super-resolution.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use support::{python, scratch, skipgate, succeed};

/// Network, its gates by default, and its outputs.
const NETWORKS: [(&str, usize, usize); 6] = [
    ("detector", 4, 3),
    ("unet", 5, 1),
    ("pyramid", 6, 3),
    ("high-resolution", 7, 1),
    ("keyword-spotting", 2, 1),
    ("super-resolution", 3, 1),
];

/// The folder with every network.
fn exported() -> &'static Path {
    static EXPORTED: OnceLock<PathBuf> = OnceLock::new();
    EXPORTED.get_or_init(|| {
        let dir = scratch("tasks");
        succeed(python("export_tasks.py").arg(&dir));
        dir
    })
}

/// Compiles every network for `target` and compares it with ONNX Runtime under every single skip, all and none.
fn check(target: &str) {
    for (network, gates, outputs) in NETWORKS {
        let model = exported().join(format!("{network}.onnx"));
        let artifact = exported().join(format!("{network}-{target}"));
        let report = json(
            skipgate()
                .args(["compile", "--format", "json", "--target", target])
                .arg(&model)
                .arg("-o")
                .arg(&artifact),
        );
        assert_eq!(report["manifest"]["gates"].as_array().unwrap().len(), gates, "{network}");
        assert_eq!(report["manifest"]["abi"]["outputs"].as_array().unwrap().len(), outputs, "{network}");
        let mut verify = skipgate();
        verify.args(["verify", "--format", "json", "--masks", "1", "--builds", "0"]).arg(&artifact);
        let report = json(verify.arg("--model").arg(&model));
        let comparisons = report["comparisons"].as_array().unwrap();
        assert!(comparisons.len() >= 2 + gates, "{network} for {target}: {report}");
    }
}

/// What a command prints.
fn json(command: &mut Command) -> Value {
    serde_json::from_str(&succeed(command)).unwrap()
}

#[test]
fn every_task_is_gated_and_agrees_with_onnx_runtime() {
    check("host");
}

#[test]
fn every_task_is_gated_and_agrees_with_onnx_runtime_on_the_board() {
    check("odroid-xu4");
}
