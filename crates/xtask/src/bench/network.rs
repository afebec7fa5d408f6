//! The networks that are measured, and their artifacts.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use skipgate_core::{Manifest, depths};

use crate::demo;
use crate::parallel::in_parallel;
use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// A network that is measured.
pub(super) struct Network {
    /// What tables and folders call it.
    pub(super) name: String,
    /// Its ONNX file.
    pub(super) model: PathBuf,
    /// How far apart the numbers of skipped blocks are that are measured on this machine.
    pub(super) host_step: usize,
    /// The same under emulation.
    pub(super) board_step: usize,
}

/// Farther apart than any network has blocks: none and all are skipped, nothing in between.
const NOTHING_BETWEEN: usize = 1_000_000;

/// Artifacts of one network for one target.
pub(super) struct Artifacts {
    pub(super) gated: PathBuf,
    /// Holds the statically pruned networks by number of removed blocks; `0` is the ungated network.
    pub(super) pruned: PathBuf,
    /// The numbers of skipped blocks.
    pub(super) depths: Vec<usize>,
    pub(super) manifest: Manifest,
    /// What compiling the gated network took.
    pub(super) compile_seconds: f64,
}

impl Artifacts {
    pub(super) fn gates(&self) -> usize {
        self.manifest.gates.len()
    }
}

impl Network {
    /// The ResNet-20 of `models/digits`.
    pub(super) fn resnet20(workspace: &Workspace) -> Self {
        Self::of_digits(workspace, "resnet20", [1, 2])
    }

    /// The ResNet-110 of `models/digits`.
    pub(super) fn resnet110(workspace: &Workspace) -> Self {
        Self::of_digits(workspace, "resnet110", [5, 17])
    }

    fn of_digits(workspace: &Workspace, name: &str, [host_step, board_step]: [usize; 2]) -> Self {
        let model = workspace.path(format!("models/digits/{name}.onnx"));
        Self { name: name.to_owned(), model, host_step, board_step }
    }

    /// The network of an ONNX file.
    pub(super) fn of_file(model: &Path) -> Result<Self> {
        let name = model.file_stem().with_context(|| format!("{} is no file", model.display()))?;
        let (name, model) = (name.to_string_lossy().into_owned(), fs_err::canonicalize(model)?);
        Ok(Self { name, model, host_step: NOTHING_BETWEEN, board_step: NOTHING_BETWEEN })
    }

    /// Has every `step`-th number of skipped blocks measured, here and under emulation.
    pub(super) fn measure_every(&mut self, step: usize) {
        (self.host_step, self.board_step) = (step, step);
    }

    /// The folder of what belongs to this network alone.
    pub(super) fn dir(&self, workspace: &Workspace) -> PathBuf {
        workspace.path("target/bench").join(&self.name)
    }

    /// What other engines load.
    pub(super) fn peers(&self, workspace: &Workspace) -> PathBuf {
        self.dir(workspace).join("peers")
    }

    /// Writes the gated model.
    pub(super) fn gate(&self, workspace: &Workspace, program: &Path) -> Result<PathBuf> {
        let gated = self.dir(workspace).join("gated.onnx");
        fs_err::create_dir_all(self.dir(workspace))?;
        workspace.command(program).arg("gate").arg(&self.model).arg("--output").arg(&gated).read()?;
        Ok(gated)
    }

    /// Compiles the gated network for `target`, and one without the last blocks for every `step`-th number of them.
    pub(super) fn compile(
        &self,
        workspace: &Workspace,
        program: &Path,
        target: &str,
        step: usize,
    ) -> Result<Artifacts> {
        let dir = self.dir(workspace).join(target);
        let gated = dir.join("gated");
        let compile_seconds = self.compile_one(workspace, program, target, &gated, &[])?;
        let manifest = demo::read_manifest(&gated)?;
        let pruned = dir.join("pruned");
        fs_err::create_dir_all(&pruned)?;
        let depths = depths(manifest.gates.len(), step);
        in_parallel(depths.clone(), |depth| {
            let remove = removed(&manifest, depth);
            let arguments = ["--ungated".to_owned(), format!("--remove={remove}")];
            let arguments = if depth == 0 { &arguments[..1] } else { &arguments[..] };
            self.compile_one(workspace, program, target, &pruned.join(depth.to_string()), arguments)
        })?;
        Ok(Artifacts { gated, pruned, depths, manifest, compile_seconds })
    }

    /// Compiles one artifact, unless that was done before with the same program, network, compiler and arguments. Returns
    /// the seconds that it took, then or now.
    fn compile_one(
        &self,
        workspace: &Workspace,
        program: &Path,
        target: &str,
        artifact: &Path,
        arguments: &[String],
    ) -> Result<f64> {
        let key = Key::new("bench, timed")
            .file(program)?
            .file(&self.model)?
            .file(&workspace.tool("venv.stamp"))?
            .text(target)
            .text(&arguments.join(" "));
        let seconds = artifact.with_extension("seconds");
        Stamp::new(artifact.with_extension("stamp")).unless_done(&key, || {
            say(&format!("Compiling {}", artifact.display()));
            let start = Instant::now();
            let mut skipgate = workspace.command(program);
            skipgate.arg("compile").arg(&self.model).args(["--target", target]).args(arguments);
            skipgate.arg("--output").arg(artifact).read()?;
            Ok(fs_err::write(&seconds, start.elapsed().as_secs_f64().to_string())?)
        })?;
        let text = fs_err::read_to_string(&seconds)?;
        text.parse().with_context(|| format!("{} holds `{text}`, no number", seconds.display()))
    }
}

/// Names of the blocks of the last `count` gates.
fn removed(manifest: &Manifest, count: usize) -> String {
    let names = manifest.gates.iter().rev().take(count).map(|gate| gate.block.as_str());
    names.collect::<Vec<_>>().join(",")
}
