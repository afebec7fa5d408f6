//! Residual networks that are no classifiers: detection, segmentation, pyramids, poses, sounds, super-resolution.

#[path = "support/mod.rs"]
mod support;

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

#[test]
fn every_task_is_gated_and_agrees_with_onnx_runtime_here_and_on_the_board() {
    let dir = scratch("tasks");
    succeed(python("export_tasks.py").arg(&dir));
    for (network, gates, outputs) in NETWORKS {
        let model = dir.join(format!("{network}.onnx"));
        for target in ["host", "odroid-xu4"] {
            let artifact = dir.join(format!("{network}-{target}"));
            let mut compile = skipgate();
            compile.args(["compile", "--format", "json", "--verify", "--target", target]);
            let report = succeed(compile.arg(&model).arg("-o").arg(&artifact));
            let report: Value = serde_json::from_str(&report).unwrap();
            assert_eq!(report["manifest"]["gates"].as_array().unwrap().len(), gates, "{network}");
            assert_eq!(report["manifest"]["abi"]["outputs"].as_array().unwrap().len(), outputs, "{network}");
            let comparisons = report["verification"]["comparisons"].as_array().unwrap();
            assert!(comparisons.len() >= 2 + gates, "{network} for {target}: {report}");
        }
    }
}
