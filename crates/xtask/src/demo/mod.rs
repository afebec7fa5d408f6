//! `cargo xtask demo`: the digits ResNet-20 at several depths, here and on an emulated Odroid XU4.

mod agreement;
pub(crate) mod build;
pub(crate) mod program;
pub(crate) mod tensor;

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use skipgate_core::{MANIFEST_FILE, Manifest, SkipMask, Target};
use skipgate_data::{Dataset, Part, Source};

use crate::board::Board;
use crate::process::say;
use crate::setup;
use crate::workspace::Workspace;
use agreement::{accuracy, largest_relative_difference, top1_agreement};
use program::{Arguments, Run, instructions_per_image};
use tensor::Tensor;

/// Images that also run under emulation.
const ARM_IMAGES: usize = 4;

/// Form of the demo's table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// What the demo found.
#[derive(Debug, Serialize)]
struct Report {
    /// Images of the test split, all of which run on the host.
    host_images: usize,
    /// The first images of the test split, which also run under emulation.
    arm_images: usize,
    configurations: Vec<Configuration>,
}

/// The network at one skip mask.
#[derive(Debug, Serialize)]
struct Configuration {
    mask: String,
    blocks_run: usize,
    /// Share of the host's images whose largest logit is that of the right class.
    accuracy: f64,
    host_median_us: f64,
    /// `None` where no QEMU that counts is to be had.
    arm_instructions_per_inference: Option<f64>,
    /// See [`largest_relative_difference`].
    largest_relative_difference: f64,
    /// Share of the emulated images for which host and board choose the same class.
    top1_agreement: f64,
}

/// The two compiled networks, the programs that run them, and the images as `.npy` files.
struct Stage<'a> {
    host_program: PathBuf,
    host_artifact: PathBuf,
    arm_artifact: PathBuf,
    board: Board<'a>,
    dir: PathBuf,
    digits: Dataset,
}

/// Runs the demo and prints its table on standard output.
pub(crate) fn run(workspace: &Workspace, format: Format) -> Result<()> {
    let tools = setup::for_demo(workspace)?;
    let host_program = build::host_program(workspace)?;
    let dir = workspace.path("target/demo");
    fs_err::create_dir_all(&dir)?;
    let [host_artifact, arm_artifact] = build::artifacts(workspace, &host_program, &dir)?;
    let manifest = read_manifest(&host_artifact)?;
    let stage = Stage {
        host_program,
        host_artifact,
        board: Board::prepare(
            workspace,
            &tools,
            &Target::named(build::BOARD)?,
            build::BoardProfile::Shipped,
        )?,
        arm_artifact,
        digits: Dataset::open(&Source::Digits, Part::Test, &manifest, &|_, _| ())?,
        dir,
    };
    stage.write_images(&manifest)?;
    print(&stage.report(manifest.gates.len())?, format)
}

pub(crate) fn read_manifest(artifact: &Path) -> Result<Manifest> {
    let path = artifact.join(MANIFEST_FILE);
    Manifest::from_json(&fs_err::read_to_string(&path)?)
        .with_context(|| format!("cannot use {}", path.display()))
}

