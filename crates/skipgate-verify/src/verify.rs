//! Compares an artifact with other ways to compute its model.

use std::path::{Path, PathBuf};

use skipgate_core::file::read_text;
use skipgate_core::{Arch, Arithmetic, CompileOptions, MANIFEST_FILE, Manifest, SkipMask, Target, Values};
use skipgate_data::Stacked;
use skipgate_iree::{Build, Compiler, Verification, write_artifact};
use skipgate_runtime::{Artifact, Device, Session};

use crate::origin::Origin;
use crate::{
    Comparison, Difference, Emulator, Error, OnnxRuntime, Ran, Reference, Report, masks, random_inputs,
};

/// Builds where ONNX Runtime computes every mask: one, with all blocks.
const BUILDS_BESIDE: usize = 1;
/// Builds where they are the only reference.
const BUILDS_ALONE: usize = 4;

/// How thorough a verification is.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Number of random masks, besides all-run, all-skip and every single skip.
    pub masks: usize,
    /// Seed of masks and inputs.
    pub seed: u64,
    /// What the network is run on.
    pub inputs: Inputs,
    /// At most so many independent builds, which take as long as a compilation each. By default one beside ONNX
    /// Runtime and four without it.
    pub builds: Option<usize>,
    /// Blocks that the artifact was compiled without.
    pub removed: Vec<String>,
    /// Program for the board, instead of the one in the environment.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            masks: 8,
            seed: 1,
            inputs: Inputs::Random(2),
            builds: None,
            removed: Vec::new(),
            program: None,
        }
    }
}

/// What a network is run on.
#[derive(Debug, Clone, PartialEq)]
pub enum Inputs {
    /// So many random ones; see [`random_inputs`].
    Random(usize),
    /// These.
    Given(Stacked),
}

/// Runs the artifact in the folder `path` under many masks and compares it with `model`, which it must have been made
/// of, without the skipped blocks: in ONNX Runtime if its library is found, and compiled for this machine in another
/// way, without gates, kernels and fast forms of convolutions. Both share with the artifact what reads and rewrites
/// the model, which the gated model itself in ONNX Runtime is the test of; nothing of what makes gates in the compiler.
///
/// `tell` hears what is done next.
pub fn verify(path: &Path, model: &Path, options: &Options, tell: &dyn Fn(&str)) -> Result<Report, Error> {
    let manifest = manifest(path)?;
    let origin = Origin::load(model, &manifest, &options.removed)?;
    let inputs = match &options.inputs {
        Inputs::Random(count) => random_inputs(manifest.inputs(), &manifest.abi, *count, options.seed)?,
        Inputs::Given(inputs) => inputs.clone(),
    };
    let masks = masks(manifest.gates.len(), options.masks, options.seed);
    let engine = OnnxRuntime::get();
    let mut subject = Subject::open(path, &manifest, options)?;
    let builds = options.builds.unwrap_or(if engine.is_ok() { BUILDS_BESIDE } else { BUILDS_ALONE });
    let built = to_build(&masks, manifest.gates.len(), builds);
    let mut report = Report {
        artifact: path.to_owned(),
        model: model.to_owned(),
        target: manifest.target.name.clone(),
        ran: subject.ran(),
        inputs: inputs.runs(),
        tolerance: origin.tolerance()?,
        equal: true,
        comparisons: Vec::new(),
        not_compared: Vec::new(),
        notes: engine.err().map(|why| format!("not compared with ONNX Runtime: {why}")).into_iter().collect(),
    };
    for mask in &masks {
        if engine.is_err() && !built.contains(mask) {
            report.not_compared.push(mask.clone());
            continue;
        }
        tell(&format!("running mask {mask}"));
        let found = subject.run(&manifest, &inputs, mask)?;
        let pruned = origin.without_skipped(mask)?;
        if let Ok(engine) = engine {
            let mut session = engine.session(&pruned)?;
            let mut expected = Stacked::empty(manifest.outputs());
            for run in 0..inputs.runs() {
                let outputs = session.run(manifest.inputs(), inputs.run(run), &SkipMask::all_run(0))?;
                expected.push(outputs.iter().map(Values::elements))?;
            }
            report.compare(&manifest, mask, Reference::OnnxRuntime, &found, &expected);
        }
        if built.contains(mask) {
            tell(&format!("compiling the reference for mask {mask}"));
            let expected = build(pruned, mask, &inputs)?;
            report.compare(&manifest, mask, Reference::Build, &found, &expected);
        }
    }
    Ok(report)
}

