//! Gated models and artifacts against ONNX Runtime, on the digits networks and real images.
//!
//! Three comparisons for every mask, each as the largest relative difference of the logits:
//!
//! * (a) the gated model in ONNX Runtime against the original model with those blocks cut out by the oracle;
//! * (b) the host artifact against the same;
//! * (c) the armv7 artifact, run by the board's program under emulation, against the same.

#[path = "support/mod.rs"]
mod support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use serde_json::json;
use skipgate_core::{CompileOptions, SkipMask, Target};
use skipgate_iree::{Compiler, Verification};
use skipgate_onnx::{GateSelection, Model, fold_batch_norm, gate};
use support::{
    ARTIFACT_TOLERANCE, Job, Logits, ONNX_TOLERANCE, board, masks, oracle, python, recipes, repository, run,
    scratch, skipgate, succeed, worst,
};

/// Name of the environment variable that asks for every mask that the closing figures need: minutes instead of seconds.
const EVERY_MASK: &str = "SKIPGATE_EVERY_MASK";

/// All-run, all-skip, single skips and random masks: every single skip and 50 random ones if they are asked for, and else
/// some of both.
fn chosen_masks(gates: usize) -> Vec<String> {
    if env::var_os(EVERY_MASK).is_some() {
        return masks(gates, 50);
    }
    let all = masks(gates, 8);
    let (singles, random) = (&all[2..2 + gates], &all[2 + gates..]);
    let some = singles.iter().step_by(gates.div_ceil(8)).cloned();
    all[..2].iter().cloned().chain(some).chain(random.iter().cloned()).collect()
}

#[test]
fn resnet20_agrees_with_onnx_runtime_under_every_mask() {
    let network = Network::new("resnet20", 6);
    let masks = chosen_masks(6);
    network.check(&masks, masks.len());
}

#[test]
fn resnet110_agrees_with_onnx_runtime_under_every_mask() {
    let network = Network::new("resnet110", 51);
    let masks = chosen_masks(51);
    // Under emulation an inference takes seconds: all-run, all-skip and the first single skips.
    let emulated = if env::var_os(EVERY_MASK).is_some() { 8 } else { 4 };
    network.check(&masks, emulated);
}

/// Rounded to 8 bits, values next to the middle of two may fall to either side: then a logit is off by a step or two,
/// which are a sixtieth of the largest one.
const QUANTIZED_TOLERANCE: f64 = 0.05;

#[test]
fn a_quantised_network_agrees_with_onnx_runtime_under_every_mask() {
    let dir = scratch("agreement-quantised");
    let (digits, model) = (repository().join("models/digits"), dir.join("quantised.onnx"));
    let mut quantize = recipes();
    quantize.arg("quantize").arg(digits.join("resnet20.toml")).arg(digits.join("resnet20.onnx")).arg(&model);
    succeed(quantize.args(["--calibrate", "64", "--images", "64"]));
    let network = Network::of("resnet20-quantised", dir, model, 6);
    let masks = chosen_masks(6);
    let expected = network.gated_in_onnx_runtime(&masks);
    for (target, program, masks) in
        [("host", skipgate as fn() -> Command, &masks[..]), ("odroid-xu4", board, &masks[..4])]
    {
        let found = network.artifact(program, target, masks);
        let difference = worst(&found, &expected[..masks.len()]);
        println!("{} for {target}: {} masks: {difference:.1e}", network.name, masks.len());
        assert!(difference <= QUANTIZED_TOLERANCE, "{target}: {difference:.1e}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found.classes().eq(expected.classes()), "{target}");
        }
        assert!(found[1].relative_difference(&found[0]) > 2.0 * QUANTIZED_TOLERANCE);
    }
}

#[test]
fn a_configuration_is_its_mask() {
    let dir = scratch("agreement-configuration");
    let (front, artifact) = (dir.join("front.json"), dir.join("host"));
    write_front(&front, &["101101", "010010"].map(str::to_owned));
    let model = repository().join("models/digits/resnet20.onnx");
    succeed(skipgate().arg("compile").arg(model).arg("-o").arg(&artifact).arg("--pareto").arg(front));
    let image = repository().join("models/digits/samples/3.png");
    for (number, mask) in [("0", "mask 101101"), ("1", "mask 010010")] {
        let mut run = skipgate();
        run.arg("run").arg(&artifact).args(["--config", number, "--image"]).arg(&image);
        let printed = succeed(&mut run);
        assert!(printed.contains(mask), "{printed}");
    }
}