impl Stage<'_> {
    fn images(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension("npy")
    }

    /// Writes all images, the first ones, and the very first.
    fn write_images(&self, manifest: &Manifest) -> Result<()> {
        let images = tensor_of(&self.digits, manifest)?;
        images.write(&self.images("test"))?;
        images.rows(0..ARM_IMAGES)?.write(&self.images("first"))?;
        images.rows(0..1)?.write(&self.images("one"))
    }

    /// Runs every configuration: all blocks, then one fewer each time, from the last.
    fn report(&self, gates: usize) -> Result<Report> {
        let masks: Vec<_> = (0..=gates).map(|skipped| SkipMask::skipping_last(gates, skipped)).collect();
        say(&format!("Running {} images on this machine at {} masks", self.digits.len(), masks.len()));
        let host: Vec<_> = masks.iter().map(|mask| self.run_on_host(mask)).collect::<Result<_>>()?;
        say(&format!("Running {ARM_IMAGES} images under qemu-arm at {} masks", masks.len()));
        Ok(Report {
            host_images: self.digits.len(),
            arm_images: ARM_IMAGES,
            configurations: self.compare_all(&masks, &host)?,
        })
    }

    /// [`Stage::compare`] for all masks at once: emulation is slow, and nobody times it.
    fn compare_all(&self, masks: &[SkipMask], host: &[Run]) -> Result<Vec<Configuration>> {
        thread::scope(|scope| {
            let start = |(mask, host)| scope.spawn(move || self.compare(mask, host));
            let threads: Vec<_> = masks.iter().zip(host).map(start).collect();
            let join = |thread: thread::ScopedJoinHandle<_>| {
                thread.join().map_err(|_| anyhow!("a thread panicked"))?
            };
            threads.into_iter().map(join).collect()
        })
    }

    fn run_on_host(&self, mask: &SkipMask) -> Result<Run> {
        self.arguments(&self.host_artifact, mask, "test").run(&self.host_program)
    }

    fn arguments(&self, artifact: &Path, mask: &SkipMask, images: &str) -> Arguments {
        Arguments::new(artifact, mask, &self.images(images), &self.images(&format!("logits-{mask}")))
    }

    /// Runs the first images under emulation and compares them with the host's run.
    fn compare(&self, mask: &SkipMask, host: &Run) -> Result<Configuration> {
        let arm = |images: &str| self.arguments(&self.arm_artifact, mask, images).emulate(&self.board);
        let (few, _) = arm("one")?;
        let (many, logits) = arm("first")?;
        let per_image = few.zip(many).map(|(few, many)| instructions_per_image((1, few), (ARM_IMAGES, many)));
        let host_logits = host.logits.rows(0..ARM_IMAGES)?;
        Ok(Configuration {
            mask: mask.to_string(),
            blocks_run: mask.running(),
            accuracy: accuracy(&host.logits, &labels(&self.digits))?,
            host_median_us: host.latency.median_us,
            arm_instructions_per_inference: per_image.transpose()?,
            largest_relative_difference: largest_relative_difference(&logits, &host_logits)?,
            top1_agreement: top1_agreement(&logits, &host_logits)?,
        })
    }
}

/// All images, as the network takes them.
fn tensor_of(images: &Dataset, manifest: &Manifest) -> Result<Tensor> {
    let mut shape = manifest.image()?.shape.clone();
    let mut values = vec![0.0; images.len() * shape.iter().product::<usize>()];
    let size = values.len() / images.len();
    values.chunks_exact_mut(size).enumerate().for_each(|(image, into)| images.input(image, into));
    shape[0] = images.len();
    Tensor::new(shape, values)
}

fn labels(images: &Dataset) -> Vec<usize> {
    (0..images.len()).map(|image| images.label(image)).collect()
}

fn print(report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(report)?),
        Format::Text => println!("{}", text(report)),
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header([
        "mask",
        "blocks run",
        "accuracy",
        "host latency",
        "armv7 instructions",
        "difference",
        "same class",
    ]);
    for configuration in &report.configurations {
        let instructions = configuration.arm_instructions_per_inference;
        table.add_row([
            configuration.mask.clone(),
            format!("{} of {}", configuration.blocks_run, configuration.mask.len()),
            format!("{:.2} %", 100.0 * configuration.accuracy),
            format!("{:.0} µs", configuration.host_median_us),
            instructions.map_or("not counted".to_owned(), |count| format!("{:.2} M", count / 1e6)),
            format!("{:.1e}", configuration.largest_relative_difference),
            format!("{:.0} %", 100.0 * configuration.top1_agreement),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        if column.index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!(
        "{}\n\nAccuracy and host latency (median): {} test images. armv7 instructions per inference, largest relative \
         difference\nof the logits from the host's, and share of images with the same class: {} images under qemu-arm.",
        table.trim_fmt(),
        report.host_images,
        report.arm_images
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_per_configuration() {
        let configuration = Configuration {
            mask: "110".to_owned(),
            blocks_run: 2,
            accuracy: 0.975,
            host_median_us: 410.4,
            arm_instructions_per_inference: Some(32_240_000.0),
            largest_relative_difference: 3.2e-6,
            top1_agreement: 1.0,
        };
        let report = Report { host_images: 360, arm_images: 4, configurations: vec![configuration] };
        let text = text(&report);
        let line: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(line.join(" "), "110 2 of 3 97.50 % 410 µs 32.24 M 3.2e-6 100 %");
    }
}
