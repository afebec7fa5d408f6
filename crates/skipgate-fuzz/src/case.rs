//! One network through everything that computes it.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use skipgate_core::{Elements, Manifest, SkipMask, Target, TensorSpec, Values};
use skipgate_data::Stacked;
use skipgate_iree::{Build, Compiler, Gating, Verification, interface};
use skipgate_onnx::{Error as ModelError, Model, remove_blocks};
use skipgate_runtime::{Artifact, Device, Session};
use skipgate_verify::{
    Difference, Emulator, HALF_TOLERANCE, OnnxRuntime, TOLERANCE, has_halves, masks, random_inputs,
};

use crate::outcome::Outcome;

/// How much more than an input that is off by a unit in the last place changes a result is rounding still.
const NOISE_FACTOR: f64 = 100.0;
/// Inputs of each network.
const INPUTS: usize = 2;
/// Masks that are emulated.
const EMULATED: usize = 8;
/// Least number of masks of a network that has so many.
const MASKS: usize = 8;

/// Checks networks for some targets.
pub struct Checker {
    engine: &'static OnnxRuntime,
    compiler: &'static Compiler,
    /// With what runs their artifacts, where this machine does not.
    targets: Vec<(Target, Option<Emulator>)>,
}

/// Everything known about a network before it is compiled.
struct Reference {
    /// What is compiled.
    network: Model,
    masks: Vec<SkipMask>,
    specs: Vec<TensorSpec>,
    inputs: Stacked,
    /// Results by mask and input.
    expected: Vec<Vec<Vec<Values>>>,
    /// By mask, too: a network may be well conditioned with all its blocks and badly without some.
    tolerances: Vec<f64>,
}

impl Checker {
    /// Needs ONNX Runtime, the compiler, and for boards their program and an emulator.
    pub fn new(targets: &[String]) -> anyhow::Result<Self> {
        let with_emulator = |name: &String| {
            let target = Target::named(name)?;
            let emulator = (!runs_here(&target)).then(|| Emulator::find(&target, None)).transpose();
            Ok((target, emulator.map_err(anyhow::Error::msg)?))
        };
        let targets = targets.iter().map(with_emulator).collect::<anyhow::Result<Vec<_>>>()?;
        let engine = OnnxRuntime::get().map_err(anyhow::Error::msg)?;
        Ok(Self { engine, compiler: Compiler::get()?, targets })
    }

    /// What becomes of `model` with these gates.
    pub fn check(&self, model: &Model, gating: &Gating) -> Outcome {
        let checked = panic::catch_unwind(AssertUnwindSafe(|| self.try_check(model, gating)));
        match checked {
            Ok(Ok(outcome) | Err(outcome)) => outcome,
            Err(payload) => {
                let message = payload.downcast_ref::<String>().cloned();
                let message =
                    message.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Outcome::Crash { error: format!("panic: {}", message.unwrap_or_default()) }
            }
        }
    }

    fn try_check(&self, model: &Model, gating: &Gating) -> Result<Outcome, Outcome> {
        let reference = self.reference(model, gating)?;
        let mut worst = self.gated_model(&reference)?;
        for (target, emulator) in &self.targets {
            worst = worst.max(self.artifact(&reference, target, emulator.as_ref())?);
        }
        let gates = reference.masks.first().map_or(0, SkipMask::len);
        Ok(Outcome::Equal { gates, worst })
    }

    /// What ONNX Runtime computes without the skipped blocks, for every mask.
    fn reference(&self, model: &Model, gating: &Gating) -> Result<Reference, Outcome> {
        let mut original = self.engine.session(model).map_err(|error| invalid(&error))?;
        let network = match gating.apply(model) {
            // A network without a block that can be skipped is compiled as it is.
            Err(ModelError::NothingToGate { .. }) => Gating::Ungated { remove: Vec::new() }.apply(model),
            applied => applied,
        };
        let network = network.map_err(|error| Outcome::of_error(&error))?;
        let gates = network.gates().map_err(|error| Outcome::of_error(&error))?;
        let masks = masks(gates.len(), MASKS.saturating_sub(gates.len() + 2).max(2), 1);
        let abi = interface(model).map_err(|error| Outcome::of_error(&error))?;
        let specs = abi.inputs.clone();
        let inputs = random_inputs(&specs, &abi, INPUTS, 1).map_err(|error| invalid(&error))?;
        let nearly: Vec<_> = inputs.run(0).map(nearly).collect();
        let halves = has_halves(model).map_err(|error| invalid(&error))?;
        let least = if halves { HALF_TOLERANCE } else { TOLERANCE };
        let (mut expected, mut tolerances) = (Vec::new(), Vec::new());
        for mask in &masks {
            let skipped = gates.iter().zip(mask.as_slice()).filter(|(_, run)| !**run);
            let names: Vec<_> = skipped.map(|(gate, _)| gate.block.as_str()).collect();
            let mut pruned = if names.is_empty() {
                None
            } else {
                let pruned = remove_blocks(model, &names).map_err(|error| Outcome::of_error(&error))?;
                Some(
                    self.engine
                        .session(&pruned)
                        .map_err(|error| broken("the model without blocks", &error))?,
                )
            };
            let session = pruned.as_mut().unwrap_or(&mut original);
            let mut results = Vec::new();
            for run in 0..inputs.runs() {
                let outputs = session.run(&specs, inputs.run(run), mask).map_err(|error| invalid(&error))?;
                results.push(outputs);
            }
            let moved = session.run(&specs, nearly.iter().map(Values::elements), mask);
            let moved = difference(&moved.map_err(|error| invalid(&error))?, &results[0]).relative;
            let noise = if moved.is_finite() { moved } else { 0.0 };
            tolerances.push(least.max(NOISE_FACTOR * noise));
            expected.push(results);
        }
        Ok(Reference { network, masks, specs, inputs, expected, tolerances })
    }

