//! Networks with several inputs and outputs of any type, through the command line, here and on the board.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use serde_json::Value;
use skipgate_core::{Elements, Manifest, Values};
use skipgate_data::Stacked;
use skipgate_data::tensor_file::{Tensor, write_npy};
use support::{board, compile, repository, scratch, skipgate, succeed};

fn model() -> PathBuf {
    repository().join("tests/models/tensors.onnx")
}

fn manifest(artifact: &Path) -> Manifest {
    Manifest::from_json(&fs::read_to_string(artifact.join("manifest.json")).unwrap()).unwrap()
}

/// Inputs for two runs.
fn inputs(artifact: &Path) -> Stacked {
    let mut inputs = Stacked::empty(manifest(artifact).inputs());
    for run in 0..2u8 {
        let pixels: Vec<_> = (0..108u8).map(|pixel| pixel.wrapping_mul(37 + run)).collect();
        inputs.push([Elements::U8(&pixels), Elements::F32(&[0.1, 0.2, 0.3])]).unwrap();
    }
    inputs
}

fn run(mut program: Command, artifact: &Path, arguments: &[&str]) -> std::process::Output {
    program.arg("run").arg(artifact).args(arguments).output().unwrap()
}

#[test]
fn an_output_of_every_type_is_right_under_every_mask() {
    let dir = scratch("tensors");
    for target in ["host", "odroid-xu4"] {
        let artifact = dir.join(target);
        compile(&model(), target, &artifact);
        let mut verify = skipgate();
        verify
            .args(["verify", "--format", "json", "--masks", "2"])
            .arg(&artifact)
            .arg("--model")
            .arg(model());
        let report: Value = serde_json::from_str(&succeed(&mut verify)).unwrap();
        assert_eq!(report["equal"], true, "{report}");
        assert_eq!(report["notes"].as_array().unwrap().len(), 0, "{report}");
    }
}

#[test]
fn files_by_name_and_archives_give_the_same_and_so_does_the_board() {
    let dir = scratch("tensors-files");
    let (artifact, board_artifact) = (dir.join("host"), dir.join("board"));
    compile(&model(), "host", &artifact);
    compile(&model(), "odroid-xu4", &board_artifact);
    let manifest = manifest(&artifact);
    let path = |name: &str| dir.join(name).display().to_string();
    inputs(&artifact).write(manifest.inputs(), path("all.npz").as_ref()).unwrap();
    for (number, spec) in manifest.inputs().iter().enumerate() {
        let values = inputs(&artifact).tensors().nth(number).unwrap().to_values();
        let mut shape = spec.shape.clone();
        shape[0] *= 2;
        let tensor = Tensor { shape, values };
        write_npy(path(&format!("{}.npy", spec.name)).as_ref(), &tensor).unwrap();
    }
    let (pixels, offset) =
        (format!("pixels={}", path("pixels.npy")), format!("offset={}", path("offset.npy")));
    let read = |name: &str| Stacked::read(manifest.outputs(), &[path(name)]).unwrap();
    let all = path("all.npz");
    for (program, artifact, files, output) in [
        (skipgate(), &artifact, vec!["--input", &all], "a.npz"),
        (skipgate(), &artifact, vec!["--input", &offset, "--input", &pixels], "b.npz"),
        (board(), &board_artifact, vec!["--input", &all], "c.npz"),
    ] {
        let output = path(output);
        let arguments = [&files[..], &["--output", &output, "--mask", "10"]].concat();
        let ran = run(program, artifact, &arguments);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    assert_eq!(read("a.npz"), read("b.npz"));
    let best = |stacked: Stacked| stacked.tensors().nth(3).unwrap().to_values();
    assert_eq!(best(read("a.npz")), best(read("c.npz")));
    assert!(matches!(best(read("a.npz")), Values::I64(places) if places.iter().any(|place| *place > 0)));
}

#[test]
fn indices_are_checked_if_given_and_limited_if_computed() {
    let dir = scratch("tensors-indices");
    for (target, program) in [("host", skipgate as fn() -> Command), ("odroid-xu4", board)] {
        let artifact = dir.join(target);
        let mut compile = skipgate();
        compile.arg("compile").arg(repository().join("tests/models/indices.onnx"));
        compile.args(["--ungated", "--target", target, "--output"]).arg(&artifact);
        let said = succeed(&mut compile);
        let expected = "where ONNX Runtime would end with an error:\n  Gather computed";
        assert!(said.contains(expected) && !said.contains("Gather given"), "{said}");
        let path = |name: &str| dir.join(name).display().to_string();
        let (words, output) = (path("words.npy"), path("rows.npz"));
        let rows = |places: [i64; 4]| {
            let tensor = Tensor { shape: vec![4], values: places.to_vec().into() };
            write_npy(words.as_ref(), &tensor).unwrap();
            run(program(), &artifact, &["--input", &words, "--output", &output])
        };
        // Twice 3 is the last row; twice 5 and twice -4 are none.
        let ran = rows([0, 3, -4, 5]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let found = Stacked::read(manifest(&artifact).outputs(), std::slice::from_ref(&output)).unwrap();
        let first_columns: Vec<Vec<f32>> = found
            .tensors()
            .map(|rows| <&[f32]>::try_from(rows).unwrap().iter().copied().step_by(2).collect())
            .collect();
        assert_eq!(first_columns, [[0.0, 30.0, 30.0, 50.0], [0.0, 60.0, 0.0, 60.0]]);
        for (wrong, place) in [([0, 0, 7, 0], 2), ([-8, 0, 0, 0], 0), ([0, i64::MAX, i64::MIN, 9], 1)] {
            let ran = rows(wrong);
            let error = String::from_utf8(ran.stderr).unwrap();
            let found = wrong[place];
            let expected = format!(
                "input `words` holds {found} at place {place}, `Gather given` takes indices from -7 to 6"
            );
            assert!(ran.status.code() == Some(1) && error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn what_is_missing_or_does_not_fit_is_named() {
    let dir = scratch("tensors-errors");
    let artifact = dir.join("host");
    compile(&model(), "host", &artifact);
    let path = |name: &str| dir.join(name).display().to_string();
    let (archive, output) = (path("x.npz"), path("y.npz"));
    inputs(&artifact).write(manifest(&artifact).inputs(), archive.as_ref()).unwrap();
    let failure = |arguments: &[&str]| {
        let ran = run(skipgate(), &artifact, arguments);
        assert!(!ran.status.success());
        String::from_utf8(ran.stderr).unwrap()
    };
    let error = failure(&["--input", "pixels.npy", "--output", &output]);
    assert!(
        error.contains("expected FILE.npz, or pixels=FILE.npy offset=FILE.npy, found pixels.npy"),
        "{error}"
    );
    let error = failure(&["--input", &archive, "--output", &path("y.npy")]);
    assert!(error.contains("expected a .npz file for 8 outputs, found"), "{error}");
    let error = failure(&["--image", "photo.png"]);
    assert!(error.contains("expected a network with one input, of type f32"), "{error}");
    let mut pareto = skipgate();
    let error = pareto.args(["pareto", "--data", "digits"]).arg(&artifact).output().unwrap();
    let error = String::from_utf8(error.stderr).unwrap();
    assert!(error.contains("expected a network with one input, of type f32"), "{error}");
    assert!(!Path::new(&output).exists());
}