impl Report {
    fn compare(
        &mut self,
        manifest: &Manifest,
        mask: &SkipMask,
        reference: Reference,
        found: &Stacked,
        expected: &Stacked,
    ) {
        let mut worst: Option<Comparison> = None;
        for input in 0..expected.runs() {
            let outputs = manifest.outputs().iter().zip(found.run(input).zip(expected.run(input)));
            for (spec, (found, expected)) in outputs {
                let difference = Difference::between(found, expected);
                if worst.as_ref().is_some_and(|worst| worst.difference.relative >= difference.relative) {
                    continue;
                }
                let (mask, output) = (mask.clone(), spec.name.clone());
                let equal = difference.is_within(self.tolerance);
                worst = Some(Comparison { mask, reference, input, output, difference, equal });
            }
        }
        self.equal &= worst.as_ref().is_none_or(|worst| worst.equal);
        self.comparisons.extend(worst);
    }
}

/// Reads the manifest without the check that this machine can run the artifact.
fn manifest(path: &Path) -> Result<Manifest, Error> {
    let file = path.join(MANIFEST_FILE);
    if !file.is_file() {
        // The runtime tells best what is there instead.
        Artifact::open(path)?;
    }
    Manifest::from_json(&read_text(&file)?).map_err(|source| Error::Manifest { path: file, source })
}

/// All-run, all-skip, random masks and then single skips, as far as `count` goes: where many blocks are skipped, more
/// can go wrong.
fn to_build(masks: &[SkipMask], gates: usize, count: usize) -> Vec<SkipMask> {
    let singles = 2..masks.len().min(2 + gates);
    let (first, rest) = masks.split_at(singles.start.min(masks.len()));
    let (singles, random) = rest.split_at(singles.len().min(rest.len()));
    first.iter().chain(random).chain(singles).take(count).cloned().collect()
}

/// What runs the artifact.
enum Subject {
    Here(Box<Session>),
    Emulated { emulator: Emulator, path: PathBuf },
}

impl Subject {
    fn open(path: &Path, manifest: &Manifest, options: &Options) -> Result<Self, Error> {
        if Arch::current() == Some(manifest.target.arch) {
            return Ok(Self::Here(Box::new(Session::new(&Artifact::open(path)?, Device::local_sync())?)));
        }
        let missing = |reason| Error::NoEmulator { target: manifest.target.name.clone(), reason };
        let emulator = Emulator::find(&manifest.target, options.program.as_deref()).map_err(missing)?;
        Ok(Self::Emulated { emulator, path: path.to_owned() })
    }

    fn ran(&self) -> Ran {
        match self {
            Self::Here(_) => Ran::Here,
            Self::Emulated { .. } => Ran::Emulated,
        }
    }

    /// The outputs for every input.
    fn run(&mut self, manifest: &Manifest, inputs: &Stacked, mask: &SkipMask) -> Result<Stacked, Error> {
        match self {
            Self::Here(session) => run_all(session, inputs, mask),
            Self::Emulated { emulator, path } => emulator.run(path, manifest, inputs, mask),
        }
    }
}

fn run_all(session: &mut Session, inputs: &Stacked, mask: &SkipMask) -> Result<Stacked, Error> {
    let artifact = session.artifact().clone();
    let names: Vec<_> = artifact.manifest().inputs().iter().map(|spec| spec.name.as_str()).collect();
    let mut outputs = Stacked::empty(artifact.manifest().outputs());
    for run in 0..inputs.runs() {
        let inputs: Vec<_> = names.iter().copied().zip(inputs.run(run)).collect();
        outputs.push(session.run_named(&inputs, mask)?.iter().map(|(_, elements)| elements))?;
    }
    Ok(outputs)
}

/// Results of `pruned`, compiled for this machine without what an artifact usually has.
fn build(pruned: skipgate_onnx::Model, mask: &SkipMask, inputs: &Stacked) -> Result<Stacked, Error> {
    let target = Target::host().ok_or_else(|| Error::NoEmulator {
        target: "host".to_owned(),
        reason: format!("{} is not compiled for", std::env::consts::ARCH),
    })?;
    let build = Build {
        network: pruned,
        model_sha256: String::new(),
        target,
        options: CompileOptions {
            arithmetic: Arithmetic::Exact,
            kernels: false,
            ..CompileOptions::default()
        },
        front: Vec::new(),
        verification: Verification::default(),
    };
    let compiled = build.compile(Compiler::get()?);
    let compiled = compiled.map_err(|source| Error::Compile { mask: mask.to_string(), source })?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("reference");
    write_artifact(&path, &compiled)?;
    let mut session = Session::new(&Artifact::open(&path)?, Device::local_sync())?;
    run_all(&mut session, inputs, &SkipMask::all_run(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_that_skip_much_are_built_first() {
        let masks = masks(5, 3, 1);
        let built = to_build(&masks, 5, 3);
        assert_eq!(built, [masks[0].clone(), masks[1].clone(), masks[7].clone()]);
        assert_eq!(to_build(&masks, 5, 99).len(), masks.len());
        assert_eq!(to_build(&crate::masks(0, 3, 1), 0, 9).len(), 1);
    }
}