    /// The gated model in ONNX Runtime.
    fn gated_model(&self, reference: &Reference) -> Result<f64, Outcome> {
        let what = "the gated model in ONNX Runtime";
        let mut session = self.engine.session(&reference.network).map_err(|error| broken(what, &error))?;
        compare(reference, what, &reference.masks, |inputs, mask| {
            session.run(&reference.specs, inputs.iter().copied(), mask).map_err(|error| broken(what, &error))
        })
    }

    /// The network compiled for `target`.
    fn artifact(
        &self,
        reference: &Reference,
        target: &Target,
        emulator: Option<&Emulator>,
    ) -> Result<f64, Outcome> {
        let build = Build {
            network: reference.network.clone(),
            model_sha256: String::new(),
            target: target.clone(),
            options: skipgate_core::CompileOptions::default(),
            front: Vec::new(),
            verification: Verification::default(),
        };
        let compiled = build.compile(self.compiler).map_err(|error| Outcome::of_error(&error))?;
        let dir = tempfile::tempdir().map_err(|error| broken("a temporary folder", &error))?;
        let path = dir.path().join(&target.name);
        skipgate_iree::write_artifact(&path, &compiled).map_err(|error| broken("the artifact", &error))?;
        match emulator {
            Some(emulator) => emulated(reference, target, emulator, &path, &compiled.manifest),
            None => native(reference, target, &path),
        }
    }
}

fn runs_here(target: &Target) -> bool {
    skipgate_core::Arch::current() == Some(target.arch)
}

/// On this machine, all masks forth and back in one session: what a call leaves in memory must not matter.
fn native(reference: &Reference, target: &Target, path: &Path) -> Result<f64, Outcome> {
    let what = format!("the artifact for {}", target.name);
    let artifact = Artifact::open(path).map_err(|error| broken(&what, &error))?;
    let mut session = Session::new(&artifact, Device::local_sync()).map_err(|error| broken(&what, &error))?;
    let back: Vec<_> = reference.masks.iter().rev().cloned().collect();
    let names: Vec<_> = reference.specs.iter().map(|spec| spec.name.as_str()).collect();
    let mut worst = 0f64;
    for masks in [&reference.masks, &back] {
        let difference = compare(reference, &what, masks, |inputs, mask| {
            let inputs: Vec<_> = names.iter().copied().zip(inputs.iter().copied()).collect();
            let outputs = session.run_named(&inputs, mask).map_err(|error| broken(&what, &error))?;
            Ok(outputs.iter().map(|(_, elements)| elements.to_values()).collect())
        })?;
        worst = worst.max(difference);
    }
    Ok(worst)
}

/// Under emulation, a process for each mask.
fn emulated(
    reference: &Reference,
    target: &Target,
    emulator: &Emulator,
    path: &Path,
    manifest: &Manifest,
) -> Result<f64, Outcome> {
    let what = format!("the artifact for {}", target.name);
    let mut worst = 0f64;
    for mask in reference.masks.iter().take(EMULATED) {
        let found = emulator.run(path, manifest, &reference.inputs, mask);
        let found = found.map_err(|error| broken(&what, &error))?;
        let mut runs = 0..;
        let difference = compare(reference, &what, std::slice::from_ref(mask), |_, _| {
            let run = runs.next().unwrap_or_default();
            Ok(found.run(run).map(|elements| elements.to_values()).collect())
        })?;
        worst = worst.max(difference);
    }
    Ok(worst)
}

/// Runs `masks` on all inputs and compares with what is expected. The largest difference, if it is small enough.
fn compare(
    reference: &Reference,
    what: &str,
    masks: &[SkipMask],
    mut run: impl FnMut(&[Elements<'_>], &SkipMask) -> Result<Vec<Values>, Outcome>,
) -> Result<f64, Outcome> {
    let mut worst = 0f64;
    for mask in masks {
        let place = reference.masks.iter().position(|other| other == mask).unwrap_or_default();
        for (number, expected) in reference.expected[place].iter().enumerate() {
            let inputs: Vec<_> = reference.inputs.run(number).collect();
            let difference = difference(&run(&inputs, mask)?, expected);
            if !difference.is_within(reference.tolerances[place]) {
                let Difference { relative, element, found, expected } = difference;
                return Err(Outcome::Wrong {
                    what: what.to_owned(),
                    mask: mask.to_string(),
                    difference: format!("{relative:.1e} at element {element}: {found} instead of {expected}"),
                });
            }
            worst = worst.max(difference.relative);
        }
    }
    Ok(worst)
}

/// The largest difference between outputs.
fn difference(found: &[Values], expected: &[Values]) -> Difference {
    let missing = Difference { relative: f64::INFINITY, element: 0, found: f64::NAN, expected: f64::NAN };
    let all = found.iter().zip(expected);
    let all = all.map(|(found, expected)| Difference::between(found.elements(), expected.elements()));
    let worst = all.reduce(Difference::max).filter(|_| found.len() == expected.len());
    worst.unwrap_or(missing)
}

/// What an input is on a machine that rounds its last place in another way.
fn nearly(elements: Elements<'_>) -> Values {
    match elements {
        Elements::F32(elements) => {
            elements.iter().map(|value| value * (1.0 + f32::EPSILON)).collect::<Vec<_>>().into()
        }
        others => others.to_values(),
    }
}

fn invalid(error: &dyn std::fmt::Display) -> Outcome {
    Outcome::Invalid { error: error.to_string() }
}

/// Something failed that must work once the model is accepted.
fn broken(what: &str, error: &dyn std::fmt::Display) -> Outcome {
    Outcome::Crash { error: format!("{what}: {error}") }
}
