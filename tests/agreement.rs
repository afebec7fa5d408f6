//! Gated models and artifacts against ONNX Runtime, on the digits networks and real images.
//!
//! Three comparisons for every mask, each as the largest relative difference of the logits:
//!
//! * (a) the gated model in ONNX Runtime against the original model with those blocks cut out by the oracle;
//! * (b) the host artifact against the same;
//! * (c) the armv7 artifact, run by the board's program under emulation, against the same.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use skipgate_core::Target;
use skipgate_iree::Compiler;
use skipgate_onnx::{GateSelection, Model, gate};
use support::{
    ARTIFACT_TOLERANCE, Job, Logits, ONNX_TOLERANCE, board, compile, masks, oracle, python, repository, run,
    scratch, skipgate, succeed, worst,
};

const RANDOM_MASKS: usize = 50;

#[test]
fn resnet20_agrees_with_onnx_runtime_under_every_mask() {
    let network = Network::new("resnet20", 6);
    let masks = masks(6, RANDOM_MASKS);
    network.check(&masks, masks.len());
}

#[test]
fn resnet110_agrees_with_onnx_runtime_under_every_mask() {
    let network = Network::new("resnet110", 51);
    let masks = masks(51, RANDOM_MASKS);
    // Under emulation an inference takes seconds: all-run, all-skip and the first single skips.
    network.check(&masks, 8);
}

#[test]
fn gates_add_little_to_the_compiled_network() {
    for name in ["resnet20", "resnet110"] {
        let ungated = Model::load(&repository().join("models/digits").join(format!("{name}.onnx"))).unwrap();
        let gated = gate(&ungated, &GateSelection::default()).unwrap();
        let [ungated, gated] = [ungated, gated].map(|model| {
            let compiled = skipgate_iree::compile(
                Compiler::get().unwrap(),
                &model,
                String::new(),
                &Target::named("odroid-xu4").unwrap(),
            );
            compiled.unwrap().vmfb.len()
        });
        println!("{name}: vmfb of {ungated} bytes without gates, {gated} with gates");
        assert!(gated * 100 < ungated * 105);
    }
}

/// One of the digits networks with its artifacts.
struct Network {
    name: &'static str,
    dir: PathBuf,
    model: PathBuf,
    gated: PathBuf,
    images: PathBuf,
}

impl Network {
    fn new(name: &'static str, gates: usize) -> Self {
        let dir = scratch(&format!("agreement-{name}"));
        let model = repository().join("models/digits").join(format!("{name}.onnx"));
        let gated = dir.join("gated.onnx");
        let printed = succeed(skipgate().arg("gate").arg(&model).arg("-o").arg(&gated));
        assert!(printed.contains(&format!("{gates} gates")), "{printed}");
        succeed(python("oracle.py").arg("check").arg(&gated));
        compile(&gated, "host", &dir.join("host"));
        compile(&gated, "odroid-xu4", &dir.join("odroid-xu4"));
        let images = dir.join("images.npy");
        let samples = ["3", "8"].map(|digit| repository().join(format!("models/digits/samples/{digit}.png")));
        succeed(python("oracle.py").arg("images").arg(&model).arg(&images).args(samples));
        Self { name, dir, model, gated, images }
    }

    /// Compares under all `masks`, on armv7 under the first `emulated`.
    fn check(&self, masks: &[String], emulated: usize) {
        let job = |model: &Path, mask: Option<&String>, remove: Option<&String>| Job {
            model: model.to_owned(),
            mask: mask.cloned(),
            remove: remove.cloned(),
            gate_first: false,
        };
        let removed: Vec<_> = masks.iter().map(|mask| job(&self.model, None, Some(mask))).collect();
        let removed = oracle(&self.dir, &self.images, &removed);
        let gated: Vec<_> = masks.iter().map(|mask| job(&self.gated, Some(mask), None)).collect();
        let gated = oracle(&self.dir, &self.images, &gated);
        let host = self.artifact(skipgate, "host", masks);
        let armv7 = self.artifact(board, "odroid-xu4", &masks[..emulated]);
        let (a, b, c) = (worst(&gated, &removed), worst(&host, &removed), worst(&armv7, &removed));
        println!(
            "{}: {} masks: (a) {a:.1e} (b) {b:.1e}; {emulated} masks: (c) {c:.1e}",
            self.name,
            masks.len()
        );
        assert!(a <= ONNX_TOLERANCE && b <= ARTIFACT_TOLERANCE && c <= ARTIFACT_TOLERANCE);
        // The masks do something: skipping everything is no rounding error.
        assert!(host[1].relative_difference(&host[0]) > 100.0 * ARTIFACT_TOLERANCE);
    }

    fn artifact(&self, program: fn() -> Command, target: &str, masks: &[String]) -> Vec<Logits> {
        let output = self.dir.join(format!("{target}.npy"));
        masks.iter().map(|mask| run(program(), &self.dir.join(target), &self.images, mask, &output)).collect()
    }
}