#[test]
fn gates_add_little_to_the_compiled_network() {
    let model = Model::load(&repository().join("models/digits/resnet20.onnx")).unwrap();
    let gated = gate(&model, &GateSelection::default()).unwrap();
    let ungated = fold_batch_norm(&model).unwrap();
    let target = Target::named("odroid-xu4").unwrap();
    let size = |model, front: &[SkipMask]| {
        let compiler = Compiler::get().unwrap();
        let (options, verification) = (CompileOptions::default(), Verification::default());
        skipgate_iree::compile(compiler, model, String::new(), &target, front, &options, verification)
            .unwrap()
            .vmfb
            .len()
    };
    let front: Vec<_> = masks(6, 24).iter().map(|mask| mask.parse().unwrap()).collect();
    let (ungated, gated, with_front) = (size(&ungated, &[]), size(&gated, &[]), size(&gated, &front));
    println!(
        "resnet20: vmfb of {ungated} bytes without gates, {gated} with, {with_front} with 32 entry points"
    );
    assert!(gated * 100 <= ungated * 102);
    assert!(with_front * 100 <= ungated * 120);
}

/// Writes a front of `masks`: a single skip, so that the ones beside it still run the gated function, and random ones.
fn write_front(path: &Path, masks: &[String]) {
    let configurations: Vec<_> = masks.iter().map(|mask| json!({ "mask": mask })).collect();
    fs::write(path, json!({ "configurations": configurations }).to_string()).unwrap();
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
        let model = repository().join("models/digits").join(format!("{name}.onnx"));
        Self::of(name, scratch(&format!("agreement-{name}")), model, gates)
    }

    /// The network in `model`, with its artifacts in `dir`.
    fn of(name: &'static str, dir: PathBuf, model: PathBuf, gates: usize) -> Self {
        let gated = dir.join("gated.onnx");
        let printed = succeed(skipgate().arg("gate").arg(&model).arg("-o").arg(&gated));
        assert!(printed.contains(&format!("{gates} gates")), "{printed}");
        succeed(python("oracle.py").arg("check").arg(&gated));
        let front = dir.join("pareto.json");
        write_front(&front, &masks(gates, 8)[gates..][..4]);
        for target in ["host", "odroid-xu4"] {
            let mut compile = skipgate();
            compile.arg("compile").arg(&gated).args(["--target", target, "--output"]).arg(dir.join(target));
            succeed(compile.arg("--pareto").arg(&front));
        }
        let images = dir.join("images.npy");
        let samples = ["3", "8"].map(|digit| repository().join(format!("models/digits/samples/{digit}.png")));
        succeed(python("oracle.py").arg("images").arg(&model).arg(&images).args(samples));
        Self { name, dir, model, gated, images }
    }

    /// Logits of the original model without the blocks that each mask skips.
    fn removed(&self, masks: &[String]) -> Vec<Logits> {
        let job = |mask: &String| Job {
            model: self.model.clone(),
            mask: None,
            remove: Some(mask.clone()),
            gate_first: false,
        };
        oracle(&self.dir, &self.images, &masks.iter().map(job).collect::<Vec<_>>())
    }

    /// Logits of the gated model under each mask.
    fn gated_in_onnx_runtime(&self, masks: &[String]) -> Vec<Logits> {
        let job = |mask: &String| Job {
            model: self.gated.clone(),
            mask: Some(mask.clone()),
            remove: None,
            gate_first: false,
        };
        oracle(&self.dir, &self.images, &masks.iter().map(job).collect::<Vec<_>>())
    }

    /// Compares under all `masks`, on armv7 under the first `emulated`.
    fn check(&self, masks: &[String], emulated: usize) {
        let (removed, gated) = (self.removed(masks), self.gated_in_onnx_runtime(masks));
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

    /// Logits under `masks`; some have an entry point of their own, the others run the gated function.
    fn artifact(&self, program: fn() -> Command, target: &str, masks: &[String]) -> Vec<Logits> {
        let output = self.dir.join(format!("{target}.npy"));
        masks.iter().map(|mask| run(program(), &self.dir.join(target), &self.images, mask, &output)).collect()
    }
}
