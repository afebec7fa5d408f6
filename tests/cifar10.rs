//! The networks trained on CIFAR-10 against ONNX Runtime: those with gates under some masks, SkipNet as it decides.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{
    ARTIFACT_TOLERANCE, Job, Logits, board, compile, masks, oracle, python, repository, run, scratch,
    skipgate, succeed, worst,
};

#[test]
fn resnet20_agrees_with_onnx_runtime() {
    for name in ["resnet20", "resnet20-sd"] {
        check_gated(name, 6);
    }
}

#[test]
fn resnet110_agrees_with_onnx_runtime() {
    check_gated("resnet110-sd", 51);
}

#[test]
fn skipnet_decides_like_onnx_runtime_here_and_on_the_board() {
    let network = Network::new("skipnet20");
    let expected = network.expected(None);
    let found = [(skipgate as fn() -> Command, "host"), (board, "odroid-xu4")].map(|(program, target)| {
        let artifact = network.dir.join(target);
        let mut command = skipgate();
        command.arg("compile").arg(&network.model).args(["--ungated", "--target", target, "--output"]);
        succeed(command.arg(&artifact));
        network.run_ungated(program(), &artifact)
    });
    for logits in found {
        let difference = logits.relative_difference(&expected);
        println!("skipnet20: {difference:.1e}");
        assert!(difference <= ARTIFACT_TOLERANCE);
    }
}

#[test]
fn the_deepest_skipnet_decides_like_onnx_runtime() {
    let network = Network::new("skipnet110");
    let artifact = network.dir.join("host");
    succeed(skipgate().arg("compile").arg(&network.model).arg("--ungated").arg("--output").arg(&artifact));
    let difference = network.run_ungated(skipgate(), &artifact).relative_difference(&network.expected(None));
    println!("skipnet110: {difference:.1e}");
    assert!(difference <= ARTIFACT_TOLERANCE);
}

/// All-run, all-skip, a single skip and random masks of the artifact against the model without the skipped blocks.
fn check_gated(name: &str, gates: usize) {
    let network = Network::new(name);
    let artifact = network.dir.join("host");
    compile(&network.model, "host", &artifact);
    let all = masks(gates, 2);
    let chosen: Vec<_> = all[..3].iter().chain(&all[all.len() - 2..]).collect();
    let expected: Vec<_> = chosen.iter().map(|mask| network.expected(Some(mask.as_str()))).collect();
    let output = network.dir.join("found.npy");
    let found: Vec<_> =
        chosen.iter().map(|mask| run(skipgate(), &artifact, &network.images, mask, &output)).collect();
    let difference = worst(&found, &expected);
    println!("{name}: {} masks, {difference:.1e}", chosen.len());
    assert!(difference <= ARTIFACT_TOLERANCE);
}

/// One of the networks, and images for it: digits, as CIFAR's own are not part of the repository.
struct Network {
    dir: PathBuf,
    model: PathBuf,
    images: PathBuf,
}

impl Network {
    fn new(name: &str) -> Self {
        let dir = scratch(&format!("cifar10-{name}"));
        let model = repository().join("models/cifar10").join(format!("{name}.onnx"));
        let images = dir.join("images.npy");
        let samples = ["0", "4", "7"].map(sample);
        succeed(python("oracle.py").arg("images").arg(&model).arg(&images).args(samples));
        Self { dir, model, images }
    }

    /// Logits of ONNX Runtime, without the blocks that `mask` skips.
    fn expected(&self, mask: Option<&str>) -> Logits {
        let remove = mask.map(str::to_owned);
        let job = Job { model: self.model.clone(), mask: None, remove, gate_first: false };
        oracle(&self.dir, &self.images, &[job]).remove(0)
    }

    fn run_ungated(&self, mut program: Command, artifact: &Path) -> Logits {
        let output = self.dir.join("found.npy");
        program.arg("run").arg(artifact).arg("--input").arg(&self.images).arg("--output").arg(&output);
        succeed(&mut program);
        Logits::read(&output)
    }
}

fn sample(digit: &str) -> PathBuf {
    repository().join(format!("models/digits/samples/{digit}.png"))
}
