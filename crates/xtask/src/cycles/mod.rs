//! `cargo xtask cycles`: an estimate of the cycles that one inference takes on the board's processor.
//!
//! QEMU counts how often each block of instructions runs, and LLVM's machine code analyser says how many cycles a block
//! takes as the body of a loop. An inner loop mostly is a block that branches to itself, so latencies within it and from
//! one pass to the next are seen. What is not seen: latencies from one block to another, caches and wrong predictions.

mod assembly;
mod mca;
mod pieces;
mod report;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use skipgate_core::{Arch, Manifest, SkipMask};

use crate::board::{Board, Family};
use crate::demo::Format;
use crate::demo::build::BoardProfile;
use crate::demo::program::Arguments;
use crate::demo::tensor::Tensor;
use crate::instructions::IMAGES;
use crate::parallel::in_parallel;
use crate::process::say;
use crate::profile::{Library, board_artifact};
use crate::setup::ncnn::BoardNcnn;
use crate::setup::qemu::Block;
use crate::setup::{self, Tools};
use crate::workspace::Workspace;
use mca::MODELS;
use pieces::{Piece, covering, per_inference};
use report::{Engine, Estimate, Hot, Report};

/// Of the instructions: what is analysed. The rest is taken to need as many cycles per instruction.
const ANALYSED: f64 = 0.99;
/// Blocks that are listed.
const LISTED: usize = 10;

/// What is estimated.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// The artifact folder, compiled for odroid-xu4
    artifact: PathBuf,
    /// Beside ncnn on the network in STEM.ncnn.param and STEM.ncnn.bin, which `cargo xtask bench --network FILE` leaves in
    /// target/bench/NAME/peers/plain
    #[arg(long, value_name = "STEM")]
    ncnn: Option<PathBuf>,
}

/// Prints the instructions and the estimated cycles of one inference with all blocks.
pub(crate) fn run(workspace: &Workspace, what: &What, format: Format) -> Result<()> {
    let tools = setup::for_demo(workspace)?;
    let stage = Stage::prepare(workspace, &tools, what)?;
    let mut engines = vec![stage.estimate("skipgate", &stage.own()?)?];
    if let Some(peer) = &stage.ncnn {
        engines.push(stage.estimate("ncnn", &stage.peer(peer)?)?);
    }
    let report = Report::new(engines);
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => println!("{}", report.text()),
    }
    Ok(())
}

/// The programs and files.
struct Stage<'a> {
    workspace: &'a Workspace,
    board: Board<'a>,
    analyser: PathBuf,
    artifact: &'a Path,
    manifest: Manifest,
    library: Library,
    ncnn: Option<Peer<'a>>,
    /// For what the programs write.
    dir: PathBuf,
}

/// ncnn and its network.
struct Peer<'a> {
    ncnn: BoardNcnn,
    stem: &'a Path,
}

impl<'a> Stage<'a> {
    fn prepare(workspace: &'a Workspace, tools: &'a Tools, what: &'a What) -> Result<Self> {
        let (manifest, library) = board_artifact(&what.artifact)?;
        let target = &manifest.target;
        ensure!(
            target.arch == Arch::Arm,
            "{} is compiled for {}, and cycles are estimated for the Odroid XU4; compile it with `--target odroid-xu4`",
            what.artifact.display(),
            target.name
        );
        let ncnn = what.ncnn.as_deref().map(|stem| Peer::prepare(workspace, stem)).transpose()?;
        let dir = workspace.path("target/cycles");
        fs_err::create_dir_all(&dir)?;
        Ok(Self {
            workspace,
            board: Board::prepare(workspace, tools, target, BoardProfile::Shipped)?,
            analyser: setup::mca::prepare(workspace)?,
            artifact: &what.artifact,
            manifest,
            library,
            ncnn,
            dir,
        })
    }

    /// What one inference of the artifact runs, by kernel.
    fn own(&self) -> Result<Vec<Piece>> {
        say(&format!("Counting what {} runs under qemu-arm", self.artifact.display()));
        let mask = SkipMask::all_run(self.manifest.gates.len());
        let [few, many] = both_runs(|images| {
            let (input, output) = (self.dir.join(format!("{images}.npy")), self.note("logits", images));
            Tensor::pattern(&self.manifest, images)?.write(&input)?;
            Arguments::new(self.artifact, &mask, &input, &output).profile(&self.board)
        })?;
        let base = self.library.base(&many)?;
        Ok(per_inference(&few, &many, IMAGES[1] - IMAGES[0], |block| {
            self.library.function(base, block).to_owned()
        }))
    }

    /// The same of ncnn, whose functions have no names.
    fn peer(&self, peer: &Peer) -> Result<Vec<Piece>> {
        say(&format!("Counting what ncnn runs for {} under qemu-arm", peer.stem.display()));
        let image = &self.manifest.image()?.shape;
        let [few, many] = both_runs(|images| {
            let (program, arguments) = peer.ncnn.inferences(self.workspace, peer.stem, images, image);
            let arguments: Vec<_> = arguments.iter().map(OsString::as_os_str).collect();
            let (note, blocks) = (self.note("ncnn", images), self.note("ncnn-blocks", images));
            let Board { emulator, machine, .. } = &self.board;
            emulator.profile(machine, &program, &arguments, &note, &blocks)
        })?;
        let place = |block: &Block| format!("at {:#x}", block.address);
        Ok(per_inference(&few, &many, IMAGES[1] - IMAGES[0], place))
    }

    fn note(&self, name: &str, images: usize) -> PathBuf {
        self.dir.join(format!("{name}-{images}"))
    }

    fn estimate(&self, name: &'static str, pieces: &[Piece]) -> Result<Engine> {
        let instructions = pieces.iter().map(Piece::executed).sum();
        let analysed = covering(pieces, ANALYSED);
        ensure!(
            analysed.iter().all(Piece::is_readable),
            "this machine's qemu-arm is built without Capstone, which disassembles; Debian's has it (package qemu-user)"
        );
        say(&format!("Analysing {} blocks of {name}", analysed.len()));
        let cycles = MODELS
            .iter()
            .map(|model| model.cycles(&self.analyser, analysed, &self.dir.join(format!("{name}.s"))))
            .collect::<Result<Vec<_>>>()?;
        let estimates = cycles.iter().map(|cycles| Estimate::of(analysed, cycles, instructions)).collect();
        let hot = Hot::list(analysed, &cycles, LISTED);
        Ok(Engine { name, instructions, estimates, hot })
    }
}

impl<'a> Peer<'a> {
    fn prepare(workspace: &Workspace, stem: &'a Path) -> Result<Self> {
        for extension in ["param", "bin"] {
            let file = PathBuf::from(format!("{}.ncnn.{extension}", stem.display()));
            ensure!(
                file.is_file(),
                "there is no {}; `cargo xtask bench --network FILE` converts a network for ncnn",
                file.display()
            );
        }
        let ncnn =
            BoardNcnn::prepare(workspace, Family::Armv7).context("ncnn for the board is not to be had")?;
        Ok(Self { ncnn, stem })
    }
}

/// The blocks of a shorter and of a longer run, at the same time.
fn both_runs(run: impl Fn(usize) -> Result<Vec<Block>> + Sync) -> Result<[Vec<Block>; 2]> {
    let mut runs = in_parallel(IMAGES.to_vec(), run)?;
    runs.sort_by_key(|(images, _)| *images);
    let runs: Vec<_> = runs.into_iter().map(|(_, blocks)| blocks).collect();
    runs.try_into().map_err(|_| anyhow::anyhow!("a run is missing"))
}
