//! One compilation as a value: which model, what becomes of its blocks, for which machine, how.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use skipgate_core::{CompileOptions, Gate, SkipMask, Target, file};
use skipgate_onnx::{
    Error, GateSelection, MAX_BYTES, Model, fix_dimensions, gate, open_dimensions, remove_blocks,
};

use crate::artifact::plain;
use crate::{CompileError, Compiled, Compiler, Verification, compile, plan};

/// A model and the hash of the file it is from, which goes into the manifest.
#[derive(Debug, Clone)]
pub struct Source {
    /// The model as the file has it.
    pub model: Model,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Sizes of dimensions that the file leaves open, by name.
    pub dimensions: BTreeMap<String, usize>,
}

impl Source {
    /// Reads `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let model = Model::load(path)?;
        Ok(Self { model, sha256: sha256(&file::read(path, MAX_BYTES)?), dimensions: BTreeMap::new() })
    }

    /// Takes a model that is in no file; the hash is that of the file it would be.
    pub fn of(model: Model) -> Result<Self, Error> {
        let sha256 = sha256(&model.to_bytes()?);
        Ok(Self { model, sha256, dimensions: BTreeMap::new() })
    }

    /// The same with these sizes for dimensions that it leaves open; see [`fix_dimensions`].
    pub fn with_dimensions(self, dimensions: &BTreeMap<String, usize>) -> Result<Self, Error> {
        let model = fix_dimensions(&self.model, dimensions)?;
        Ok(Self { model, dimensions: dimensions.clone(), ..self })
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What becomes of the residual blocks of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gating {
    /// The gates that the model has, or else those that `GateSelection::default()` selects.
    Default,
    /// Gates in front of the selected blocks of a model without gates.
    Selected(GateSelection),
    /// No gates: the network has no mask.
    Ungated {
        /// Names of the blocks to remove for good.
        remove: Vec<String>,
    },
}

impl Gating {
    /// What is compiled of `model`.
    pub fn apply(&self, model: &Model) -> Result<Model, Error> {
        match self {
            Self::Default if !model.gates()?.is_empty() => Ok(model.clone()),
            Self::Default => gate(model, &GateSelection::default()),
            Self::Selected(selection) => gate(model, selection),
            Self::Ungated { remove } => {
                remove_blocks(model, &remove.iter().map(String::as_str).collect::<Vec<_>>())
            }
        }
    }
}

/// One compilation.
#[derive(Debug, Clone)]
pub struct Build {
    /// What is compiled, after gating.
    pub network: Model,
    /// Hash of the file that the model is from.
    pub model_sha256: String,
    /// The machine.
    pub target: Target,
    /// How.
    pub options: CompileOptions,
    /// Masks that get a function of their own besides all-run and all-skip.
    pub front: Vec<SkipMask>,
    /// When the compiler checks its own work.
    pub verification: Verification,
}

impl Build {
    /// Gates the model or removes its blocks. Options and front are the default ones; they can be set.
    ///
    /// Errors: dimensions that are open still, the batch excepted, and those of [`Gating::apply`].
    pub fn new(source: &Source, gating: &Gating, target: Target) -> Result<Self, Error> {
        let names = open_dimensions(&source.model);
        if !names.is_empty() {
            return Err(Error::OpenDimensions { names });
        }
        Ok(Self {
            network: gating.apply(&source.model)?,
            model_sha256: source.sha256.clone(),
            target,
            options: CompileOptions { dimensions: source.dimensions.clone(), ..CompileOptions::default() },
            front: Vec::new(),
            verification: Verification::default(),
        })
    }

    /// The gates of what is compiled, in mask order.
    pub fn gates(&self) -> Result<Vec<Gate>, Error> {
        self.network.gates()
    }

    /// How it is computed, as text with a line for every step.
    pub fn plan(&self) -> Result<String, CompileError> {
        let Self { network, target, options, .. } = self;
        Ok(plan(&plain(network)?, target, options)?.to_string())
    }

    /// Compiles it. [`write_artifact`](crate::write_artifact) writes the result.
    pub fn compile(&self, compiler: &Compiler) -> Result<Compiled, CompileError> {
        let Self { network, model_sha256, target, options, front, verification } = self;
        compile(compiler, network, model_sha256.clone(), target, front, options, *verification)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trained network with six gates by default.
    fn source() -> Source {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        Source::load(&repository.join("models/digits/resnet20.onnx")).unwrap()
    }

    fn gates(source: &Source, gating: &Gating) -> usize {
        let build = Build::new(source, gating, Target::host().unwrap()).unwrap();
        assert_eq!(build.model_sha256, source.sha256);
        build.gates().unwrap().len()
    }

    #[test]
    fn a_model_gets_the_gates_that_are_asked_for() {
        let source = source();
        assert_eq!(gates(&source, &Gating::Default), 6);
        let one = GateSelection { no_gate: vec!["segments.1.*".to_owned()], ..GateSelection::default() };
        assert_eq!(gates(&source, &Gating::Selected(one)), 4);
        assert_eq!(gates(&source, &Gating::Ungated { remove: Vec::new() }), 0);
    }

    #[test]
    fn a_gated_model_keeps_its_own_gates_and_takes_no_others() {
        let source = source();
        let one = GateSelection { no_gate: vec!["segments.1.*".to_owned()], ..GateSelection::default() };
        let gated = Source::of(gate(&source.model, &one).unwrap()).unwrap();
        assert_eq!(gates(&gated, &Gating::Default), 4);
        let target = Target::host().unwrap();
        for gating in [Gating::Selected(GateSelection::default()), Gating::Ungated { remove: Vec::new() }] {
            assert!(matches!(Build::new(&gated, &gating, target.clone()), Err(Error::AlreadyGated)));
        }
    }

    #[test]
    fn the_hash_of_a_model_in_memory_is_that_of_its_file() {
        let (source, file) = (source(), tempfile::NamedTempFile::new().unwrap());
        source.model.save(file.path()).unwrap();
        assert_eq!(Source::of(source.model).unwrap().sha256, Source::load(file.path()).unwrap().sha256);
    }
}
