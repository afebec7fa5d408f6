//! `skipgate verify` tells artifacts that compute their model from ones that do not.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{compile, repository, scratch, skipgate, succeed};

fn model(name: &str) -> PathBuf {
    repository().join("models/digits").join(format!("{name}.onnx"))
}

fn verify(artifact: &Path, model: &Path) -> std::process::Command {
    let mut command = skipgate();
    command.arg("verify").arg(artifact).arg("--model").arg(model).args(["--masks", "2"]);
    command
}

/// What a run that fails says.
fn complaint(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_artifact_is_equal_to_its_model_under_every_mask() {
    let artifact = scratch("verify").join("host");
    compile(&model("resnet20"), "host", &artifact);
    let printed = succeed(verify(&artifact, &model("resnet20")).args(["--format", "json"]));
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["equal"], true);
    let builds = |report: &Value| {
        let comparisons = report["comparisons"].as_array().unwrap();
        comparisons.iter().filter(|comparison| comparison["reference"] == "build").count()
    };
    assert!(builds(&report) >= 1, "{printed}");
    // Without ONNX Runtime, builds are the only reference, and what they leave out is said.
    let printed = succeed(
        verify(&artifact, &model("resnet20")).env("ORT_DYLIB_PATH", "/no/library").args(["--builds", "2"]),
    );
    assert!(printed.contains("not compared with ONNX Runtime: /no/library"), "{printed}");
    assert!(printed.contains("8 masks were not compared; --builds 10 does"), "{printed}");
}

#[test]
fn a_model_that_was_gated_before_is_as_good_as_the_original() {
    let dir = scratch("verify-gated");
    let (gated, artifact) = (dir.join("gated.onnx"), dir.join("host"));
    succeed(
        skipgate()
            .arg("gate")
            .arg(model("resnet20"))
            .arg("-o")
            .arg(&gated)
            .args(["--no-gate", "segments.0.*"]),
    );
    let printed = succeed(skipgate().arg("compile").arg(&gated).arg("-o").arg(&artifact).arg("--verify"));
    assert!(printed.contains("comparisons of 2 inputs each"), "{printed}");
    succeed(verify(&artifact, &model("resnet20")).args(["--builds", "0"]));
}

#[test]
fn an_artifact_of_another_model_is_refused() {
    let artifact = scratch("verify-other").join("host");
    compile(&model("resnet20"), "host", &artifact);
    let said = complaint(&mut verify(&artifact, &model("resnet110")));
    assert!(said.contains("is not the model that the artifact was made of"), "{said}");
}

#[test]
fn a_difference_is_told_with_its_mask_and_element() {
    let dir = scratch("verify-wrong");
    let without = dir.join("without");
    // The artifact lacks a block that the manifest does not know to be removed.
    let mut command = skipgate();
    command.arg("compile").arg(model("resnet20")).arg("-o").arg(&without);
    succeed(command.args(["--ungated", "--remove", "segments.0.1"]));
    let said = complaint(&mut verify(&without, &model("resnet20")));
    assert!(said.contains("with mask none: element "), "{said}");
    succeed(verify(&without, &model("resnet20")).args(["--remove", "segments.0.1"]));
}

#[test]
fn an_artifact_for_the_board_is_verified_under_emulation() {
    let artifact = scratch("verify-board").join("xu4");
    compile(&model("resnet20"), "odroid-xu4", &artifact);
    let said = complaint(verify(&artifact, &model("resnet20")).args(["--program", "/no/program"]));
    assert!(said.contains("/no/program is no file"), "{said}");
    if std::env::var_os("SKIPGATE_BOARD_PROGRAM").is_none() {
        return eprintln!("skipped: SKIPGATE_BOARD_PROGRAM is not set; `cargo xtask test` sets it");
    }
    let printed = succeed(&mut verify(&artifact, &model("resnet20")));
    assert!(printed.contains("under emulation"), "{printed}");
}
