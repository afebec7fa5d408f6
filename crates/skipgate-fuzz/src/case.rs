//! One network through everything that computes it.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use skipgate_core::{SkipMask, Target};
use skipgate_iree::{Build, Compiler, Gating};
use skipgate_onnx::{Error as ModelError, Model, remove_blocks};
use skipgate_runtime::{Artifact, Device, Session};
use skipgate_verify::{Difference, Emulator, OnnxRuntime, TOLERANCE, masks};

use crate::outcome::Outcome;

/// How much more than an input that is off by a unit in the last place changes a result is rounding still.
const NOISE_FACTOR: f64 = 100.0;
/// Inputs of each network.
const IMAGES: usize = 2;
/// Masks that are emulated.
const EMULATED: usize = 8;
/// Least number of masks of a network that has so many.
const MASKS: usize = 8;

/// Checks networks for some targets.
pub struct Checker {
    engine: &'static OnnxRuntime,
    compiler: &'static Compiler,
    targets: Vec<Target>,
    emulator: Option<Emulator>,
}

/// Everything known about a network before it is compiled.
struct Reference {
    /// What is compiled.
    network: Model,
    masks: Vec<SkipMask>,
    shape: Vec<usize>,
    images: Vec<Vec<f32>>,
    /// Results by mask and image.
    expected: Vec<Vec<Vec<f32>>>,
    tolerance: f64,
}

impl Checker {
    /// Needs ONNX Runtime, the compiler, and for `odroid-xu4` the program for the board and an emulator.
    pub fn new(targets: &[String]) -> anyhow::Result<Self> {
        let targets = targets.iter().map(|name| Target::named(name)).collect::<Result<Vec<_>, _>>()?;
        let board = targets.iter().any(|target| !target.missing_features().is_empty() || !runs_here(target));
        let emulator = if board { Some(Emulator::find(None).map_err(anyhow::Error::msg)?) } else { None };
        let engine = OnnxRuntime::get().map_err(anyhow::Error::msg)?;
        Ok(Self { engine, compiler: Compiler::get()?, targets, emulator })
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
        for target in &self.targets {
            worst = worst.max(self.artifact(&reference, target)?);
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
        let shape = input_shape(model).ok_or_else(|| invalid(&"its input has no static shape"))?;
        let images = images(shape.iter().product());
        let mut expected = Vec::new();
        let mut noise = 0f64;
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
            let mut run = |image: &[f32]| session.run(&shape, image, mask).map_err(|error| invalid(&error));
            let results = images.iter().map(|image| run(image)).collect::<Result<Vec<_>, _>>()?;
            let nearly: Vec<_> = images[0].iter().map(|value| value * (1.0 + f32::EPSILON)).collect();
            let moved = Difference::between(&run(&nearly)?, &results[0]).relative;
            noise = noise.max(if moved.is_finite() { moved } else { 0.0 });
            expected.push(results);
        }
        let tolerance = TOLERANCE.max(NOISE_FACTOR * noise);
        Ok(Reference { network, masks, shape, images, expected, tolerance })
    }

    /// The gated model in ONNX Runtime.
    fn gated_model(&self, reference: &Reference) -> Result<f64, Outcome> {
        let what = "the gated model in ONNX Runtime";
        let mut session = self.engine.session(&reference.network).map_err(|error| broken(what, &error))?;
        compare(reference, what, &reference.masks, |image, mask| {
            session.run(&reference.shape, image, mask).map_err(|error| broken(what, &error))
        })
    }

    /// The network compiled for `target`.
    fn artifact(&self, reference: &Reference, target: &Target) -> Result<f64, Outcome> {
        let build = Build {
            network: reference.network.clone(),
            model_sha256: String::new(),
            target: target.clone(),
            options: skipgate_core::CompileOptions::default(),
            front: Vec::new(),
        };
        let compiled = build.compile(self.compiler).map_err(|error| Outcome::of_error(&error))?;
        let dir = tempfile::tempdir().map_err(|error| broken("a temporary folder", &error))?;
        let path = dir.path().join(&target.name);
        skipgate_iree::write_artifact(&path, &compiled).map_err(|error| broken("the artifact", &error))?;
        match &self.emulator {
            Some(emulator) if !runs_here(target) => emulated(reference, target, emulator, &path),
            _ => native(reference, target, &path),
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
    let mut worst = 0f64;
    for masks in [&reference.masks, &back] {
        let difference = compare(reference, &what, masks, |image, mask| {
            session.run(image, mask).map(<[f32]>::to_vec).map_err(|error| broken(&what, &error))
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
) -> Result<f64, Outcome> {
    let what = format!("the artifact for {}", target.name);
    let Reference { shape, images, masks, .. } = reference;
    let end_to_end = images.concat();
    let mut worst = 0f64;
    for mask in masks.iter().take(EMULATED) {
        let found = emulator.run(path, shape, &end_to_end, mask).map_err(|error| broken(&what, &error))?;
        let mut found = found.chunks(found.len() / images.len());
        let difference = compare(reference, &what, std::slice::from_ref(mask), |_, _| {
            Ok(found.next().unwrap_or_default().to_vec())
        })?;
        worst = worst.max(difference);
    }
    Ok(worst)
}

/// Runs `masks` on all images and compares with what is expected. The largest difference, if it is small enough.
fn compare(
    reference: &Reference,
    what: &str,
    masks: &[SkipMask],
    mut run: impl FnMut(&[f32], &SkipMask) -> Result<Vec<f32>, Outcome>,
) -> Result<f64, Outcome> {
    let mut worst = 0f64;
    for mask in masks {
        let place = reference.masks.iter().position(|other| other == mask).unwrap_or_default();
        for (image, expected) in reference.images.iter().zip(&reference.expected[place]) {
            let difference = Difference::between(&run(image, mask)?, expected);
            if !difference.is_within(reference.tolerance) {
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

fn invalid(error: &dyn std::fmt::Display) -> Outcome {
    Outcome::Invalid { error: error.to_string() }
}

/// Something failed that must work once the model is accepted.
fn broken(what: &str, error: &dyn std::fmt::Display) -> Outcome {
    Outcome::Crash { error: format!("{what}: {error}") }
}

fn images(size: usize) -> Vec<Vec<f32>> {
    let mut random = fastrand::Rng::with_seed(1);
    let image = |_| (0..size).map(|_| 2.0 * random.f32() - 1.0).collect();
    (0..IMAGES).map(image).collect()
}

/// Shape of the first input.
fn input_shape(model: &Model) -> Option<Vec<usize>> {
    let types = skipgate_onnx::infer_shapes(model).ok()?;
    let input = &model.proto().graph.input.first()?.name;
    types.get(input)?.shape.iter().copied().collect()
}
