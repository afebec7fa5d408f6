//! `cargo xtask instructions`: what the blocks of a network cost on a board's processor, for
//! `skipgate pareto --latency-from`.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use skipgate_core::{LatencyUnit, SkipMask, depths};

use crate::board::Board;
use crate::demo::build::BoardProfile;
use crate::demo::program::{Arguments, instructions_per_image};
use crate::demo::read_manifest;
use crate::demo::tensor::Tensor;
use crate::parallel::in_parallel;
use crate::process::say;
use crate::setup;
use crate::workspace::Workspace;

/// Images of the shorter and of the longer run; the difference is free of what happens once per program.
pub(crate) const IMAGES: [usize; 2] = [1, 3];

/// What is printed.
#[derive(Serialize)]
struct Counted {
    target: String,
    unit: LatencyUnit,
    configurations: Vec<Configuration>,
}

/// Instructions of one inference.
#[derive(Serialize)]
struct Configuration {
    mask: SkipMask,
    latency: f64,
}

/// Counts the instructions of the artifact for a board in `artifact` at every `step`-th number of skipped blocks, and
/// prints them as JSON.
pub(crate) fn run(workspace: &Workspace, artifact: &Path, step: usize) -> Result<()> {
    let tools = setup::for_demo(workspace)?;
    let manifest = read_manifest(artifact)?;
    let board = Board::prepare(workspace, &tools, &manifest.target, BoardProfile::Shipped)?;
    let dir = workspace.path("target/instructions");
    fs_err::create_dir_all(&dir)?;
    let input = |images: usize| dir.join(format!("{images}.npy"));
    for images in IMAGES {
        Tensor::pattern(&manifest, images)?.write(&input(images))?;
    }
    let gates = manifest.gates.len();
    let depths = depths(gates, step);
    say(&format!("Counting the instructions of {} at {} masks", artifact.display(), depths.len()));
    let count = |skipped: usize| -> Result<f64> {
        let mask = SkipMask::skipping_last(gates, skipped);
        let of = |images: usize| -> Result<(usize, u64)> {
            let output = dir.join(format!("{skipped}-{images}.npy"));
            let arguments = Arguments::new(artifact, &mask, &input(images), &output);
            let (instructions, _) = arguments.emulate(&board)?;
            Ok((images, instructions.context("this machine's QEMU cannot count instructions")?))
        };
        instructions_per_image(of(IMAGES[0])?, of(IMAGES[1])?)
    };
    let mut counted = in_parallel(depths, count)?;
    counted.sort_by_key(|(skipped, _)| *skipped);
    let configuration =
        |(skipped, latency)| Configuration { mask: SkipMask::skipping_last(gates, skipped), latency };
    let counted = Counted {
        target: format!("{} under {}", manifest.target.name, board.machine.program),
        unit: LatencyUnit::Instructions,
        configurations: counted.into_iter().map(configuration).collect(),
    };
    println!("{}", serde_json::to_string_pretty(&counted)?);
    Ok(())
}
